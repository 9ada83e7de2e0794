#include "events.h"

#include <stdarg.h>
#include <stdio.h>

#include "client.h"
#include "frame.h"

static struct frame frame = {.open = "<profile><events>", .close = "</events></profile>"};

/* `release` and `cpu`: with the attributes release-us and cpu-us. */
static void add(const struct task *task, const char *type, uint64_t at_us, bool release,
                const uint64_t *cpu_us)
{
    char text[256];
    int length = snprintf(text, sizeof text,
                          "<event type=\"%s\" task-id=\"%lld\" time-stamp=\"%llu\" time-us=\"%llu\"",
                          type, (long long)task->description.id,
                          (unsigned long long)at_us / 1000, (unsigned long long)at_us);

    if (release)
        length += snprintf(text + length, sizeof text - (size_t)length, " release-us=\"%llu\"",
                           (unsigned long long)task->release_us);
    if (cpu_us != NULL)
        length += snprintf(text + length, sizeof text - (size_t)length, " cpu-us=\"%llu\"",
                           (unsigned long long)*cpu_us);
    snprintf(text + length, sizeof text - (size_t)length, "/>");
    frame_add(&frame, text);
}

void event_start(const struct task *task)
{
    add(task, "START", task->start_us, true, NULL);
}

void event_exit(const struct task *task, const struct ending *ending, uint64_t at_us)
{
    add(task, ending->event, at_us, true, &ending->cpu_us);
}

void event_not_scheduled(const struct task *task, uint64_t at_us)
{
    add(task, "NOT_SCHEDULED", at_us, true, NULL);
}

void event_jobs_done(const struct task *task, uint64_t at_us)
{
    add(task, "JOBS_DONE", at_us, false, NULL);
}

void events_flush(void)
{
    frame_send(&frame);
}
