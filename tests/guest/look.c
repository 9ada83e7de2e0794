/* A task that tells, in one line, which traces of dirty it finds. arg1: a word that the line begins
 * with. */
#include <mqueue.h>
#include <sched.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "traces.h"

static int memory_left(void)
{
    int left = 0;

    while (left < MEMORY_UNITS_MAX && shmget(MEMORY_KEY + left, 0, 0) >= 0)
        left++;
    return left;
}

static int setting_left(void)
{
    char text[32] = "";
    int fd = open(SETTING, O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);

    close(fd);
    return length > 0 && strncmp(text, SETTING_LEFT, strlen(SETTING_LEFT)) == 0;
}

int main(int count, char **arguments)
{
    become_root(arguments);
    printf("%s found:", count > 1 ? arguments[1] : "look");
    if (memory_left() > 0)
        printf(" memory");
    if (mq_open(QUEUE, O_RDONLY) >= 0)
        printf(" queue");
    if (access(FILE_PATH, F_OK) == 0)
        printf(" file");
    if (process_called(PROCESS) > 0)
        printf(" process");
    if (syscall(SYS_sched_getscheduler, process_called(SERVICE)) != SCHED_FIFO)
        printf(" priority");
    if (setting_left())
        printf(" setting");
    puts(" .");
    return 0;
}
