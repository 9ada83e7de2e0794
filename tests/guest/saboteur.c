/* The first process of a guest that is to be broken from inside: it leaves a child behind that does
 * what the console's input asks for, and becomes the guest's own init. Each line is one command. */
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

/* Crashes the kernel as it crashes by itself: with a message, and then as panic= says. */
static void panic(void)
{
    int fd = open("/proc/sysrq-trigger", O_WRONLY);

    if (fd < 0 || write(fd, "c", 1) != 1)
        perror("saboteur: panic");
}

/* The CPU stands still with interrupts disabled; nothing tells QEMU of it. */
static void hang(void)
{
    reboot(RB_HALT_SYSTEM);
}

static void signal_server(int number)
{
    char name[32];

    for (int pid = 2; pid < 32768; pid++) {
        snprintf(name, sizeof name, "/proc/%d/comm", pid);
        FILE *file = fopen(name, "r");
        if (file == NULL)
            continue;
        int is_server = fgets(name, sizeof name, file) != NULL && strcmp(name, "taskloader\n") == 0;
        fclose(file);
        if (is_server) {
            kill(pid, number);
            return;
        }
    }
    puts("saboteur: no server");
}

static void unplug(void)
{
    struct ifreq request = {.ifr_name = "eth0"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) /* not IFF_UP */
        perror("saboteur: unplug");
    close(fd);
}

static void obey(void)
{
    char line[64];

    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, "panic") == 0)
            panic();
        else if (strcmp(line, "hang") == 0)
            hang();
        else if (strcmp(line, "kill server") == 0)
            signal_server(SIGKILL);
        else if (strcmp(line, "stop server") == 0)
            signal_server(SIGSTOP);
        else if (strcmp(line, "unplug") == 0)
            unplug();
    }
}

int main(void)
{
    static char *const arguments[] = {"/init", NULL};

    if (fork() == 0) {
        obey();
        _exit(0);
    }
    execv(arguments[0], arguments);
    perror("saboteur: /init");
    return 1;
}
