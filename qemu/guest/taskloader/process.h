/* One activation as a process: prepared ahead, released, killed, reaped.
 *
 * A fork costs far more than a wake-up. So the process of the next activation is forked as soon as
 * the last one has ended, sets itself up, and sleeps until its release lets it execute the binary.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "task.h"

/* How an activation ended. */
struct ending {
    const char *event; /* its event type */
    uint64_t cpu_us;   /* CPU time since its release */
};

/* Once, before any task: `ended` is called for each activation that ends by itself. */
void process_init(void (*ended)(struct task *task, struct ending ending));

/* NONE → PREPARED. False, with a line on the console, if there is no process to be had. */
bool process_prepare(struct task *task);

/* PREPARED → RUNNING. */
void process_release(struct task *task);

/* RUNNING → NONE if it has ended by now, without waiting. */
bool process_ended(struct task *task, struct ending *ending);

/* RUNNING, PREPARED or STILLBORN → NONE. Kills all that the activation has begun and waits until its
 * process is gone; `event` is what this end is called. */
struct ending process_kill(struct task *task, const char *event);

#endif
