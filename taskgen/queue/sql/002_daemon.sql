-- Version 2: what a daemon needs beside its queue.

-- Task binaries that were uploaded: a JSON object, SHA-256 by the pkg of the tasks.
ALTER TABLE jobs ADD COLUMN binaries TEXT NOT NULL DEFAULT '{}';

-- Makes the adding of a job safe to repeat: the key, and what tells its request from others.
ALTER TABLE jobs ADD COLUMN idempotency_key TEXT;
ALTER TABLE jobs ADD COLUMN request TEXT;
CREATE UNIQUE INDEX one_job_for_each_key ON jobs (idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- Attempts of the job have larger ids than this.
ALTER TABLE jobs ADD COLUMN attempts_after INTEGER NOT NULL DEFAULT 0;

-- The jobs that can be old enough to be pruned.
CREATE INDEX ended_jobs ON jobs (ended_at) WHERE ended_at IS NOT NULL;

-- Whether the variant was set aside with this attempt. It stays when the variant is run again.
ALTER TABLE attempts ADD COLUMN bad INTEGER NOT NULL DEFAULT 0;
UPDATE attempts SET bad = 1
WHERE failure IS NOT NULL AND (job, position, attempt) IN (SELECT job, position, attempt FROM bad);

-- Jobs that were deleted, and of which something is still there. Nobody sees it: all that reads
-- attempts joins jobs.
CREATE TABLE forgotten (
    job             INTEGER PRIMARY KEY
) STRICT;

-- The largest id that an attempt ever had which is gone. Whoever follows attempts goes on behind
-- an id, so none is used a second time.
CREATE TABLE attempts_gone (
    last            INTEGER NOT NULL
) STRICT;
INSERT INTO attempts_gone VALUES (0);

-- What there is to know of a job but its document.
CREATE VIEW job_infos AS
SELECT
    number, id, name, labels, priority, profile, settings, tries, document IS NOT NULL AS resumable,
    provenance, repeat, first, total, state, error, cursor, done, bad, failed_attempts, added_at,
    ended_at, binaries, attempts_after
FROM jobs;
