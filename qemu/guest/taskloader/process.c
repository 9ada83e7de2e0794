#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "binaries.h"
#include "cgroup.h"
#include "child.h"
#include "console.h"
#include "memory.h"
#include "schedule.h"

static void (*tell_ended)(struct task *task, struct ending ending);
/* Written by a child whose binary cannot be executed: the errno of that, by slot. */
static volatile int *exec_errno;
/* SIGCHLD: some child has come to a stop before its first instruction. */
static struct watch stops = {.fd = -1};

static void complain(const struct task *task, const char *what)
{
    console("task %lld %s: %s: %s", (long long)task->description.id, task->description.pkg, what,
            strerror(errno));
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

/* From the stop before its first instruction into the binary. */
static void let_go(struct task *task)
{
    struct process *process = &task->process;

    process->prepared_cpu_us = cpu_us(process->pid);
    if (ptrace(PTRACE_DETACH, process->pid, NULL, NULL) < 0)
        complain(task, "release");
    process->state = PROCESS_RUNNING;
    if (task->started == 1) {
        char text[128];
        schedule_describe(process->pid, text, sizeof text);
        console("task %lld %s: %s", (long long)task->description.id, task->description.pkg, text);
    }
}

static void stops_ready(struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo ignored[8];

    (void)events;
    /* Signals of one number are merged: ask after each process that has not stopped yet. */
    while (read(watch->fd, ignored, sizeof ignored) > 0)
        ;
    for (unsigned i = 0; i < taskset.count; i++) {
        struct task *task = &taskset.task[i];
        enum process_state state = task->process.state;
        siginfo_t info = {0};
        if ((state != PROCESS_PREPARING && state != PROCESS_RELEASED) ||
            waitid(P_PIDFD, (id_t)task->process.watch.fd, &info, WSTOPPED | WNOHANG) < 0 ||
            info.si_pid == 0)
            continue;
        if (state == PROCESS_RELEASED)
            let_go(task);
        else
            task->process.state = PROCESS_PREPARED;
    }
}

static void process_ready(struct watch *watch, uint32_t events)
{
    struct task *task = (struct task *)((char *)watch - offsetof(struct task, process.watch));
    struct ending ending;

    (void)events;
    if (!is_active(task)) {
        task->process.state = PROCESS_STILLBORN;
        loop_change(watch, 0);
    } else if (process_ended(task, &ending)) {
        tell_ended(task, ending);
    }
}

void process_init(void (*ended)(struct task *task, struct ending ending))
{
    sigset_t child;

    tell_ended = ended;
    exec_errno = mmap(NULL, TASKS_MAX * sizeof *exec_errno, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned slot = 0; slot < TASKS_MAX; slot++) {
        taskset.task[slot].slot = slot;
        taskset.task[slot].process.watch.fd = -1;
        taskset.task[slot].process.watch.ready = process_ready;
    }
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    stops.ready = stops_ready;
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (exec_errno == MAP_FAILED || signals < 0 || !loop_watch(&stops, signals, EPOLLIN)) {
        console("cannot prepare for processes: %s", strerror(errno));
        exit(EXIT_FAILURE);
    }
}

/* If memory runs out, tasks go first, and never the Taskloader. A child cannot say so itself: where its
 * quota is too little even for that, it would wait for memory for ever, with nobody to be killed. */
static void volunteer_for_out_of_memory(int pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, "1000", 4); /* at worst, another victim is chosen */
    (void)ignored;
    close(fd);
}

