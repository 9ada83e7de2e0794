#include "process.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "binaries.h"
#include "cgroup.h"
#include "child.h"
#include "console.h"
#include "schedule.h"

static void (*tell_ended)(struct task *task, struct ending ending);
/* Written by a child whose binary cannot be executed: the errno of that, by slot. */
static volatile int *exec_errno;

static struct task *task_of(struct watch *watch)
{
    return (struct task *)((char *)watch - offsetof(struct task, process.watch));
}

static void process_watch_ready(struct watch *watch, uint32_t events)
{
    struct task *task = task_of(watch);
    struct ending ending;

    (void)events;
    if (task->process.state == PROCESS_RUNNING && process_ended(task, &ending))
        tell_ended(task, ending);
    else if (task->process.state == PROCESS_PREPARED) {
        task->process.state = PROCESS_STILLBORN;
        loop_change(watch, 0); /* reaped at its release, which is when the activation begins */
    }
}

void process_init(void (*ended)(struct task *task, struct ending ending))
{
    tell_ended = ended;
    exec_errno = mmap(NULL, TASKS_MAX * sizeof *exec_errno, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (exec_errno == MAP_FAILED) {
        console("mmap: %s", strerror(errno));
        exit(1);
    }
    for (unsigned slot = 0; slot < TASKS_MAX; slot++) {
        struct process *process = &taskset.task[slot].process;
        taskset.task[slot].slot = slot;
        process->watch.fd = -1;
        process->watch.ready = process_watch_ready;
        process->go_fd = -1;
    }
}

static void cannot_prepare(struct task *task, const char *what)
{
    console("task %lld %s: no process: %s: %s", (long long)task->description.id,
            task->description.pkg, what, strerror(errno));
}

bool process_prepare(struct task *task)
{
    struct process *process = &task->process;
    int pidfd = -1;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_directory(task->slot),
    };
    struct child child = {
        .binary_fd = binary_find(task->description.pkg),
        .arguments = task->description.arguments,
        .config = task->description.config,
        .exec_errno = &exec_errno[task->slot],
    };

    /* A new one each time: a child that was killed may have left a release in the old one. */
    process->go_fd = child.go_fd = eventfd(0, EFD_CLOEXEC);
    if (process->go_fd < 0) {
        cannot_prepare(task, "eventfd");
        return false;
    }
    exec_errno[task->slot] = 0;
    process->oom_before = cgroup_out_of_memory_count(task->slot);
    process->killed_as = NULL;
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0)
        child_run(&child);
    process->pid = (int)pid;
    if (pid < 0 || !loop_watch(&process->watch, pidfd, EPOLLIN)) {
        cannot_prepare(task, "clone");
        close(process->go_fd);
        process->go_fd = -1;
        return false;
    }
    process->state = PROCESS_PREPARED;
    if (sched_setaffinity(process->pid, sizeof task->placement.cpus, &task->placement.cpus) < 0)
        cannot_prepare(task, "affinity");
    else if (!schedule_prepared(task))
        cannot_prepare(task, "scheduling");
    else
        return true;
    process_kill(task, NULL);
    return false;
}

/* CPU time that a process has used so far. */
static uint64_t cpu_us(int pid)
{
    clockid_t clock;
    struct timespec used;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

void process_release(struct task *task)
{
    struct process *process = &task->process;
    uint64_t one = 1;

    process->prepared_cpu_us = cpu_us(process->pid);
    if (!schedule_released(task))
        cannot_prepare(task, "scheduling"); /* a stillborn one, most likely; its end is near */
    if (write(process->go_fd, &one, sizeof one) < 0)
        cannot_prepare(task, "release");
    if (process->state == PROCESS_STILLBORN)
        loop_change(&process->watch, EPOLLIN);
    process->state = PROCESS_RUNNING;
    if (task->started == 1) {
        char text[128];
        schedule_describe(process->pid, text, sizeof text);
        console("task %lld %s: %s", (long long)task->description.id, task->description.pkg, text);
    }
}

static bool ran_out_of_memory(const struct task *task)
{
    return cgroup_out_of_memory_count(task->slot) > task->process.oom_before ||
           (task->description.quota_bytes > 0 && exec_errno[task->slot] == ENOMEM);
}

/* Names the end of a process that we did not kill. */
static const char *event_of(const struct task *task, const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED && info->si_status == 0)
        return "EXIT";
    if (ran_out_of_memory(task))
        return "OUT_OF_QUOTA";
    if (exec_errno[task->slot] != 0)
        console("task %lld %s: cannot be executed: %s", (long long)task->description.id,
                task->description.pkg, strerror(exec_errno[task->slot]));
    else
        console("task %lld %s: %s %d", (long long)task->description.id, task->description.pkg,
                info->si_code == CLD_EXITED ? "exit value" : "signal", info->si_status);
    return "EXIT_ERROR";
}

static uint64_t since(uint64_t total_us, uint64_t before_us)
{
    return total_us > before_us ? total_us - before_us : 0;
}

/* Takes a process from the kernel. False if it has not ended (which takes WNOHANG). */
static bool reap(struct task *task, int options, struct ending *ending)
{
    struct process *process = &task->process;
    siginfo_t info = {0};
    struct rusage usage;

    while (syscall(SYS_waitid, P_PIDFD, process->watch.fd, &info, WEXITED | options, &usage) < 0)
        if (errno != EINTR)
            break;
    if (info.si_pid == 0 && (options & WNOHANG) != 0)
        return false;
    ending->cpu_us = since((uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                               (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
                           process->prepared_cpu_us);
    ending->event = process->killed_as != NULL ? process->killed_as : event_of(task, &info);
    loop_close(&process->watch);
    close(process->go_fd);
    process->go_fd = -1;
    process->state = PROCESS_NONE;
    return true;
}

bool process_ended(struct task *task, struct ending *ending)
{
    if (!reap(task, WNOHANG, ending))
        return false;
    cgroup_kill(task->slot); /* what it forked and left behind */
    return true;
}

struct ending process_kill(struct task *task, const char *event)
{
    struct ending ending = {0};

    task->process.killed_as = event != NULL ? event : "";
    schedule_dying(task->process.pid);
    cgroup_kill(task->slot);
    reap(task, 0, &ending);
    return ending;
}
