/* Whether tasks meet their deadlines under EDF on one CPU. */
#ifndef DEMAND_H
#define DEMAND_H

#include <stdbool.h>
#include <stdint.h>

struct demand {
    uint64_t runtime_us;
    uint64_t deadline_us; /* not larger than the period, where there is one */
    uint64_t period_us;   /* 0: released once */
};

/* Highest utilisation that is admitted on one CPU. Nothing below SCHED_DEADLINE runs while it is
 * used, and the kernel and the Taskloader need some time for releases, exits and the network. The
 * kernel's own default leaves as much. */
#define UTILISATION_MAX 0.95

double demand_utilisation(const struct demand *tasks, unsigned count);

/* The exact test for sporadic tasks with constrained deadlines: in every interval [0, t] the work
 * that is released and due in it is at most t (Baruah, Rosier and Howell 1990), checked at few
 * points from the end of the busy interval down (QPA: Zhang and Burns 2009). */
bool demand_feasible(const struct demand *tasks, unsigned count);

#endif
