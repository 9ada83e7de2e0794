/* What happens when: releases on an absolute grid, critical times, ends. */
#ifndef TIMELINE_H
#define TIMELINE_H

#include <stdint.h>

#include "task.h"

void timeline_init(void);

/* START: from now on the tasks of the set are released. Ignored while they already are. */
void timeline_start(void);

/* STOP: kills what runs (EXIT_EXTERNAL), and nothing is released any more. */
void timeline_stop(void);

/* Does what is due and returns when there will be something to do again, or NEVER_US. */
uint64_t timeline_due(void);

#endif
