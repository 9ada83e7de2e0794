/* Admission control: once, for the whole set, at START. */
#ifndef ADMISSION_H
#define ADMISSION_H

#include "task.h"

/* Fills the placement of each task: policy, priority, CPUs, and the reason if it is refused. Says on
 * the console what was refused. Returns whether any admitted task has a deadline. */
bool admission_decide(struct taskset *set);

#endif
