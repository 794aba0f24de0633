-- Format 3: what a group of machines may spend. Its windows are days and months in UTC, the same on every machine.

-- The charges that count against a group. A row is written just before its charge.
CREATE TABLE group_charges (
  attempt TEXT PRIMARY KEY,
  name TEXT NOT NULL,                    -- of the group
  day_start INTEGER NOT NULL, day_end INTEGER NOT NULL,
  month_start INTEGER NOT NULL, month_end INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What this machine has leased of a group's money. An amount never rises.
CREATE TABLE group_leases (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  day_start INTEGER NOT NULL,
  month_start INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),       -- nano-dollars; 0 while asked
  state TEXT NOT NULL CHECK (state IN ('asked', 'held')),
  told TEXT NOT NULL,                    -- the memory (epoch) of Redis that has been told this amount; empty: none
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX group_leases_window ON group_leases (name, month_start, day_start);

-- Charges count in the windows of their group too.
DROP VIEW charge_sums;
DROP VIEW charge_places;
CREATE VIEW charge_places (attempt, scope, place, starts, ends) AS
  SELECT attempt, 'run', run, 0, 1 FROM charges
  UNION ALL SELECT attempt, 'session', session, 0, 1 FROM charges
  UNION ALL SELECT attempt, span, '', starts, ends FROM charge_windows
  UNION ALL SELECT attempt, 'model ' || span, model, starts, ends FROM charge_windows
  UNION ALL SELECT attempt, 'key ' || span, key, starts, ends FROM charge_windows
  UNION ALL SELECT attempt, 'group day', name, day_start, day_end FROM group_charges
  UNION ALL SELECT attempt, 'group month', name, month_start, month_end FROM group_charges;
CREATE VIEW charge_sums (scope, place, starts, ends, settled, reserved, estimated, unknown) AS
  SELECT scope, place, starts, ends,
    sum(iif(state = 'settled', coalesce(settled, 0), 0)), sum(iif(state = 'held', coalesce(reserved, 0), 0)),
    sum(state = 'settled' AND kind = 'estimated'),
    sum(state = 'settled' AND settled IS NULL OR state = 'held' AND reserved IS NULL)
  FROM charge_places JOIN charges USING (attempt) GROUP BY scope, place, starts, ends;
