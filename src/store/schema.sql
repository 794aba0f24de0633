-- Format 1. Times are milliseconds since 1970 UTC, money is pico-dollars (1e-12 $), ids are text.

CREATE TABLE sessions (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  selection TEXT NOT NULL,               -- JSON
  effort TEXT,
  system TEXT,
  head TEXT REFERENCES messages (id),    -- the tip of the branch in view; null before the first prompt
  draft TEXT NOT NULL DEFAULT '',
  draft_owner TEXT                       -- the process in which the draft is being written
) STRICT;
CREATE INDEX sessions_updated ON sessions (updated);

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY,               -- the order of storing, over all chats
  id TEXT NOT NULL UNIQUE,
  session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  parent TEXT REFERENCES messages (id),
  role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
  text TEXT NOT NULL,
  reasoning TEXT NOT NULL DEFAULT '',
  at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('complete', 'streaming', 'cut', 'failed')),
  owner TEXT,                            -- the process that streams it
  facts TEXT                             -- JSON, of an answer that ended
) STRICT;
CREATE INDEX messages_session ON messages (session);
CREATE INDEX messages_parent ON messages (parent);
CREATE INDEX messages_prompts ON messages (seq) WHERE role = 'user';
CREATE INDEX messages_streaming ON messages (seq) WHERE state = 'streaming';

-- Pieces of an answer while it streams; folded into its row at the end.
CREATE TABLE answer_parts (
  seq INTEGER PRIMARY KEY,
  message INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
  text TEXT NOT NULL,
  reasoning TEXT NOT NULL
) STRICT;
CREATE INDEX answer_parts_message ON answer_parts (message, seq);

-- One question and its answer. Outlives the chat: figures and money are not erased with the words.
CREATE TABLE exchanges (
  id TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  message TEXT NOT NULL,
  model TEXT NOT NULL,
  at INTEGER NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('auto', 'pinned')),
  counted_input INTEGER NOT NULL,
  expected_output INTEGER NOT NULL,
  ended INTEGER,                         -- null: not ended, or its process died
  cache TEXT NOT NULL DEFAULT 'none',
  cache_saved INTEGER NOT NULL DEFAULT 0,
  ttft_ms INTEGER,
  total_ms INTEGER,
  tps REAL,
  finish TEXT,
  error TEXT,                            -- the kind of failure
  error_message TEXT,
  uncached_input INTEGER, cached_input INTEGER, cache_write INTEGER, output INTEGER, reasoning INTEGER,
  usage_source TEXT
) STRICT;
CREATE INDEX exchanges_model ON exchanges (model, at);
CREATE INDEX exchanges_at ON exchanges (at);
CREATE INDEX exchanges_saved ON exchanges (cache_saved) WHERE cache_saved > 0;
CREATE INDEX exchanges_message ON exchanges (message);

-- One request on the wire and the money it may have cost. Never deleted. No reference to sessions: a chat that is
-- deleted gives no money back.
CREATE TABLE charges (
  attempt TEXT PRIMARY KEY,
  exchange TEXT NOT NULL,
  session TEXT NOT NULL,
  run TEXT NOT NULL,
  model TEXT NOT NULL,
  provider TEXT NOT NULL,
  key_last4 TEXT NOT NULL,
  taken_at INTEGER NOT NULL,             -- never earlier than that of any charge before
  day_start INTEGER NOT NULL, day_end INTEGER NOT NULL,
  month_start INTEGER NOT NULL, month_end INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('held', 'settled', 'released')),
  reserved INTEGER CHECK (reserved >= 0),   -- null: no price was known, and no limit was set
  settled INTEGER CHECK (settled >= 0),     -- null while held, and when no price is known
  kind TEXT NOT NULL,                       -- CostKind
  uncached_input INTEGER, cached_input INTEGER, cache_write INTEGER, output INTEGER, reasoning INTEGER,
  usage_source TEXT,
  price TEXT NOT NULL,                      -- JSON, the price row as it was when the request was made
  outcome TEXT,
  closed_at INTEGER,
  breach INTEGER NOT NULL DEFAULT 0 CHECK (breach >= 0),   -- what was billed above the reservation
  breach_cleared INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX charges_exchange ON charges (exchange);
