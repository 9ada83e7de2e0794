#include "commands.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/reboot.h>

#include "binaries.h"
#include "cgroup.h"
#include "console.h"
#include "descs.h"
#include "events.h"
#include "report.h"
#include "timeline.h"
#include "wire.h"

static void send_number(uint32_t number)
{
    number = htole32(number);
    client_send(&number, sizeof number);
}

static void clear(void)
{
    timeline_stop();
    for (unsigned i = 0; i < taskset.count; i++)
        descs_free(&taskset.task[i].description);
    taskset.count = 0;
}

static void restart_machine(void)
{
    console("reboot");
    if (reboot(RB_AUTOBOOT) < 0)
        console("reboot: %s", strerror(errno));
}

static void message(uint32_t number)
{
    switch (number) {
    case MESSAGE_CLEAR:
        clear();
        break;
    case MESSAGE_START:
        timeline_start();
        break;
    case MESSAGE_STOP:
        timeline_stop();
        break;
    case MESSAGE_GET_PROFILE:
        report_profile();
        break;
    case MESSAGE_GET_LIVE:
        report_live();
        break;
    case MESSAGE_REBOOT:
        restart_machine();
        break;
    case MESSAGE_AVAILABLE:
        send_number(MESSAGE_AVAILABLE);
        break;
    }
}

static void descriptions(const char *xml, size_t length)
{
    char error[256];

    clear(); /* a set replaces the one before it */
    if (!descs_parse(xml, length, &taskset, error, sizeof error)) {
        console("task-set dropped: %s", error);
        return;
    }
    for (unsigned i = 0; i < taskset.count; i++) {
        if (cgroup_prepare(i, taskset.task[i].description.quota_bytes))
            continue;
        console("task-set dropped");
        clear();
        return;
    }
    console("task-set of %u tasks", taskset.count);
}

static void xml(uint32_t number, const char *text, size_t length)
{
    if (number == MESSAGE_SEND_DESCS)
        descriptions(text, length);
    else
        console("OPTIMIZE of %zu bytes accepted; nothing here is tuned by it", length);
}

static void binary_wanted(void)
{
    send_number(MESSAGE_GO_SEND);
}

static void nonsense(const char *what, uint32_t number)
{
    console("client: %s %u (0x%x)", what, number, number);
}

static const struct wire_handler wire = {
    .message = message,
    .xml = xml,
    .binary_wanted = binary_wanted,
    .binary_begin = binary_begin,
    .binary_data = binary_write,
    .binary_end = binary_keep,
    .nonsense = nonsense,
};

static void connected(void)
{
    wire_reset(&wire);
}

/* A run without its client is of no use to anybody: nothing goes on for a client that is not there,
 * and the next one finds the machine as the first one did, binaries apart. */
static void gone(void)
{
    binary_drop();
    clear();
    events_flush(); /* to nobody: the next client must not be told how this one's tasks ended */
}

const struct client_handler commands = {
    .connected = connected,
    .received = wire_take,
    .gone = gone,
};
