/* A task that behaves as badly as it can: leaves a message queue and, as root, a process, a file, a
 * changed priority and a changed setting of the kernel; then it fills memory that outlives it, until
 * it is killed for its quota. */
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "traces.h"

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        printf("dirty: %s: %m\n", path);
    close(fd);
}

/* Outside of the task's control group, by which it would be killed with the task. */
static void leave_process(void)
{
    int ready[2];
    char byte;

    if (pipe(ready) < 0)
        return;
    if (fork() == 0) {
        prctl(PR_SET_NAME, PROCESS);
        setsid();
        put("/sys/fs/cgroup/cgroup.procs", "0");
        close(ready[0]);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    while (read(ready[0], &byte, 1) > 0) /* until it has left */
        ;
}

static void change_priority(void)
{
    struct sched_param none = {0};

    if (syscall(SYS_sched_setscheduler, process_called(SERVICE), SCHED_OTHER, &none) < 0)
        printf("dirty: %s: %m\n", SERVICE);
}

static void fill_memory(void)
{
    for (int i = 0; i < MEMORY_UNITS_MAX; i++) {
        int segment = shmget(MEMORY_KEY + i, MEMORY_UNIT, IPC_CREAT | 0666);
        char *memory = shmat(segment, NULL, 0);
        if (memory == (char *)-1)
            return;
        memset(memory, 0xd1, MEMORY_UNIT);
    }
}

int main(int count, char **arguments)
{
    (void)count;
    become_root(arguments);
    if (mq_open(QUEUE, O_RDWR | O_CREAT, 0666, NULL) < 0)
        printf("dirty: queue: %m\n");
    if (geteuid() == 0) {
        put(FILE_PATH, "left behind\n");
        put(SETTING, SETTING_LEFT);
        change_priority();
        leave_process();
    }
    fill_memory();
    return 1; /* there was no quota */
}
