-- Every statement but the schema's. "-- name:" begins one; VALUES (…) of those that end in it is
-- repeated for as many rows as there are.

-- name: add_job
INSERT INTO jobs (
    number, id, name, labels, priority, profile, settings, tries, document, provenance,
    repeat, first, total, state, cursor, added_at, binaries, idempotency_key, request,
    attempts_after
) VALUES (
    :number, :id, :name, :labels, :priority, :profile, :settings, :tries, :document,
    :provenance, :repeat, :first, :total, :state, :cursor, :added_at, :binaries, :idempotency_key,
    :request,
    (SELECT max(last, coalesce((SELECT max(id) FROM attempts), 0)) FROM attempts_gone)
)

-- name: update_job
UPDATE jobs SET
    state = :state, error = :error, total = :total, cursor = :cursor, ended_at = :ended_at,
    done = done + :done, bad = bad + :bad, failed_attempts = failed_attempts + :failed_attempts
WHERE number = :number

-- name: change_job
UPDATE jobs SET priority = ?, name = ? WHERE number = ?

-- name: last_attempt
SELECT max(last, coalesce((SELECT max(id) FROM attempts), 0)) AS id FROM attempts_gone

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
    id, job, position, attempt, variant, parameters, target, failure, reason, started_at, duration_s,
    activations, events, console, provenance, diagnosis
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: set_aside
INSERT INTO bad (job, position, attempt)
VALUES (?, ?, ?)

-- name: mark_bad
UPDATE attempts SET bad = 1
WHERE job = ? AND position = ? AND attempt = ? AND failure IS NOT NULL

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

-- name: job_info
SELECT * FROM job_infos WHERE id = ?

-- name: job_by_number
SELECT * FROM jobs WHERE number = ?

-- name: job_of_key
SELECT id, request FROM jobs WHERE idempotency_key = ?

-- name: document_of
SELECT document FROM jobs WHERE id = ?

-- name: jobs
SELECT * FROM job_infos
WHERE number > :after AND (:state IS NULL OR state = :state) AND NOT EXISTS (
    SELECT 1 FROM json_each(:labels) AS wanted WHERE NOT EXISTS (
        SELECT 1 FROM json_each(job_infos.labels) AS own
        WHERE own.key = wanted.key AND own.value = wanted.value
    )
)
ORDER BY number LIMIT :limit

-- name: binaries_in_use
SELECT DISTINCT one.value AS sha256 FROM jobs JOIN json_each(jobs.binaries) AS one

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

-- name: feed_end
SELECT id FROM attempts WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?

-- name: feed
SELECT attempts.*, jobs.id AS job_id FROM attempts JOIN jobs ON jobs.number = attempts.job
WHERE attempts.id > :after AND attempts.id <= :until AND (:job IS NULL OR attempts.job = :job)
ORDER BY attempts.id LIMIT :limit

-- name: begun
SELECT position FROM (
    SELECT * FROM (
        SELECT position FROM attempts
        WHERE job = :job AND failure IS NULL AND position > :after
        ORDER BY position LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT DISTINCT position FROM attempts
        WHERE job = :job AND failure IS NOT NULL AND position > :after
        ORDER BY position LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT position FROM claims WHERE job = :job AND position > :after
        ORDER BY position LIMIT :limit
    )
)
ORDER BY position LIMIT :limit

-- name: begun_and_failed
SELECT DISTINCT position FROM attempts
WHERE job = :job AND failure IS NOT NULL AND position > :after
ORDER BY position LIMIT :limit

-- name: begun_and_not_failed
SELECT position FROM (
    SELECT * FROM (
        SELECT position FROM attempts
        WHERE job = :job AND failure IS NULL AND position > :after AND NOT EXISTS (
            SELECT 1 FROM attempts AS other
            WHERE other.job = :job AND other.position = attempts.position
            AND other.failure IS NOT NULL
        )
        ORDER BY position LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT position FROM claims
        WHERE job = :job AND position > :after AND NOT EXISTS (
            SELECT 1 FROM attempts AS other
            WHERE other.job = :job AND other.position = claims.position
            AND other.failure IS NOT NULL
        )
        ORDER BY position LIMIT :limit
    )
)
ORDER BY position LIMIT :limit

-- name: claims_at
SELECT position, attempt, target FROM claims
WHERE job = :job AND position IN (SELECT value FROM json_each(:positions))

