-- Format 2: figures to compare estimates with, the kind of question, the service tier; totals by model and by key;
-- raised limits; alerts told; the clock.

ALTER TABLE exchanges ADD COLUMN kind TEXT;              -- of the question
ALTER TABLE exchanges ADD COLUMN effort TEXT;            -- that was sent
ALTER TABLE exchanges ADD COLUMN estimated_input INTEGER; -- counted_input with what was learned of the model
ALTER TABLE exchanges ADD COLUMN output_cap INTEGER;
ALTER TABLE exchanges ADD COLUMN expected_usd INTEGER;
ALTER TABLE exchanges ADD COLUMN worst_usd INTEGER;
ALTER TABLE charges ADD COLUMN tier TEXT;                -- the service tier answered
ALTER TABLE charges ADD COLUMN server_failed INTEGER NOT NULL DEFAULT 0;  -- it failed by the server's fault
CREATE INDEX charges_model ON charges (model, taken_at);

-- Which chat a run of the program spent its money in.
CREATE INDEX charges_run ON charges (run, session);

-- Small states that outlive a process: name and JSON.
CREATE TABLE remembered (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- For a charge that a wrong clock dated too late: when the user settled the clock, and the day and the month of then, in
-- which the charge counts too (null if its own window had begun by then). `taken_at` rises only among the other charges.
ALTER TABLE charges ADD COLUMN clock_settled INTEGER;
ALTER TABLE charges ADD COLUMN also_day_start INTEGER;
ALTER TABLE charges ADD COLUMN also_day_end INTEGER;
ALTER TABLE charges ADD COLUMN also_month_start INTEGER;
ALTER TABLE charges ADD COLUMN also_month_end INTEGER;
DROP INDEX charges_taken;
CREATE INDEX charges_taken ON charges (taken_at) WHERE clock_settled IS NULL;

-- Where a charge counts: the scope, whose it is (a run, a chat, a model, a provider with a key's last four; empty for
-- all), and the window. A scope without a window has the one from 0 to 1.
CREATE VIEW charge_windows (attempt, span, starts, ends, model, key) AS
  SELECT attempt, 'day', day_start, day_end, model, provider || ' ' || key_last4 FROM charges
  UNION ALL SELECT attempt, 'month', month_start, month_end, model, provider || ' ' || key_last4 FROM charges
  UNION ALL SELECT attempt, 'day', also_day_start, also_day_end, model, provider || ' ' || key_last4 FROM charges
    WHERE also_day_end IS NOT NULL
  UNION ALL SELECT attempt, 'month', also_month_start, also_month_end, model, provider || ' ' || key_last4 FROM charges
    WHERE also_month_end IS NOT NULL;
CREATE VIEW charge_places (attempt, scope, place, starts, ends) AS
  SELECT attempt, 'run', run, 0, 1 FROM charges
  UNION ALL SELECT attempt, 'session', session, 0, 1 FROM charges
  UNION ALL SELECT attempt, span, '', starts, ends FROM charge_windows
  UNION ALL SELECT attempt, 'model ' || span, model, starts, ends FROM charge_windows
  UNION ALL SELECT attempt, 'key ' || span, key, starts, ends FROM charge_windows;
CREATE VIEW charge_sums (scope, place, starts, ends, settled, reserved, estimated, unknown) AS
  SELECT scope, place, starts, ends,
    sum(iif(state = 'settled', coalesce(settled, 0), 0)), sum(iif(state = 'held', coalesce(reserved, 0), 0)),
    sum(state = 'settled' AND kind = 'estimated'),
    sum(state = 'settled' AND settled IS NULL OR state = 'held' AND reserved IS NULL)
  FROM charge_places JOIN charges USING (attempt) GROUP BY scope, place, starts, ends;

-- The same sums, kept by triggers.
DROP TRIGGER charges_held;
DROP TRIGGER charges_ended;
DROP TABLE totals;
CREATE TABLE totals (
  scope TEXT NOT NULL,
  place TEXT NOT NULL,
  starts INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  settled INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  estimated INTEGER NOT NULL,            -- how many settled charges are estimates
  unknown INTEGER NOT NULL,              -- how many charges of unknown price are not in the sums
  PRIMARY KEY (scope, place, ends, starts)
) STRICT, WITHOUT ROWID;
INSERT INTO totals SELECT * FROM charge_sums;
CREATE TRIGGER charges_held AFTER INSERT ON charges BEGIN
  INSERT INTO totals (scope, place, starts, ends, settled, reserved, estimated, unknown)
    SELECT scope, place, starts, ends, 0, coalesce(new.reserved, 0), 0, new.reserved IS NULL
    FROM charge_places WHERE attempt = new.attempt
    ON CONFLICT DO UPDATE SET reserved = reserved + excluded.reserved, unknown = unknown + excluded.unknown;
END;
CREATE TRIGGER charges_ended AFTER UPDATE OF state ON charges BEGIN
  INSERT INTO totals (scope, place, starts, ends, settled, reserved, estimated, unknown)
    SELECT scope, place, starts, ends, coalesce(new.settled, 0), -coalesce(old.reserved, 0),
           new.state = 'settled' AND new.kind = 'estimated',
           (new.state = 'settled' AND new.settled IS NULL) - (old.reserved IS NULL)
    FROM charge_places WHERE attempt = new.attempt
    ON CONFLICT DO UPDATE SET settled = settled + excluded.settled, reserved = reserved + excluded.reserved,
      estimated = estimated + excluded.estimated, unknown = unknown + excluded.unknown;
END;

-- What the user added to a limit for one question, in the scope that the question counted in. It is never removed.
CREATE TABLE raises (
  exchange TEXT NOT NULL,
  scope TEXT NOT NULL,
  place TEXT NOT NULL,
  starts INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  usd INTEGER NOT NULL CHECK (usd > 0),
  at INTEGER NOT NULL,
  PRIMARY KEY (exchange, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX raises_place ON raises (scope, place, ends);

-- The highest share of a limit that the user was told of.
CREATE TABLE alerts_told (
  scope TEXT NOT NULL,
  place TEXT NOT NULL,
  starts INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  share REAL NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (scope, place, ends, starts)
) STRICT, WITHOUT ROWID;

-- What the clocks said at the last admission: the wall's, and the machine's own since it was started.
CREATE TABLE clock (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  wall INTEGER NOT NULL,
  up INTEGER NOT NULL,
  boot TEXT NOT NULL
) STRICT;
