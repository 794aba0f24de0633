-- Format 4: which process asks; which charges were booked without the server's final usage, and their corrections.

ALTER TABLE charges ADD COLUMN owner TEXT;               -- the process that asks; null: one of an older version
ALTER TABLE charges ADD COLUMN uncertain INTEGER NOT NULL DEFAULT 0;  -- booked at our upper bound, and not corrected yet
UPDATE charges SET uncertain = 1 WHERE state = 'settled' AND kind = 'estimated' AND usage_source IS NOT 'provider'
  AND outcome IS NOT 'settled by the user';
CREATE INDEX charges_uncertain ON charges (taken_at) WHERE uncertain = 1;

-- Corrections of settled charges, with what was booked before. Never changed.
CREATE TABLE corrections (
  seq INTEGER PRIMARY KEY,
  attempt TEXT NOT NULL REFERENCES charges (attempt),
  at INTEGER NOT NULL,
  was INTEGER,                           -- null: no price was known
  was_kind TEXT NOT NULL,
  usd INTEGER NOT NULL CHECK (usd >= 0), -- so that never more than was booked is given back
  kind TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX corrections_attempt ON corrections (attempt);
CREATE TRIGGER corrections_fit BEFORE INSERT ON corrections
WHEN NOT EXISTS (SELECT 1 FROM charges WHERE attempt = new.attempt AND state = 'settled'
                 AND settled IS new.was AND kind = new.was_kind) BEGIN
  SELECT raise(ABORT, 'a correction starts from what is booked');
END;
CREATE TRIGGER corrections_stay BEFORE UPDATE ON corrections BEGIN
  SELECT raise(ABORT, 'a correction does not change');
END;
CREATE TRIGGER corrections_kept BEFORE DELETE ON corrections BEGIN
  SELECT raise(ABORT, 'a correction is never deleted');
END;

-- A charge is closed once, and what is booked then changes by a correction only.
DROP TRIGGER charges_closed;
CREATE TRIGGER charges_closed BEFORE UPDATE OF state, reserved, settled ON charges
WHEN old.state <> 'held' AND NOT (
  old.state = 'settled' AND new.state = 'settled' AND new.reserved IS old.reserved AND EXISTS (
    SELECT 1 FROM (SELECT was, usd FROM corrections WHERE attempt = old.attempt ORDER BY seq DESC LIMIT 1)
    WHERE was IS old.settled AND usd = new.settled)) BEGIN
  SELECT raise(ABORT, 'a closed charge does not change');
END;
CREATE TRIGGER corrections_booked AFTER INSERT ON corrections BEGIN
  UPDATE charges SET settled = new.usd, kind = new.kind, uncertain = 0,
    breach_cleared = breach_cleared AND new.usd - coalesce(reserved, new.usd) <= breach,
    breach = max(new.usd - coalesce(reserved, new.usd), 0)
    WHERE attempt = new.attempt;
  INSERT INTO totals (scope, place, starts, ends, settled, reserved, estimated, unknown)
    SELECT scope, place, starts, ends, new.usd - coalesce(new.was, 0), 0,
           (new.kind = 'estimated') - (new.was_kind = 'estimated'), -(new.was IS NULL)
    FROM charge_places WHERE attempt = new.attempt
    ON CONFLICT DO UPDATE SET settled = settled + excluded.settled, estimated = estimated + excluded.estimated,
      unknown = unknown + excluded.unknown;
END;
