/* One activation as a process: prepared ahead, released, killed, reaped.
 *
 * Making a process out of a binary costs far more than a wake-up. So the process of the next
 * activation is begun as soon as the last one has ended, becomes ready in the time that no task
 * wants, and stands still before its first instruction until its release. A release that comes too
 * early for that gives it its task's priority for the rest.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "task.h"

/* How an activation ended. */
struct ending {
    const char *event; /* its event type */
    uint64_t cpu_us;   /* CPU time since its release */
};

/* Once, before any task: `ended` is called for each activation that has ended. */
void process_init(void (*ended)(struct task *task, struct ending ending));

/* NONE → PREPARING. False, with a line on the console, if there is no process to be had. */
bool process_prepare(struct task *task);

/* PREPARING, PREPARED or STILLBORN → active. */
void process_release(struct task *task);

/* Active → NONE if it has ended by now; does not wait. */
bool process_ended(struct task *task, struct ending *ending);

/* Active → DYING: `ended` follows, with this event, as soon as the process is gone. */
void process_kill(struct task *task, const char *event);

/* Any → NONE. Returns how an activation that was under way has ended; if it had to be killed for it,
 * with `event`. Waits until its process is gone. */
struct ending process_destroy(struct task *task, const char *event);

#endif
