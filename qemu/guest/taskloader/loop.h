/* The one event loop: descriptors to watch, and one timer on CLOCK_MONOTONIC. */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd; /* -1 while nothing is watched */
    void (*ready)(struct watch *watch, uint32_t events);
};

#define NEVER_US UINT64_MAX

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

void loop_init(void);

/* Watch a descriptor. The structure has to stay where it is for good: a readiness that was fetched
 * before the watch was removed is recognised by its fd of -1. */
bool loop_watch(struct watch *watch, int fd, uint32_t events);
void loop_change(struct watch *watch, uint32_t events);
/* Stops watching and closes the descriptor. */
void loop_close(struct watch *watch);

/* Runs for good. After each batch of readiness it calls `due`, which does what is due by now and
 * returns when it wants to be called next (NEVER_US: not by itself), and then `flush`. */
void loop_run(uint64_t (*due)(void), void (*flush)(void)) __attribute__((noreturn));

#endif
