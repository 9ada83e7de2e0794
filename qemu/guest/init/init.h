/* The guest's first process. Each file does one part of bringing the machine up. */
#ifndef INIT_H
#define INIT_H

#include <sys/types.h>

/* One line on the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes a text to a file below /proc or /sys; says so where that fails. */
void put(const char *path, const char *text);
/* A process of ours: its standard output and error are `output`, -1: as ours. A priority of
 * SCHED_FIFO, or 0 for SCHED_OTHER. */
pid_t launch(char *const arguments[], int output, int priority);

/* mounts.c */
void mount_all(void);
/* modules.c: all of /lib/modules, in the order of their names. */
void load_modules(void);
/* tune.c */
void tune_kernel(void);
/* SCHED_FIFO for a process, 0: this one. */
void set_priority(pid_t pid, int priority);
/* Kernel threads without which neither a timer nor a packet gets through go above the tasks. */
void raise_kernel_threads(void);
/* console.c: the end of a pipe whose other end goes to the console when there is nothing better to
 * do. Writing to it never blocks. */
int start_console_pipe(void);
/* address.c: what udhcpc calls; argument: bound, renew, deconfig …; values: in the environment. */
int configure_address(const char *event);

#endif
