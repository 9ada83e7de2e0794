#include "admission.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "demand.h"
#include "schedule.h"

static void refuse(struct task *task, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(task->placement.refused, sizeof task->placement.refused, format, arguments);
    va_end(arguments);
    console("task %lld %s: not scheduled: %s", (long long)task->description.id,
            task->description.pkg, task->placement.refused);
}

/* cores, coreoffset → CPUs. */
static bool choose_cpus(struct task *task, unsigned cpu_count)
{
    const struct description *description = &task->description;
    unsigned first = description->coreoffset;
    unsigned count = description->cores;

    if (count == 0 && first < cpu_count)
        count = cpu_count - first;
    if (first >= cpu_count || count > cpu_count - first) {
        refuse(task, "cores %u from coreoffset %u: this machine has %u", description->cores, first,
               cpu_count);
        return false;
    }
    CPU_ZERO(&task->placement.cpus);
    for (unsigned cpu = first; cpu < first + count; cpu++)
        CPU_SET(cpu, &task->placement.cpus);
    return true;
}

static struct demand demand_of(const struct task *task)
{
    return (struct demand){task->description.executiontime_us, task->description.deadline_us,
                           task->description.period_us};
}

static bool admitted_with_deadline(const struct task *task)
{
    return task->placement.policy == POLICY_DEADLINE && task->placement.refused[0] == '\0';
}

/* Whether a task fits on a CPU beside those that have been admitted to it so far, which are the
 * tasks before it in the set. */
static bool fits(const struct taskset *set, const struct task *task, unsigned cpu)
{
    static struct demand demands[TASKS_MAX];
    unsigned count = 0;

    for (const struct task *other = set->task; other < task; other++)
        if (admitted_with_deadline(other) && CPU_ISSET(cpu, &other->placement.cpus))
            demands[count++] = demand_of(other);
    demands[count++] = demand_of(task);
    return demand_feasible(demands, count);
}

/* A task with a deadline gets one CPU: its own, or the first on which it fits. */
static void admit_deadline(const struct taskset *set, struct task *task, unsigned cpu_count)
{
    struct demand demand = demand_of(task);
    unsigned allowed = (unsigned)CPU_COUNT(&task->placement.cpus);

    if (demand.runtime_us == 0) {
        refuse(task, "a deadline without an executiontime");
    } else if (demand.period_us > 0 && demand.deadline_us > demand.period_us) {
        refuse(task, "deadline %llums over period %llums",
               (unsigned long long)demand.deadline_us / 1000,
               (unsigned long long)demand.period_us / 1000);
    } else if (demand.runtime_us > demand.deadline_us) {
        refuse(task, "executiontime %llums over deadline %llums",
               (unsigned long long)demand.runtime_us / 1000,
               (unsigned long long)demand.deadline_us / 1000);
    } else if (allowed > 1 && allowed < cpu_count) {
        refuse(task, "a deadline and %u of %u cores: give it one core or all", allowed, cpu_count);
    } else {
        for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
            if (!CPU_ISSET(cpu, &task->placement.cpus) || !fits(set, task, cpu))
                continue;
            CPU_ZERO(&task->placement.cpus);
            CPU_SET(cpu, &task->placement.cpus);
            return;
        }
        refuse(task, "it does not fit beside the tasks admitted before it");
    }
}

/* Distinct priorities of the set → 97, 96 … in order of urgency. */
static void rank_priorities(struct taskset *set)
{
    bool used[PRIORITY_MAX + 1] = {false};
    int rank[PRIORITY_MAX + 1];
    int next = FIFO_TASK_MAX;

    for (unsigned i = 0; i < set->count; i++)
        if (set->task[i].placement.policy == POLICY_FIFO)
            used[set->task[i].description.priority] = true;
    for (int priority = 0; priority <= PRIORITY_MAX; priority++) {
        if (!used[priority])
            continue;
        if (next < 1)
            console("more than %d distinct priorities: %d shares the lowest", FIFO_TASK_MAX,
                    priority);
        rank[priority] = next < 1 ? 1 : next;
        next--;
    }
    for (unsigned i = 0; i < set->count; i++)
        if (set->task[i].placement.policy == POLICY_FIFO)
            set->task[i].placement.fifo_priority = rank[set->task[i].description.priority];
}

bool admission_decide(struct taskset *set)
{
    unsigned cpu_count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    bool deadlines = false;

    for (unsigned i = 0; i < set->count; i++) {
        struct task *task = &set->task[i];
        memset(&task->placement, 0, sizeof task->placement);
        if (task->description.deadline_us > 0)
            task->placement.policy = POLICY_DEADLINE;
        else if (task->description.priority != PRIORITY_NONE)
            task->placement.policy = POLICY_FIFO;
        if (choose_cpus(task, cpu_count) && task->placement.policy == POLICY_DEADLINE)
            admit_deadline(set, task, cpu_count);
        deadlines = deadlines || admitted_with_deadline(task);
    }
    rank_priorities(set);
    return deadlines;
}
