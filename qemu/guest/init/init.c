/* Boots in C, not in shell: each process that a script starts costs milliseconds under emulation. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RESTART_DELAY_MS = 200,
    /* Above all tasks: a renewal takes little, and a lease that runs out takes the address away. */
    DHCP_PRIORITY = 98,
};

void say(const char *format, ...)
{
    char line[256] = "init: ";
    size_t prefix = strlen(line);
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t total = strlen(line);
    line[total++] = '\n';
    if (write(STDERR_FILENO, line, total) < 0)
        return;
}

void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        say("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

pid_t launch(char *const arguments[], int output, int priority)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    if (priority > 0)
        set_priority(0, priority);
    put("/proc/self/oom_score_adj", "-1000"); /* if memory runs out, tasks have to go, not we */
    execv(arguments[0], arguments);
    say("%s: %s", arguments[0], strerror(errno));
    _exit(127);
}

static pid_t start_taskloader(int output)
{
    static char *const arguments[] = {"/bin/taskloader", NULL};

    return launch(arguments, output, 0); /* sets its own */
}

static pid_t start_dhcp(int output)
{
    /* In the foreground, for good: it renews the lease. Its script is this program. */
    static char *const arguments[] = {"/bin/udhcpc", "-f", "-i", "eth0", "-s", "/bin/set-address",
                                      "-T", "1", "-t", "8", "-A", "1", NULL};

    return launch(arguments, output, DHCP_PRIORITY);
}

/* A pipe by which the Taskloader that is started next says that it listens. */
static int expect_listening(int *its_end)
{
    int ends[2] = {-1, -1};
    char number[16];

    if (pipe(ends) < 0)
        say("pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    snprintf(number, sizeof number, "%d", ends[1]);
    setenv("TASKLOADER_READY_FD", number, 1);
    *its_end = ends[1];
    return ends[0];
}

/* If it ends without a word, the reader of the pipe is to notice. */
static void stop_expecting(int its_end)
{
    unsetenv("TASKLOADER_READY_FD");
    close(its_end);
}

static pid_t start_identity(int output, int port, int listening)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (output >= 0)
        dup2(output, STDERR_FILENO);
    take_identities(port, listening);
}

/* Whoever sees to the network: told by the host, or by DHCP. */
static pid_t start_network(int output, int port, int listening)
{
    return port >= 0 ? start_identity(output, port, listening) : start_dhcp(output);
}

/* Waits for children, ours and orphaned ones, and starts again what must not end. */
static void keep_running(int output, int port, pid_t taskloader, pid_t network)
{
    static const struct timespec delay = {.tv_nsec = RESTART_DELAY_MS * 1000000L};

    for (;;) {
        int status;
        pid_t pid = wait(&status);
        bool is_taskloader = pid == taskloader;

        if (!is_taskloader && pid != network)
            continue;
        say("%s ended (%s %d), starting it again", is_taskloader ? "taskloader" : port >= 0 ? "identity" : "udhcpc",
            WIFEXITED(status) ? "exit value" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        nanosleep(&delay, NULL);
        if (is_taskloader)
            taskloader = start_taskloader(output);
        else
            network = start_network(output, port, -1);
    }
}

int main(int count, char **arguments)
{
    if (strcmp(arguments[0], "/bin/set-address") == 0)
        return configure_address(count > 1 ? arguments[1] : "");

    mount_all();
    begin_clock_check();
    int output = start_console_pipe(), port = open_control_port(), listening = -1, its_end = -1;
    tune_kernel();
    if (port >= 0)
        listening = expect_listening(&its_end);
    /* The Taskloader listens before there is an address: whoever learns the address can connect. */
    pid_t taskloader = start_taskloader(output);
    if (port >= 0)
        stop_expecting(its_end);
    load_modules();
    check_clock(); /* before anybody can learn our address, and begin to measure */
    pid_t network = start_network(output, port, listening);
    raise_kernel_threads();
    keep_running(output, port, taskloader, network);
}
