/* A control group for each slot of the task table: limits the memory of a task, and holds the whole
 * tree of processes that an activation leaves behind, so that all of it can be killed at once. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Limits the memory of all tasks together, whatever the quota of each: so much more than what earlier
 * ones have left behind. */
void cgroup_limit_all(uint64_t bytes);

/* Makes the group: one that no process has been in. `quota_bytes` of 0: no limit. */
bool cgroup_prepare(unsigned slot, uint64_t quota_bytes);

/* Descriptor of the group's directory, for CLONE_INTO_CGROUP, which is going to be done. */
int cgroup_enter(unsigned slot);

/* Kills whatever lives in the group. Its directory may be another one afterwards. */
void cgroup_clear(unsigned slot);

/* How often the group (or the whole machine with a process of the group as the victim) has run out
 * of memory so far. */
uint64_t cgroup_out_of_memory_count(unsigned slot);

#endif
