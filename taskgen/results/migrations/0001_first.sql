-- The first schema. docs/handlers.md explains it. A schema that was released is never changed:
-- add a file with the next number.

-- Under which conditions runs were measured; each combination once.
CREATE TABLE conditions (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,      -- of all the columns below
    schema INTEGER NOT NULL,
    taskgen TEXT NOT NULL,
    taskset TEXT NOT NULL,
    taskset_sha256 TEXT NOT NULL,
    seed,                             -- a whole number, or text
    profile TEXT NOT NULL,
    accelerator TEXT NOT NULL,
    emulated INTEGER,                 -- 0, 1, or NULL where nobody told
    icount INTEGER,
    qemu TEXT NOT NULL,
    image_sha256 TEXT NOT NULL,
    binaries TEXT NOT NULL,           -- name=sha256, with spaces between
    host TEXT NOT NULL,
    more TEXT NOT NULL                -- JSON
);

-- One attempt at a variant.
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL,
    variant NOT NULL,                 -- a whole number; text where it has more than 64 bits
    attempt INTEGER NOT NULL,
    target TEXT NOT NULL,
    result TEXT NOT NULL,             -- ok, or the class of the failure
    reason TEXT NOT NULL,
    started_at REAL NOT NULL,         -- seconds since the epoch
    duration_s REAL NOT NULL,
    console TEXT NOT NULL,
    description_sha256 TEXT NOT NULL,
    runs_since_boot INTEGER,
    given_up INTEGER NOT NULL DEFAULT 0,
    recorded_at REAL NOT NULL,
    conditions INTEGER NOT NULL REFERENCES conditions (number)
);
CREATE INDEX run_by_variant ON run (job_id, variant, attempt);
CREATE INDEX run_by_age ON run (started_at);
CREATE INDEX run_by_record ON run (recorded_at, number);
CREATE INDEX run_by_conditions ON run (conditions);

-- The values that vary, by <task id>.<key>.
CREATE TABLE parameter (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX parameter_by_value ON parameter (name, value);

-- One release of a task. Times: µs on the guest's clock, 0 at START.
CREATE TABLE activation (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    task_id INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    pkg TEXT NOT NULL,
    release_us INTEGER NOT NULL,
    start_us INTEGER,
    end_us INTEGER,
    deadline_us INTEGER,
    cpu_us INTEGER,
    response_us INTEGER,
    missed INTEGER,                   -- 0, 1, or NULL where that cannot be said
    exit TEXT NOT NULL,
    PRIMARY KEY (run, task_id, activation)
) WITHOUT ROWID;
CREATE INDEX activation_by_pkg ON activation (pkg, response_us);
CREATE INDEX activation_missed ON activation (missed, run) WHERE missed;

-- What the other formats have as one row.
CREATE VIEW activations AS
SELECT
    run.run_id, run.job_id, run.variant, run.attempt, run.target, run.result, run.started_at,
    activation.task_id, activation.pkg, activation.activation, activation.release_us,
    activation.start_us, activation.end_us, activation.deadline_us, activation.cpu_us,
    activation.response_us, activation.missed, activation.exit,
    conditions.schema, conditions.taskgen, conditions.taskset, conditions.taskset_sha256,
    run.description_sha256, conditions.seed, conditions.profile, conditions.accelerator,
    conditions.emulated, conditions.icount, conditions.qemu, conditions.image_sha256,
    conditions.binaries, conditions.host, run.runs_since_boot
FROM activation
JOIN run ON run.number = activation.run
JOIN conditions ON conditions.number = run.conditions;
