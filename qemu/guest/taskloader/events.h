/* Events on their way to the client. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

#include "process.h"
#include "task.h"

/* Each is kept until events_flush, which is called before the loop goes to sleep: what happened at
 * one instant travels in one frame. */
void event_start(const struct task *task);
void event_exit(const struct task *task, const struct ending *ending, uint64_t at_us);
void event_not_scheduled(const struct task *task, uint64_t at_us);
void event_jobs_done(const struct task *task, uint64_t at_us);

void events_flush(void);

#endif