-- name: ends_at
SELECT
    id, job, position, attempt, variant, parameters, target, failure, reason, started_at,
    duration_s, '[]' AS activations, NULL AS events, NULL AS console, provenance, diagnosis, bad
FROM attempts
WHERE job = :job AND failure IS NULL AND position IN (SELECT value FROM json_each(:positions))
UNION ALL
SELECT
    id, job, position, attempt, variant, parameters, target, failure, reason, started_at,
    duration_s, '[]' AS activations, NULL AS events, NULL AS console, provenance, diagnosis, bad
FROM attempts
WHERE job = :job AND failure IS NOT NULL AND position IN (SELECT value FROM json_each(:positions))
ORDER BY position, attempt

-- name: attempt
SELECT attempts.*, jobs.id AS job_id FROM attempts JOIN jobs ON jobs.number = attempts.job
WHERE attempts.id = ?

-- name: export_jobs
SELECT * FROM job_infos
WHERE number > :after AND (:id IS NULL OR id = :id) AND NOT EXISTS (
    SELECT 1 FROM json_each(:labels) AS wanted WHERE NOT EXISTS (
        SELECT 1 FROM json_each(job_infos.labels) AS own
        WHERE own.key = wanted.key AND own.value = wanted.value
    )
)
ORDER BY number LIMIT :limit

-- name: export_results
SELECT * FROM attempts
WHERE job = :job AND failure IS NULL AND position > :position
    AND (:target IS NULL OR target = :target)
    AND (:since IS NULL OR started_at >= :since) AND (:until IS NULL OR started_at < :until)
    AND (:first IS NULL OR variant >= :first) AND (:last IS NULL OR variant <= :last)
ORDER BY position LIMIT :limit

-- name: export_failures
SELECT * FROM attempts
WHERE job = :job AND failure IS NOT NULL AND (position, attempt) > (:position, :attempt)
    AND (:failure IS NULL OR failure = :failure) AND (:target IS NULL OR target = :target)
    AND (:since IS NULL OR started_at >= :since) AND (:until IS NULL OR started_at < :until)
    AND (:first IS NULL OR variant >= :first) AND (:last IS NULL OR variant <= :last)
ORDER BY position, attempt LIMIT :limit

-- name: export_parameters
SELECT one.key AS name FROM (
    SELECT id, parameters FROM attempts WHERE job = :job AND failure IS NULL
    UNION ALL
    SELECT id, parameters FROM attempts WHERE job = :job AND failure IS NOT NULL
) AS kept JOIN json_each(kept.parameters) AS one
GROUP BY one.key ORDER BY min(kept.id), min(one.id)

-- name: ended_before
SELECT number, id FROM jobs WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY number

-- name: ended_first
SELECT number, id FROM jobs WHERE ended_at IS NOT NULL ORDER BY ended_at, number LIMIT 1

-- name: ended_beyond
SELECT number, id FROM (
    SELECT number, id, ended_at, sum(done + failed_attempts) OVER (
        ORDER BY ended_at IS NULL DESC, ended_at DESC, number DESC
    ) AS runs FROM jobs
)
WHERE ended_at IS NOT NULL AND runs > ? ORDER BY number

-- name: forget
INSERT OR IGNORE INTO forgotten (job)
VALUES (?)

-- name: drop_job
DELETE FROM jobs WHERE number = ?

-- name: keep_last_attempt
UPDATE attempts_gone SET last = max(last, coalesce((SELECT max(id) FROM attempts), 0))

-- name: forgotten
SELECT job FROM forgotten ORDER BY job LIMIT 1

-- name: sweep_results
DELETE FROM attempts WHERE id IN (
    SELECT id FROM attempts WHERE job = :job AND failure IS NULL LIMIT :limit
)

-- name: sweep_failures
DELETE FROM attempts WHERE id IN (
    SELECT id FROM attempts WHERE job = :job AND failure IS NOT NULL LIMIT :limit
)

-- name: sweep_claims
DELETE FROM claims WHERE job = :job AND position IN (
    SELECT position FROM claims WHERE job = :job LIMIT :limit
)

-- name: sweep_bad
DELETE FROM bad WHERE job = :job AND position IN (
    SELECT position FROM bad WHERE job = :job LIMIT :limit
)

-- name: swept
DELETE FROM forgotten WHERE job = ?
