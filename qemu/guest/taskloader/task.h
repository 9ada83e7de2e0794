/* A task-set as it was described, and what has become of each of its tasks. */
#ifndef TASK_H
#define TASK_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

enum {
    TASKS_MAX = 512,
    ARGUMENTS_MAX = 32,
    PKG_SIZE = 16,     /* 15 characters and a NUL, as on the wire */
    PRIORITY_NONE = -1,
    PRIORITY_MAX = 127,
};

enum policy { POLICY_OTHER, POLICY_FIFO, POLICY_DEADLINE };

/* What the XML says. Times are in microseconds here, in milliseconds there. */
struct description {
    int64_t id;
    char pkg[PKG_SIZE];
    uint64_t quota_bytes;         /* 0: no limit */
    uint64_t executiontime_us;
    uint64_t criticaltime_us;     /* 0: never killed for it */
    uint64_t period_us;           /* 0: released once */
    uint64_t offset_us;
    uint64_t deadline_us;         /* 0: none */
    uint64_t numberofjobs;        /* 0: never ends */
    int priority;                 /* PRIORITY_NONE, or 0 (most urgent) … PRIORITY_MAX */
    unsigned cores;               /* 0: all */
    unsigned coreoffset;
    char *arguments[ARGUMENTS_MAX + 2]; /* pkg, arg1, arg2 …, NULL */
    char *config;                 /* "TASKGEN_CONFIG=<config>…</config>" */
};

/* Fixed at START, for the whole set. */
struct placement {
    enum policy policy;
    int fifo_priority;            /* 97 … 1, for POLICY_FIFO */
    cpu_set_t cpus;
    char refused[128];            /* why admission control refused it; empty: admitted */
};

/* At most one process of a task exists. */
enum process_state {
    PROCESS_NONE,
    PROCESS_PREPARING, /* forked; sets itself up and executes the binary */
    PROCESS_PREPARED,  /* stopped before the binary's first instruction, waits for its release */
    PROCESS_STILLBORN, /* died before its release; told then, because only then it begins */
    PROCESS_RELEASED,  /* its release came while it was still being prepared */
    PROCESS_RUNNING,
    PROCESS_DYING,     /* killed, and not gone yet */
};

struct process {
    struct watch watch;           /* on the pidfd */
    enum process_state state;
    int pid;
    uint64_t prepared_cpu_us;     /* CPU time that it had used before it ran */
    uint64_t oom_before;          /* out-of-memory count of its cgroup before it */
    const char *killed_as;        /* event type if we killed it, else NULL */
};

struct task {
    struct description description;
    struct placement placement;
    struct process process;
    unsigned slot;                /* its place in the table, and the number of its cgroup */
    bool has_binary;              /* at START */
    bool made_ahead;              /* its processes are, there is memory for it */
    bool done;                    /* no further release, no further event */
    uint64_t started;             /* activations since START */
    uint64_t lost;                /* releases since START that passed unnoticed */
    uint64_t next_release_us;     /* NEVER_US: none */
    uint64_t release_us;          /* when the present or last activation was due */
    uint64_t start_us;            /* when it began */
    uint64_t kill_us;             /* its critical time; NEVER_US: none */
};

struct taskset {
    unsigned count;
    struct task task[TASKS_MAX];
};

/* There is one task-set at a time. The table stays where it is, see struct watch. */
extern struct taskset taskset;

/* An activation is under way: it has begun and its end is still to be told. */
static inline bool is_active(const struct task *task)
{
    return task->process.state >= PROCESS_RELEASED;
}

static inline const char *policy_name(enum policy policy)
{
    static const char *const names[] = {"SCHED_OTHER", "SCHED_FIFO", "SCHED_DEADLINE"};

    return names[policy];
}

#endif
