#include "timeline.h"

#include <stdlib.h>

#include "admission.h"
#include "binaries.h"
#include "cgroup.h"
#include "console.h"
#include "events.h"
#include "memory.h"
#include "process.h"
#include "schedule.h"

static bool started;
/* How many processes may wait for their release; the others are made when it comes. */
static uint64_t ahead_max;
static unsigned ahead;
/* The tasks, the most urgent first: of several releases at one instant it must not wait. */
static struct task *by_urgency[TASKS_MAX];

static void forget(struct task *task)
{
    task->done = true;
    task->next_release_us = NEVER_US;
    task->kill_us = NEVER_US;
}

static bool had_its_last(const struct task *task)
{
    uint64_t limit = task->description.period_us == 0 ? 1 : task->description.numberofjobs;

    return limit > 0 && task->started >= limit;
}

/* After the end of an activation, whoever ended it. */
static void after_end(struct task *task, const struct ending *ending)
{
    uint64_t at_us = now_us();

    event_exit(task, ending, at_us);
    task->kill_us = NEVER_US;
    if (had_its_last(task)) {
        event_jobs_done(task, at_us);
        forget(task);
    } else if (task->made_ahead) {
        process_prepare(task);
    }
}

static void ended_by_itself(struct task *task, struct ending ending)
{
    after_end(task, &ending);
}

void timeline_init(void)
{
    process_init(ended_by_itself);
}

static void begin_activation(struct task *task)
{
    /* Where preparing failed before, there may be memory for it now. */
    if (task->process.state == PROCESS_NONE && !process_prepare(task))
        return;
    task->started++;
    task->start_us = now_us();
    if (task->description.criticaltime_us > 0)
        task->kill_us = task->start_us + task->description.criticaltime_us;
    process_release(task);
    event_start(task);
}

/* What admission refused will never be released: said once, as Genode's servers do. */
static void refuse(struct task *task, uint64_t at_us)
{
    task->started++;
    event_not_scheduled(task, at_us);
    event_jobs_done(task, at_us);
    forget(task);
}

/* From one point of the grid to the next. Points that have gone by unnoticed are lost, and said to
 * be. */
static void advance(struct task *task, uint64_t at_us)
{
    uint64_t period_us = task->description.period_us;

    if (period_us == 0) {
        task->release_us = task->next_release_us;
        task->next_release_us = NEVER_US;
        return;
    }
    uint64_t late_periods = (at_us - task->next_release_us) / period_us;
    if (late_periods > 0 && task->lost == 0)
        console("task %lld %s: releases are lost: the last activation was still dying, or the "
                "machine is overloaded (GET_PROFILE counts them)",
                (long long)task->description.id, task->description.pkg);
    task->lost += late_periods;
    task->release_us = task->next_release_us + late_periods * period_us;
    task->next_release_us = task->release_us + period_us;
}

static void release(struct task *task, uint64_t at_us)
{
    uint64_t was_due_us = task->release_us;

    advance(task, at_us);
    if (is_active(task)) {
        task->release_us = was_due_us; /* its end is about the activation that is killed */
        process_kill(task, "EXIT_PERIOD");
    } else {
        begin_activation(task);
    }
}

static int more_urgent(const void *left, const void *right)
{
    const struct task *a = *(struct task *const *)left;
    const struct task *b = *(struct task *const *)right;

    if (a->placement.policy != b->placement.policy)
        return (int)b->placement.policy - (int)a->placement.policy;
    if (a->placement.policy == POLICY_DEADLINE &&
        a->description.deadline_us != b->description.deadline_us)
        return a->description.deadline_us < b->description.deadline_us ? -1 : 1;
    if (a->placement.fifo_priority != b->placement.fifo_priority)
        return b->placement.fifo_priority - a->placement.fifo_priority;
    return (int)a->slot - (int)b->slot;
}

