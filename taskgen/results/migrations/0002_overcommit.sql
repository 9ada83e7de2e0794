-- Whether machines had to wait for each other, and how long. NULL: measured before, or on a board.
ALTER TABLE conditions ADD COLUMN host_cores REAL;
ALTER TABLE conditions ADD COLUMN fleet_vcpus INTEGER;
ALTER TABLE conditions ADD COLUMN cpus_overcommitted INTEGER;
ALTER TABLE conditions ADD COLUMN memory_overcommitted INTEGER;
ALTER TABLE conditions ADD COLUMN pinned_cpus TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN vcpu_wait_ms REAL;
ALTER TABLE run ADD COLUMN host_steal_share REAL;

DROP VIEW activations;
CREATE VIEW activations AS
SELECT
    run.run_id, run.job_id, run.variant, run.attempt, run.target, run.result, run.started_at,
    activation.task_id, activation.pkg, activation.activation, activation.release_us,
    activation.start_us, activation.end_us, activation.deadline_us, activation.cpu_us,
    activation.response_us, activation.missed, activation.exit,
    conditions.schema, conditions.taskgen, conditions.taskset, conditions.taskset_sha256,
    run.description_sha256, conditions.seed, conditions.profile, conditions.accelerator,
    conditions.emulated, conditions.icount, conditions.qemu, conditions.image_sha256,
    conditions.binaries, conditions.host, run.runs_since_boot, conditions.host_cores,
    conditions.fleet_vcpus, conditions.cpus_overcommitted, conditions.memory_overcommitted,
    conditions.pinned_cpus, run.vcpu_wait_ms, run.host_steal_share
FROM activation
JOIN run ON run.number = activation.run
JOIN conditions ON conditions.number = run.conditions;
