/* Whether the kernel's clock goes right.
 *
 * The kernel measures at boot how fast the TSC counts. Where the emulator gets no CPU in the midst of
 * that, it comes out as much as three times too slow, and the clock goes that much too fast for good,
 * as would all that is measured by it. So it is compared with the ACPI timer, which QEMU takes from
 * the host's own clock. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define TICKS_PER_S 3579545 /* of the ACPI timer, by its specification */
#define TICKS (1 << 24)     /* after which it begins again; some count further, none less */
#define NS_PER_S 1000000000LL

enum {
    PORT_OFFSET = 76, /* of the timer's port in the table FACP: PM_TMR_BLK */
    PORT_LENGTH = 4,
    TRIES = 50,            /* to read both clocks without being interrupted in between */
    CLOSE_NS = 20000,      /* apart is close enough */
    LEAST_NS = 20000000,   /* between two readings */
    TOLERATED_PERCENT = 1, /* the kernel's measurement is right within 0.04 if it is right at all */
};

struct reading {
    int64_t clock_ns;
    int64_t apart_ns; /* how exactly the timer is known to belong to it */
    int64_t ticks;
};

static unsigned short port; /* of the timer, 0: there is none */
static struct reading first;

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static struct reading read_both(void)
{
    struct reading best = {.apart_ns = INT64_MAX};

    for (int i = 0; i < TRIES && best.apart_ns > CLOSE_NS; i++) {
        int64_t before = now_ns();
        int64_t ticks = inl(port) & (TICKS - 1);
        int64_t apart = now_ns() - before;
        if (apart < best.apart_ns)
            best = (struct reading){.clock_ns = before + apart / 2, .apart_ns = apart, .ticks = ticks};
    }
    return best;
}

static unsigned short find_port(void)
{
    uint32_t found = 0;
    int fd = open("/sys/firmware/acpi/tables/FACP", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || pread(fd, &found, sizeof found, PORT_OFFSET) != sizeof found || found > UINT16_MAX)
        found = 0;
    if (fd >= 0)
        close(fd);
    return (unsigned short)found;
}

void begin_clock_check(void)
{
    port = find_port();
    if (port != 0 && ioperm(port, PORT_LENGTH, 1) < 0)
        port = 0;
    if (port == 0)
        say("no ACPI timer: nobody knows whether the clock goes right");
    else
        first = read_both();
}

void check_clock(void)
{
    if (port == 0)
        return;
    int64_t wait_ns = first.clock_ns + LEAST_NS - now_ns();
    if (wait_ns > 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)wait_ns}, NULL);
    struct reading second = read_both();
    int64_t passed_ns = second.clock_ns - first.clock_ns;
    int64_t passed_ticks = passed_ns * TICKS_PER_S / NS_PER_S;
    /* What the timer has counted beyond that, which may have begun again meanwhile. */
    int64_t beyond = ((second.ticks - first.ticks - passed_ticks) % TICKS + TICKS) % TICKS;
    if (beyond >= TICKS / 2)
        beyond -= TICKS;
    int64_t wrong_ns = llabs(beyond) * NS_PER_S / TICKS_PER_S - first.apart_ns - second.apart_ns;
    if (wrong_ns > passed_ns * TOLERATED_PERCENT / 100) {
        say("the clock and the ACPI timer differ by more than %d %%: booting anew, to measure it again",
            TOLERATED_PERCENT);
        reboot(RB_AUTOBOOT);
    }
    if (passed_ticks > TICKS / 2) { /* a clock far too fast might have met it by chance */
        first = second;
        check_clock();
    }
}
