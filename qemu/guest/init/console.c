#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

#ifndef SCHED_IDLE
#define SCHED_IDLE 5
#endif

/* The serial port is slow and its driver busy-waits. Whoever prints only fills a pipe; this process
 * empties it while nothing else wants the CPU. What does not fit into the pipe is lost. */
static void copy_to_console(int input) __attribute__((noreturn));
static void copy_to_console(int input)
{
    struct sched_param parameters = {0};
    char bytes[256];
    ssize_t length;

    syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &parameters);
    while ((length = read(input, bytes, sizeof bytes)) > 0)
        for (ssize_t done = 0, n; done < length; done += n)
            if ((n = write(STDERR_FILENO, bytes + done, (size_t)(length - done))) < 0)
                n = length - done;
    _exit(0);
}

int start_console_pipe(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        say("pipe: %s", strerror(errno));
        return -1;
    }
    if (fork() == 0) {
        close(ends[1]);
        copy_to_console(ends[0]);
    }
    /* Our own copy of the reading end stays open: a writer must never die of a broken pipe. */
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    return ends[1];
}
