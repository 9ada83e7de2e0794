-- A database of version 1, as it was released. Never change it.
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN TRANSACTION;
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
INSERT INTO "activation" VALUES(1,1,1,'hey',100000,100050,101000,200000,900,1000,0,'EXIT');
INSERT INTO "activation" VALUES(1,1,2,'hey',100000,100050,101000,200000,900,1000,0,'EXIT');
INSERT INTO "activation" VALUES(2,1,1,'hey',100000,100050,101000,200000,900,1000,0,'EXIT');
INSERT INTO "activation" VALUES(2,1,2,'hey',100000,100050,101000,200000,900,1000,0,'EXIT');
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
INSERT INTO "conditions" VALUES(1,'5dd86ea372a39b58904136e140e0eb7bc788b02c787ed4842001733b253411f5',1,'0.1.0','Fake','abababababababababababababababababababababababababababababababab',7,'linux-x86_64','tcg',1,0,'7.2.22','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','hey=1234 pi=5678','lab-1','{"reset": "clear"}');
CREATE TABLE parameter (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
INSERT INTO "parameter" VALUES(2,'1.period',20);
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
INSERT INTO "run" VALUES(1,'job-0-1','job',0,1,'taskgen-1','ok','',1700000000.25,0.5,'','68e01d7d6b2cd045a85d9e767eaac76918bb35cd8216e9d2b82b475c3f9c3741',4,0,1700000100.0,1);
INSERT INTO "run" VALUES(2,'job-1-1','job',1,1,'taskgen-1','ok','',1700000000.25,0.5,'','68e01d7d6b2cd045a85d9e767eaac76918bb35cd8216e9d2b82b475c3f9c3741',4,0,1700000100.0,1);
CREATE INDEX run_by_variant ON run (job_id, variant, attempt);
CREATE INDEX run_by_age ON run (started_at);
CREATE INDEX run_by_record ON run (recorded_at, number);
CREATE INDEX run_by_conditions ON run (conditions);
CREATE INDEX parameter_by_value ON parameter (name, value);
CREATE INDEX activation_by_pkg ON activation (pkg, response_us);
CREATE INDEX activation_missed ON activation (missed, run) WHERE missed;
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
COMMIT;
PRAGMA user_version = 1;
PRAGMA application_id = 1413959250;
