/* What runs in the forked process before the binary. */
#ifndef CHILD_H
#define CHILD_H

struct child {
    int binary_fd;
    char **arguments;
    char *config;
    volatile int *exec_errno; /* shared with the Taskloader */
};

/* Sets the process up and executes the binary, stopped before its first instruction. */
void child_run(const struct child *child) __attribute__((noreturn));

#endif
