-- Each statement below its name; taskgen.results.statements reads them.

-- name: conditions_number
SELECT number FROM conditions WHERE digest = :digest;

-- name: insert_conditions
INSERT INTO conditions (
    digest, schema, taskgen, taskset, taskset_sha256, seed, profile, accelerator, emulated, icount,
    qemu, image_sha256, binaries, host, host_cores, fleet_vcpus, cpus_overcommitted,
    memory_overcommitted, pinned_cpus, more
) VALUES (
    :digest, :schema, :taskgen, :taskset, :taskset_sha256, :seed, :profile, :accelerator, :emulated,
    :icount, :qemu, :image_sha256, :binaries, :host, :host_cores, :fleet_vcpus, :cpus_overcommitted,
    :memory_overcommitted, :pinned_cpus, :more
);

-- name: insert_run
INSERT INTO run (
    run_id, job_id, variant, attempt, target, result, reason, started_at, duration_s, console,
    description_sha256, runs_since_boot, vcpu_wait_ms, host_steal_share, recorded_at, conditions
) VALUES (
    :run_id, :job_id, :variant, :attempt, :target, :result, :reason, :started_at, :duration_s,
    :console, :description_sha256, :runs_since_boot, :vcpu_wait_ms, :host_steal_share, :recorded_at,
    :conditions
) ON CONFLICT (run_id) DO NOTHING;

-- name: insert_parameter
INSERT INTO parameter (run, name, value) VALUES (?, ?, ?);

-- name: insert_activation
INSERT INTO activation (
    run, task_id, pkg, activation, release_us, start_us, end_us, deadline_us, cpu_us, response_us,
    missed, exit
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: give_up
UPDATE run SET given_up = 1 WHERE run_id = :run_id;

-- name: runs_counted
SELECT count(*) FROM run;

-- name: activations_counted
SELECT count(*) FROM activation;

-- name: runs_before
SELECT count(*) FROM run WHERE recorded_at < :before;

-- name: oldest_kept
SELECT recorded_at, number FROM run ORDER BY recorded_at DESC, number DESC LIMIT 1 OFFSET :kept;

-- name: delete_oldest
DELETE FROM run WHERE number IN (
    SELECT number FROM run
    WHERE recorded_at < :before OR (recorded_at = :before AND number <= :number)
    ORDER BY recorded_at, number
    LIMIT :batch
);

-- name: delete_unused_conditions
DELETE FROM conditions WHERE number NOT IN (SELECT conditions FROM run);
