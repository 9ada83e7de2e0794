-- The queue's database, version 1. docs/queue.md explains it to people who read it.

-- One row for each job that was ever added, until it is pruned. A job of any size is one row: its
-- document and a cursor.
CREATE TABLE jobs (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,  -- age: older jobs have smaller ones
    id              TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    labels          TEXT NOT NULL,                      -- JSON object of texts
    priority        INTEGER NOT NULL,                   -- larger goes first
    profile         TEXT,                               -- machine profile; NULL: any
    settings        TEXT NOT NULL,                      -- JSON object: SessionSettings
    tries           INTEGER NOT NULL CHECK (tries > 0),
    document        TEXT,                               -- JSON; NULL: embedded only
    provenance      TEXT NOT NULL,                      -- JSON object: goes into each run
    repeat          INTEGER NOT NULL CHECK (repeat > 0),
    first           INTEGER NOT NULL CHECK (first >= 0),        -- position to begin at
    total           INTEGER CHECK (total >= 0),         -- variants in all; NULL: not known
    state           TEXT NOT NULL
        CHECK (state IN ('queued', 'running', 'paused', 'cancelled', 'done', 'failed')),
    error           TEXT NOT NULL DEFAULT '',           -- why it failed
    cursor          INTEGER NOT NULL,                   -- positions below it have been begun
    done            INTEGER NOT NULL DEFAULT 0,         -- variants with a result
    bad             INTEGER NOT NULL DEFAULT 0,         -- variants that were set aside
    failed_attempts INTEGER NOT NULL DEFAULT 0,
    added_at        REAL NOT NULL,                      -- seconds since the epoch
    ended_at        REAL
) STRICT;

-- The jobs that a restart goes on with.
CREATE INDEX open_jobs ON jobs (number) WHERE ended_at IS NULL;

-- The variants that were begun and are neither through nor set aside.
CREATE TABLE claims (
    job             INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,   -- the one that runs, or comes next
    counts_from     INTEGER NOT NULL,   -- earlier attempts do not count any more
    target          TEXT,               -- where it runs; NULL: it waits for another attempt
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

-- One row for each attempt that has ended, with all that came of it.
CREATE TABLE attempts (
    id              INTEGER PRIMARY KEY,                -- in the order in which they were kept
    job             INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position        INTEGER NOT NULL,                   -- of the variant in its job
    attempt         INTEGER NOT NULL,                   -- 1 for the first
    variant         INTEGER NOT NULL,                   -- the variant's index in its task-set
    parameters      TEXT,               -- JSON; NULL where the job's document tells them
    target          TEXT NOT NULL,
    failure         TEXT CHECK (failure IN ('task', 'guest', 'machine', 'infrastructure')),
    reason          TEXT NOT NULL,
    started_at      REAL NOT NULL,                      -- seconds since the epoch
    duration_s      REAL NOT NULL,
    activations     TEXT NOT NULL,      -- JSON; the view "activations" reads it
    events          TEXT,               -- JSON; only of failed attempts
    console         TEXT,               -- only of failed attempts
    provenance      TEXT NOT NULL       -- JSON object
) STRICT;

-- What makes a second result for a variant impossible.
CREATE UNIQUE INDEX one_result ON attempts (job, position) WHERE failure IS NULL;
CREATE UNIQUE INDEX one_failure_for_each_attempt
    ON attempts (job, position, attempt) WHERE failure IS NOT NULL;

-- The variants that were set aside, each with its last attempt.
CREATE TABLE bad (
    job             INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

-- One row for each activation. Times are µs on the guest's clock, 0 at START.
CREATE VIEW activations AS
SELECT
    jobs.id || '-' || attempts.position || '-' || attempts.attempt AS run,
    jobs.id AS job,
    attempts.variant AS variant,
    attempts.attempt AS attempt,
    attempts.failure AS failure,
    json_extract(one.value, '$[0]') AS task_id,
    json_extract(one.value, '$[1]') AS pkg,
    json_extract(one.value, '$[2]') AS number,
    json_extract(one.value, '$[3]') AS release_us,
    json_extract(one.value, '$[4]') AS start_us,
    json_extract(one.value, '$[5]') AS end_us,
    json_extract(one.value, '$[6]') AS deadline_us,
    json_extract(one.value, '$[7]') AS cpu_us,
    json_extract(one.value, '$[8]') AS exit
FROM attempts
JOIN jobs ON jobs.number = attempts.job
JOIN json_each(attempts.activations) AS one;
