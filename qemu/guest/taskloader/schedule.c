#include "schedule.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console.h"

/* As in the kernel; the C library of our age has neither the structure nor the calls. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/* Runtime equals period: never throttled for long; and a deadline that is nearly always nearer than
 * that of a task, because those are whole milliseconds. Much shorter, and its own budget's timer
 * would interrupt it in the middle of each release. */
#define TASKLOADER_DEADLINE_NS 1000000

static bool set(int pid, struct attributes attributes)
{
    attributes.size = sizeof attributes;
    return syscall(SYS_sched_setattr, pid, &attributes, 0) == 0;
}

static bool set_fifo(int pid, uint32_t priority)
{
    return set(pid, (struct attributes){.policy = SCHED_FIFO, .priority = priority});
}

void schedule_taskloader(bool above_deadlines)
{
    struct attributes attributes = {.policy = SCHED_FIFO, .priority = FIFO_TASKLOADER};

    if (above_deadlines)
        attributes = (struct attributes){
            .policy = SCHED_DEADLINE,
            .runtime_ns = TASKLOADER_DEADLINE_NS,
            .deadline_ns = TASKLOADER_DEADLINE_NS,
            .period_ns = TASKLOADER_DEADLINE_NS,
        };
    /* Children begin as SCHED_OTHER and are then given what they need. */
    attributes.flags = SCHED_FLAG_RESET_ON_FORK;
    if (!set(0, attributes))
        console("cannot schedule myself above the tasks: %s", strerror(errno));
}

bool schedule_prepared(const struct task *task)
{
    return set(task->process.pid, (struct attributes){.policy = SCHED_IDLE});
}

bool schedule_released(const struct task *task)
{
    const struct description *description = &task->description;

    switch (task->placement.policy) {
    case POLICY_FIFO:
        return set_fifo(task->process.pid, (uint32_t)task->placement.fifo_priority);
    case POLICY_DEADLINE:
        return set(task->process.pid, (struct attributes){
            .policy = SCHED_DEADLINE,
            .runtime_ns = description->executiontime_us * 1000,
            .deadline_ns = description->deadline_us * 1000,
            .period_ns = description->period_us * 1000, /* 0: the kernel takes the deadline */
        });
    default:
        return set(task->process.pid, (struct attributes){.policy = SCHED_OTHER});
    }
}

void schedule_dying(int pid)
{
    set_fifo(pid, FIFO_DYING); /* where it is dead already, there is nothing to hasten */
}

void schedule_describe(int pid, char *text, size_t size)
{
    struct attributes attributes = {0};

    if (syscall(SYS_sched_getattr, pid, &attributes, sizeof attributes, 0) < 0) {
        snprintf(text, size, "unknown policy (%s)", strerror(errno));
        return;
    }
    switch (attributes.policy) {
    case SCHED_FIFO:
        snprintf(text, size, "SCHED_FIFO priority %u", attributes.priority);
        break;
    case SCHED_DEADLINE:
        snprintf(text, size, "SCHED_DEADLINE runtime %lluus deadline %lluus period %lluus",
                 (unsigned long long)attributes.runtime_ns / 1000,
                 (unsigned long long)attributes.deadline_ns / 1000,
                 (unsigned long long)attributes.period_ns / 1000);
        break;
    case SCHED_OTHER:
        snprintf(text, size, "SCHED_OTHER nice %d", attributes.nice);
        break;
    default:
        snprintf(text, size, "policy %u", attributes.policy);
    }
}