CREATE INDEX charges_taken ON charges (taken_at);
CREATE INDEX charges_open ON charges (taken_at) WHERE state = 'held';
CREATE INDEX charges_breach ON charges (model) WHERE breach > 0 AND breach_cleared = 0;

-- A charge is closed once and stays.
CREATE TRIGGER charges_closed BEFORE UPDATE OF state, reserved, settled ON charges WHEN old.state <> 'held' BEGIN
  SELECT raise(ABORT, 'a closed charge does not change');
END;
CREATE TRIGGER charges_stay BEFORE DELETE ON charges BEGIN
  SELECT raise(ABORT, 'a charge is never deleted');
END;

-- The sums over charges, kept by the triggers below so that admission costs the same after a hundred thousand of them.
CREATE TABLE totals (
  scope TEXT NOT NULL,                   -- run, session, day, month
  place ANY NOT NULL,                    -- the id, or the end of the window
  settled INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  estimated INTEGER NOT NULL,            -- how many settled charges are estimates
  unknown INTEGER NOT NULL,              -- how many charges of unknown price are not in the sums
  PRIMARY KEY (scope, place)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER charges_held AFTER INSERT ON charges BEGIN
  INSERT INTO totals (scope, place, settled, reserved, estimated, unknown)
    SELECT scope, place, 0, coalesce(new.reserved, 0), 0, new.reserved IS NULL
    FROM (SELECT 'run' AS scope, new.run AS place UNION ALL SELECT 'session', new.session
          UNION ALL SELECT 'day', new.day_end UNION ALL SELECT 'month', new.month_end)
    WHERE true
    ON CONFLICT DO UPDATE SET reserved = reserved + excluded.reserved, unknown = unknown + excluded.unknown;
END;
CREATE TRIGGER charges_ended AFTER UPDATE OF state ON charges BEGIN
  INSERT INTO totals (scope, place, settled, reserved, estimated, unknown)
    SELECT scope, place, coalesce(new.settled, 0), -coalesce(old.reserved, 0),
           new.state = 'settled' AND new.kind = 'estimated',
           (new.state = 'settled' AND new.settled IS NULL) - (old.reserved IS NULL)
    FROM (SELECT 'run' AS scope, new.run AS place UNION ALL SELECT 'session', new.session
          UNION ALL SELECT 'day', new.day_end UNION ALL SELECT 'month', new.month_end)
    WHERE true
    ON CONFLICT DO UPDATE SET settled = settled + excluded.settled, reserved = reserved + excluded.reserved,
      estimated = estimated + excluded.estimated, unknown = unknown + excluded.unknown;
END;

CREATE VIRTUAL TABLE message_words USING fts5 (
  text, content = 'messages', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
  INSERT INTO message_words (rowid, text) VALUES (new.seq, new.text);
END;
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
  INSERT INTO message_words (message_words, rowid, text) VALUES ('delete', old.seq, old.text);
END;
CREATE TRIGGER messages_changed AFTER UPDATE OF text ON messages BEGIN
  INSERT INTO message_words (message_words, rowid, text) VALUES ('delete', old.seq, old.text);
  INSERT INTO message_words (rowid, text) VALUES (new.seq, new.text);
END;

CREATE VIRTUAL TABLE title_words USING fts5 (
  title, content = 'sessions', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER sessions_added AFTER INSERT ON sessions BEGIN
  INSERT INTO title_words (rowid, title) VALUES (new.seq, new.title);
END;
CREATE TRIGGER sessions_removed AFTER DELETE ON sessions BEGIN
  INSERT INTO title_words (title_words, rowid, title) VALUES ('delete', old.seq, old.title);
END;
CREATE TRIGGER sessions_retitled AFTER UPDATE OF title ON sessions BEGIN
  INSERT INTO title_words (title_words, rowid, title) VALUES ('delete', old.seq, old.title);
  INSERT INTO title_words (rowid, title) VALUES (new.seq, new.title);
END;