bool process_prepare(struct task *task)
{
    struct process *process = &task->process;
    int pidfd = -1;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_enter(task->slot),
    };
    struct child child = {
        .binary_fd = binary_find(task->description.pkg),
        .arguments = task->description.arguments,
        .config = task->description.config,
        .exec_errno = &exec_errno[task->slot],
    };

    if (memory_free() < MEMORY_FOR_PROCESS) {
        errno = ENOMEM;
        complain(task, "no process");
        return false;
    }
    exec_errno[task->slot] = 0;
    process->oom_before = cgroup_out_of_memory_count(task->slot);
    process->killed_as = NULL;
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0)
        child_run(&child);
    if (pid < 0) {
        complain(task, "no process");
        return false;
    }
    volunteer_for_out_of_memory((int)pid);
    process->pid = (int)pid;
    process->state = PROCESS_PREPARING;
    if (!loop_watch(&process->watch, pidfd, EPOLLIN)) {
        process->watch.fd = pidfd;
        complain(task, "no watch");
    } else if (sched_setaffinity(process->pid, sizeof task->placement.cpus,
                                 &task->placement.cpus) < 0) {
        complain(task, "affinity");
    } else if (!schedule_prepared(task)) {
        complain(task, "scheduling");
    } else {
        return true;
    }
    process_destroy(task, NULL);
    return false;
}

void process_release(struct task *task)
{
    if (task->process.state != PROCESS_STILLBORN && !schedule_released(task))
        complain(task, "scheduling");
    if (task->process.state == PROCESS_PREPARED) {
        let_go(task);
        return;
    }
    task->process.prepared_cpu_us = UINT64_MAX; /* none of its CPU time counts before let_go */
    if (task->process.state == PROCESS_STILLBORN)
        loop_change(&task->process.watch, EPOLLIN); /* tells its end now */
    task->process.state = PROCESS_RELEASED;
}

static bool ran_out_of_memory(const struct task *task)
{
    return cgroup_out_of_memory_count(task->slot) > task->process.oom_before ||
           (task->description.quota_bytes > 0 && exec_errno[task->slot] == ENOMEM);
}

/* Names the end of a process that we did not kill. */
static const char *event_of(const struct task *task, const siginfo_t *info)
{
    const struct description *description = &task->description;

    if (info->si_code == CLD_EXITED && info->si_status == 0)
        return "EXIT";
    if (ran_out_of_memory(task))
        return "OUT_OF_QUOTA";
    if (exec_errno[task->slot] != 0)
        console("task %lld %s: cannot be executed: %s", (long long)description->id,
                description->pkg, strerror(exec_errno[task->slot]));
    else
        console("task %lld %s: %s %d", (long long)description->id, description->pkg,
                info->si_code == CLD_EXITED ? "exit value" : "signal", info->si_status);
    return "EXIT_ERROR";
}

/* Takes an ended process from the kernel. With WNOHANG it may find that there is none, and says so
 * by returning false. */
static bool reap(struct task *task, int options, struct ending *ending)
{
    struct process *process = &task->process;
    siginfo_t info = {0};
    struct rusage usage = {0};

    while (syscall(SYS_waitid, P_PIDFD, process->watch.fd, &info, WEXITED | options, &usage) < 0 &&
           errno == EINTR)
        ;
    if (info.si_pid == 0 && (options & WNOHANG) != 0)
        return false;
    uint64_t total_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                        (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    ending->cpu_us = total_us > process->prepared_cpu_us ? total_us - process->prepared_cpu_us : 0;
    ending->event = process->killed_as != NULL ? process->killed_as : event_of(task, &info);
    loop_close(&process->watch);
    process->state = PROCESS_NONE;
    cgroup_clear(task->slot); /* what it forked and left behind */
    return true;
}

bool process_ended(struct task *task, struct ending *ending)
{
    return is_active(task) && reap(task, WNOHANG, ending);
}

void process_kill(struct task *task, const char *event)
{
    task->process.state = PROCESS_DYING;
    task->process.killed_as = event;
    schedule_dying(task->process.pid);
    if (syscall(SYS_pidfd_send_signal, task->process.watch.fd, SIGKILL, NULL, 0) < 0)
        complain(task, "kill");
}

struct ending process_destroy(struct task *task, const char *event)
{
    struct ending ending = {0};

    if (task->process.state == PROCESS_NONE || process_ended(task, &ending))
        return ending;
    if (task->process.state != PROCESS_DYING)
        process_kill(task, event != NULL ? event : "");
    reap(task, 0, &ending);
    return ending;
}