/* Whether a task will be released at all; its first process, if so. */
static bool prepare(struct task *task)
{
    task->started = 0;
    task->lost = 0;
    task->made_ahead = false;
    forget(task);
    if (task->placement.refused[0] != '\0')
        return true;
    if (binary_find(task->description.pkg) < 0) {
        console("task %lld %s: no such binary, it will not run", (long long)task->description.id,
                task->description.pkg);
        return false;
    }
    task->made_ahead = ahead < ahead_max;
    if (task->made_ahead) {
        ahead++;
        process_prepare(task);
    }
    return true;
}

/* Shares out the memory that is free. A process that is made only at its release is late for it, so
 * the most urgent come first. */
static void share_memory(void)
{
    uint64_t free_bytes = memory_free();
    uint64_t for_tasks = free_bytes > 2 * MEMORY_RESERVE ? free_bytes - MEMORY_RESERVE
                                                         : MEMORY_RESERVE;

    cgroup_limit_all(for_tasks);
    ahead = 0;
    ahead_max = for_tasks / MEMORY_OF_PREPARED * 3 / 4; /* the rest is for those that run */
    if (taskset.count > ahead_max)
        console("memory for %llu of %u processes ahead of their release, the others will be late",
                (unsigned long long)ahead_max, taskset.count);
}

/* Whether anything of what was started is still to come. */
static bool busy(void)
{
    for (unsigned i = 0; i < taskset.count; i++)
        if (started && !taskset.task[i].done)
            return true;
    return false;
}

void timeline_start(void)
{
    if (busy() || taskset.count == 0) {
        console("START ignored: %s", busy() ? "started already" : "no task-set");
        return;
    }
    started = true;
    schedule_taskloader(admission_decide(&taskset));
    share_memory();
    for (unsigned i = 0; i < taskset.count; i++)
        by_urgency[i] = &taskset.task[i];
    qsort(by_urgency, taskset.count, sizeof *by_urgency, more_urgent);
    for (unsigned i = 0; i < taskset.count; i++)
        by_urgency[i]->done = !prepare(by_urgency[i]);
    uint64_t start_us = now_us();
    for (unsigned i = 0; i < taskset.count; i++) {
        const struct description *description = &by_urgency[i]->description;
        uint64_t first_us = start_us + description->offset_us + description->period_us;
        by_urgency[i]->release_us = first_us;
        if (by_urgency[i]->placement.refused[0] != '\0')
            refuse(by_urgency[i], start_us);
        else if (!by_urgency[i]->done)
            by_urgency[i]->next_release_us = first_us;
    }
    console("started %u tasks at %llu us", taskset.count, (unsigned long long)start_us);
}

void timeline_stop(void)
{
    if (!started)
        return;
    started = false;
    for (unsigned i = 0; i < taskset.count; i++) {
        struct task *task = &taskset.task[i];
        bool active = is_active(task);
        struct ending ending = process_destroy(task, "EXIT_EXTERNAL");
        if (active)
            event_exit(task, &ending, now_us());
        forget(task);
    }
    schedule_taskloader(false);
    console("stopped");
}

/* What is due for one task. One that has been killed is left alone until it is gone: a release that
 * comes meanwhile is made up for then. */
static void due(struct task *task, uint64_t at_us)
{
    struct ending ending;

    if (task->kill_us > at_us && task->next_release_us > at_us)
        return;
    /* It may have ended at this very instant; then that is what happened. */
    if (process_ended(task, &ending))
        after_end(task, &ending);
    if (task->kill_us <= at_us) {
        task->kill_us = NEVER_US;
        process_kill(task, "EXIT_CRITICAL");
    }
    if (task->next_release_us <= at_us && task->process.state != PROCESS_DYING)
        release(task, at_us);
}

uint64_t timeline_due(void)
{
    uint64_t next_us = NEVER_US;

    if (!started)
        return NEVER_US;
    for (unsigned i = 0; i < taskset.count; i++) {
        struct task *task = by_urgency[i];
        if (task->process.state != PROCESS_DYING)
            due(task, now_us());
        if (task->process.state == PROCESS_DYING)
            continue; /* its end wakes us */
        if (task->kill_us < next_us)
            next_us = task->kill_us;
        if (task->next_release_us < next_us)
            next_us = task->next_release_us;
    }
    return next_us;
}
