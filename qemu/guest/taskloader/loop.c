#include "loop.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "console.h"

enum { BATCH = 16 };

static int epoll_fd;
static struct watch timer;
static uint64_t armed_us = NEVER_US;

uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void die(const char *what)
{
    console("%s: %s", what, strerror(errno));
    exit(1);
}

/* Nothing to do here: waking up is what the timer is for. */
static void timer_ready(struct watch *watch, uint32_t events)
{
    uint64_t expirations;

    (void)events;
    if (read(watch->fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
        die("timer");
    armed_us = NEVER_US;
}

static void arm(uint64_t at_us)
{
    if (at_us == armed_us)
        return;
    armed_us = at_us;
    struct itimerspec spec = {0}; /* all zero disarms */
    if (at_us != NEVER_US) {
        spec.it_value.tv_sec = (time_t)(at_us / 1000000);
        spec.it_value.tv_nsec = (long)(at_us % 1000000) * 1000;
        if (at_us == 0)
            spec.it_value.tv_nsec = 1;
    }
    if (timerfd_settime(timer.fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
        die("timerfd_settime");
}

void loop_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timer.ready = timer_ready;
    if (timer_fd < 0 || !loop_watch(&timer, timer_fd, EPOLLIN))
        die("timerfd_create");
}

bool loop_watch(struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return false;
    watch->fd = fd;
    return true;
}

void loop_change(struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        die("epoll_ctl");
}

void loop_close(struct watch *watch)
{
    if (watch->fd < 0)
        return;
    /* Explicit, because a child that has not executed its binary yet still shares the file. */
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
}

void loop_run(uint64_t (*due)(void), void (*flush)(void))
{
    for (;;) {
        uint64_t next_us = due();
        flush();
        if (next_us <= now_us())
            sched_yield(); /* overloaded: the network's threads need a chance, or STOP never comes */
        arm(next_us);      /* a time that has passed meanwhile fires at once */

        struct epoll_event ready[BATCH];
        int count = epoll_wait(epoll_fd, ready, BATCH, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct watch *watch = ready[i].data.ptr;
            if (watch->fd >= 0)
                watch->ready(watch, ready[i].events);
        }
    }
}
