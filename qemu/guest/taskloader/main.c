/* Taskloader: receives task-sets and their binaries on TCP port 3001, runs them in real time, and
 * reports each activation as it begins and ends. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "console.h"
#include "events.h"
#include "loop.h"
#include "schedule.h"
#include "timeline.h"

enum { PORT = 3001, DESCRIPTORS = 4096 };

struct taskset taskset;

/* After each batch of work: send what has happened; a client that is lost then is given up. */
static void flush(void)
{
    events_flush();
    client_settle();
}

/* Each task takes four descriptors. */
static void allow_descriptors(void)
{
    struct rlimit limit = {.rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS};

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        console("setrlimit: %s", strerror(errno));
}

/* Who started us may want to know from when on clients can connect. */
static void tell_ready(void)
{
    const char *number = getenv("TASKLOADER_READY_FD");

    if (number == NULL)
        return;
    if (write(atoi(number), "\n", 1) < 0)
        console("ready: %s", strerror(errno));
    close(atoi(number));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    allow_descriptors();
    /* Pages are locked as they are first touched: all of them at once would make each fork dearer. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        console("mlockall: %s", strerror(errno));
    loop_init();
    timeline_init();
    schedule_taskloader(false);
    if (!client_listen(PORT, &commands))
        return EXIT_FAILURE;
    console("listening on port %d", PORT);
    tell_ready();
    loop_run(timeline_due, flush);
}
