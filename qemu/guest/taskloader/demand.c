#include "demand.h"

double demand_utilisation(const struct demand *tasks, unsigned count)
{
    double sum = 0;

    for (unsigned i = 0; i < count; i++)
        if (tasks[i].period_us > 0)
            sum += (double)tasks[i].runtime_us / (double)tasks[i].period_us;
    return sum;
}

/* h(t): the work of all activations that are both released and due in [0, t]. */
static uint64_t demand_until(const struct demand *tasks, unsigned count, uint64_t t_us)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++) {
        if (t_us < tasks[i].deadline_us)
            continue;
        uint64_t activations = 1;
        if (tasks[i].period_us > 0)
            activations += (t_us - tasks[i].deadline_us) / tasks[i].period_us;
        sum += activations * tasks[i].runtime_us;
    }
    return sum;
}

/* The last absolute deadline before t, or 0. */
static uint64_t deadline_before(const struct demand *tasks, unsigned count, uint64_t t_us)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t deadline = tasks[i].deadline_us;
        if (deadline >= t_us)
            continue;
        if (tasks[i].period_us > 0)
            deadline += (t_us - 1 - deadline) / tasks[i].period_us * tasks[i].period_us;
        if (deadline > last)
            last = deadline;
    }
    return last;
}

/* No deadline after this one can be the first that is missed. A task that is released once adds its
 * runtime and no utilisation. */
static uint64_t horizon(const struct demand *tasks, unsigned count, double utilisation)
{
    double bound = 0;
    uint64_t largest = 0;

    for (unsigned i = 0; i < count; i++) {
        double runtime = (double)tasks[i].runtime_us;
        if (tasks[i].deadline_us > largest)
            largest = tasks[i].deadline_us;
        if (tasks[i].period_us > 0)
            bound += runtime / (double)tasks[i].period_us *
                     (double)(tasks[i].period_us - tasks[i].deadline_us);
        else
            bound += runtime;
    }
    bound = bound / (1 - utilisation) + 1; /* rounded up */
    return bound > (double)largest ? (uint64_t)bound : largest;
}

bool demand_feasible(const struct demand *tasks, unsigned count)
{
    double utilisation = demand_utilisation(tasks, count);
    uint64_t first_deadline = UINT64_MAX;

    if (utilisation > UTILISATION_MAX + 1e-9)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (tasks[i].deadline_us < first_deadline)
            first_deadline = tasks[i].deadline_us;

    uint64_t t_us = deadline_before(tasks, count, horizon(tasks, count, utilisation) + 1);
    while (t_us > 0) {
        uint64_t demand_us = demand_until(tasks, count, t_us);
        if (demand_us > t_us)
            return false;
        if (demand_us <= first_deadline)
            return true;
        t_us = demand_us < t_us ? demand_us : deadline_before(tasks, count, t_us);
    }
    return true;
}
