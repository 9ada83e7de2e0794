/* The guest's first process. Each file does one part of bringing the machine up. */
#ifndef INIT_H
#define INIT_H

#include <stdbool.h>
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
/* clock.c: boots anew if the clock does not go right; what is done in between is the time in which
 * that is seen. */
void begin_clock_check(void);
void check_clock(void);
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
/* An address for an interface, which is up then; mask and router may be NULL. */
bool set_address(const char *interface, const char *address, const char *mask, const char *router);
bool set_mac(const char *interface, const unsigned char mac[6]);
/* random.c: from now on its numbers depend on these bytes, too. */
bool reseed(const unsigned char *bytes, size_t length);
/* identity.c: the port on which the host tells who we are, -1: there is none. */
int open_control_port(void);
/* Waits until `listening` says that the Taskloader listens, then for ever for the host's word. */
void take_identities(int port, int listening) __attribute__((noreturn));

#endif
