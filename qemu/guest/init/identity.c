/* One state of this machine is saved, and many machines go on from it. Each of them is told here which
 * one it is. The host speaks, we answer, one line each:
 *
 *     ready                                                              (from us, once)
 *     identity clock_ns=N seed=HEX mac=MAC address=IP mask=IP router=IP  (router: optional)
 *     done clock_ns=N                                                    (or: failed WHAT)
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#ifndef SCHED_IDLE
#define SCHED_IDLE 5
#endif

enum { SEED_BYTES = 32, LINE_SIZE = 512, PRIORITY = 98 };

static const char interface[] = "eth0";

struct identity {
    const char *clock_ns, *seed, *mac, *address, *mask, *router;
};

/* The value of a word on the kernel's command line. */
static bool find_word(const char *key, char *value, size_t size)
{
    char line[4096];
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof line - 1);

    if (fd >= 0)
        close(fd);
    line[length < 0 ? 0 : length] = '\0';
    for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n"))
        if (strncmp(word, key, strlen(key)) == 0) {
            snprintf(value, size, "%s", word + strlen(key));
            return true;
        }
    return false;
}

int open_control_port(void)
{
    char device[32], path[64];
    struct termios settings;

    if (!find_word("taskgen.control=", device, sizeof device))
        return -1;
    snprintf(path, sizeof path, "/dev/%s", device);
    int port = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (port < 0 || tcgetattr(port, &settings) < 0) {
        say("%s: %s", path, strerror(errno));
        return -1;
    }
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL;
    cfsetspeed(&settings, B115200);
    tcsetattr(port, TCSANOW, &settings);
    return port;
}

static bool set_clock(const char *text)
{
    unsigned long long clock_ns = strtoull(text, NULL, 10);
    struct timespec now = {.tv_sec = (time_t)(clock_ns / 1000000000),
                           .tv_nsec = (long)(clock_ns % 1000000000)};

    return clock_settime(CLOCK_REALTIME, &now) == 0;
}

static bool read_seed(const char *text, unsigned char seed[SEED_BYTES])
{
    if (strlen(text) != 2 * SEED_BYTES)
        return false;
    for (int i = 0; i < SEED_BYTES; i++)
        if (sscanf(text + 2 * i, "%2hhx", &seed[i]) != 1)
            return false;
    return true;
}

static bool read_mac(const char *text, unsigned char mac[6])
{
    return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3],
                  &mac[4], &mac[5]) == 6;
}

/* What could not be done, NULL: nothing. */
static const char *become(const struct identity *identity)
{
    unsigned char seed[SEED_BYTES], mac[6];

    /* First of all: each moment since it was said makes it wrong. */
    if (identity->clock_ns == NULL || !set_clock(identity->clock_ns))
        return "clock_ns";
    if (identity->seed == NULL || !read_seed(identity->seed, seed) || !reseed(seed, sizeof seed))
        return "seed";
    if (identity->mac == NULL || !read_mac(identity->mac, mac) || !set_mac(interface, mac))
        return "mac";
    if (identity->address == NULL ||
        !set_address(interface, identity->address, identity->mask, identity->router))
        return "address";
    return NULL;
}

static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);

    return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static const char *obey(char *line)
{
    struct identity identity = {0};
    const struct {
        const char *key;
        const char **value;
    } keys[] = {
        {"clock_ns", &identity.clock_ns}, {"seed", &identity.seed}, {"mac", &identity.mac},
        {"address", &identity.address},   {"mask", &identity.mask}, {"router", &identity.router},
    };
    char *word = strtok(line, " ");

    if (word == NULL || strcmp(word, "identity") != 0)
        return "command";
    while ((word = strtok(NULL, " ")) != NULL)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            const char *value = value_of(word, keys[i].key);
            if (value != NULL)
                *keys[i].value = value;
        }
    return become(&identity);
}

static void answer(int port, const char *failed)
{
    char line[64];
    struct timespec now;
    int length;

    clock_gettime(CLOCK_REALTIME, &now);
    if (failed == NULL)
        length = snprintf(line, sizeof line, "done clock_ns=%lld%09ld\n", (long long)now.tv_sec,
                          now.tv_nsec);
    else
        length = snprintf(line, sizeof line, "failed %s\n", failed);
    if (write(port, line, (size_t)length) < 0)
        say("control port: %s", strerror(errno));
}

/* All others are to be done with what they do: each machine that is made from the state would have to
 * do it again. */
static void wait_for_quiet(void)
{
    struct sched_param parameters = {0};

    syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &parameters);
    sched_yield();
}

void take_identities(int port, int listening)
{
    char line[LINE_SIZE], byte;

    if (listening >= 0 && read(listening, &byte, 1) != 1)
        _exit(1); /* the Taskloader has failed; init says so */
    wait_for_quiet();
    if (write(port, "ready\n", 6) != 6)
        _exit(2);
    set_priority(0, PRIORITY); /* above all tasks */
    for (size_t length = 0;;) {
        ssize_t more = read(port, line + length, sizeof line - length);
        if (more <= 0)
            _exit(3);
        length += (size_t)more;
        char *end = memchr(line, '\n', length);
        if (end == NULL && length == sizeof line)
            length = 0; /* nothing that we know is so long */
        if (end == NULL)
            continue;
        *end = '\0';
        answer(port, obey(line));
        length = 0;
    }
}
