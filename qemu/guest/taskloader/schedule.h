/* Scheduling attributes of processes, and the kernel's own word on them. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>

#include "task.h"

enum {
    FIFO_TASKLOADER = 99,
    FIFO_DYING = 98, /* what was killed has to be gone before any task runs */
    FIFO_TASK_MAX = 97,
};

/* The Taskloader itself: above all of SCHED_FIFO; and, while tasks with deadlines are about, also
 * above SCHED_DEADLINE, which is otherwise above everything: releases and kills must not wait. */
void schedule_taskloader(bool above_deadlines);

/* A process before its release: runs only while nothing else wants the CPU. */
bool schedule_prepared(const struct task *task);

/* A process at its release: its task's own policy. Not earlier, because the kernel counts budget and
 * deadline of SCHED_DEADLINE from the moment that it is set. */
bool schedule_released(const struct task *task);

/* A process that has been killed needs the CPU once more to die, whatever it was before, and even if
 * its budget is used up. */
void schedule_dying(int pid);

/* What the kernel says of a task's process, in words, as "SCHED_FIFO priority 97". */
void schedule_describe(int pid, char *text, size_t size);

#endif
