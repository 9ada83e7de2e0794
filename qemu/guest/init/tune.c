/* Settings of the kernel on which the meaning of a measurement depends. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

/* Above all tasks, which have 97 … 1, and beside the Taskloader, which yields to its equals when it
 * has more to do than it can. */
enum { PRIORITY = 99 };

void set_priority(pid_t pid, int priority)
{
    struct sched_param parameters = {.sched_priority = priority};

    /* By its number: musl's sched_setscheduler is a stub that fails. */
    if (syscall(SYS_sched_setscheduler, pid, SCHED_FIFO, &parameters) < 0)
        say("scheduling of %d: %s", (int)pid, strerror(errno));
}

void tune_kernel(void)
{
    if (sethostname("taskgen", 7) < 0)
        say("sethostname: %s", strerror(errno));
    /* No throttling of real-time tasks: it would put gaps of 50 ms into each second. */
    put("/proc/sys/kernel/sched_rt_runtime_us", "-1");
    /* Budgets of SCHED_DEADLINE end when they end, not with the next tick, up to 4 ms later. */
    put("/sys/kernel/debug/sched/features", "HRTICK_DL");
    /* Memory is counted when it is used, not when it is asked for: a task that takes too much has run
     * out of its quota, and has not merely been told so by malloc. */
    put("/proc/sys/vm/overcommit_memory", "1");
    /* SCHED_OTHER tasks are equal, whoever has started them. */
    put("/proc/sys/kernel/sched_autogroup_enabled", "0");
}

/* What serves timers, packets, interrupts (on an RT kernel, threads too) and deferred frees. Each of
 * them would otherwise wait as long as a task of SCHED_FIFO computes. */
static bool is_vital(const char *name)
{
    static const char *const prefixes[] = {"ksoftirqd/", "ktimers/", "irq/", "irq_work/",
                                           "rcu"};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void raise_if_vital(const char *pid)
{
    char path[300], name[32] = "";

    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, name, sizeof name - 1) > 0 && is_vital(name))
        set_priority(atoi(pid), PRIORITY);
    close(fd);
}

void raise_kernel_threads(void)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;

    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]))
            raise_if_vital(entry->d_name);
    closedir(directory);
}
