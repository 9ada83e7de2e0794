-- Every statement but the schema's. "-- name:" begins one; VALUES (…) of those that end in it is
-- repeated for as many rows as there are.

-- name: add_job
INSERT INTO jobs (
    number, id, name, labels, priority, profile, settings, tries, document, provenance,
    repeat, first, total, state, cursor, added_at
) VALUES (
    :number, :id, :name, :labels, :priority, :profile, :settings, :tries, :document,
    :provenance, :repeat, :first, :total, :state, :cursor, :added_at
)

-- name: update_job
UPDATE jobs SET
    state = :state, error = :error, total = :total, cursor = :cursor, ended_at = :ended_at,
    done = done + :done, bad = bad + :bad, failed_attempts = failed_attempts + :failed_attempts
WHERE number = :number

-- name: last_number
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'jobs'

-- name: release
DELETE FROM claims WHERE (job, position) IN (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
)

-- name: claim
INSERT OR REPLACE INTO claims (job, position, attempt, counts_from, target)
VALUES (?, ?, ?, ?, ?)

-- name: keep_attempts
INSERT INTO attempts (
    job, position, attempt, variant, parameters, target, failure, reason, started_at, duration_s,
    activations, events, console, provenance
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: set_aside
INSERT INTO bad (job, position, attempt)
VALUES (?, ?, ?)

-- name: drop_waiting
DELETE FROM claims WHERE job = ? AND target IS NULL

-- name: drop_claims
DELETE FROM claims WHERE job = ?

-- name: nothing_runs
UPDATE claims SET target = NULL WHERE target IS NOT NULL

-- name: open_jobs
SELECT * FROM jobs WHERE ended_at IS NULL ORDER BY number

-- name: job
SELECT * FROM jobs WHERE id = ?

-- name: jobs
SELECT * FROM jobs WHERE number > ? ORDER BY number LIMIT ?

-- name: claims_of
SELECT position, attempt, counts_from FROM claims WHERE job = ? ORDER BY position

-- name: failures_of
SELECT * FROM attempts
WHERE job = ? AND position = ? AND attempt >= ? AND failure IS NOT NULL
ORDER BY attempt

-- name: bad_of
SELECT position, attempt FROM bad WHERE job = ? AND position > ? ORDER BY position LIMIT ?

-- name: forgive
DELETE FROM bad WHERE (job, position) IN (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
)

-- name: results_of
SELECT attempts.*, jobs.id AS job_id FROM attempts JOIN jobs ON jobs.number = attempts.job
WHERE attempts.job = ? AND failure IS NULL AND position > ?
ORDER BY position LIMIT ?

-- name: attempts_after
SELECT attempts.*, jobs.id AS job_id FROM attempts JOIN jobs ON jobs.number = attempts.job
WHERE attempts.id > ? ORDER BY attempts.id LIMIT ?

-- name: attempts_at
SELECT attempts.*, jobs.id AS job_id FROM attempts JOIN jobs ON jobs.number = attempts.job
WHERE attempts.job = :job AND position = :position AND failure IS NULL
UNION ALL
SELECT attempts.*, jobs.id AS job_id FROM attempts JOIN jobs ON jobs.number = attempts.job
WHERE attempts.job = :job AND position = :position AND failure IS NOT NULL
ORDER BY attempt

-- name: prune
DELETE FROM jobs WHERE ended_at IS NOT NULL AND ended_at < ?

-- name: give_back_space
PRAGMA incremental_vacuum
