#include "report.h"

#include <stdio.h>

#include "events.h"
#include "frame.h"
#include "task.h"

/* Every frame has an <events>, so that a client which looks for nothing else finds none in it. */
static struct frame profile = {.open = "<profile><events></events><tasks>",
                               .close = "</tasks></profile>"};
static struct frame live = {.open = "<profile><events></events><live>",
                            .close = "</live></profile>"};

/* For an attribute's value: & < > and " as entities. */
static void escape(const char *text, char *escaped, size_t size)
{
    size_t length = 0;

    for (; *text != '\0' && length + 7 < size; text++) {
        const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;"
                           : *text == '>' ? "&gt;" : *text == '"' ? "&quot;" : NULL;
        length += (size_t)(entity != NULL ? snprintf(escaped + length, size - length, "%s", entity)
                                          : snprintf(escaped + length, size - length, "%c", *text));
    }
    escaped[length] = '\0';
}

static const char *state_of(const struct task *task)
{
    if (is_active(task))
        return "running";
    if (task->done)
        return task->started > 0 ? "done" : "idle";
    return "waiting";
}

void report_profile(void)
{
    events_flush(); /* what has happened comes before what is said about it */
    for (unsigned i = 0; i < taskset.count; i++) {
        const struct task *task = &taskset.task[i];
        char pkg[128], reason[512], text[1024];

        escape(task->description.pkg, pkg, sizeof pkg);
        escape(task->placement.refused, reason, sizeof reason);
        snprintf(text, sizeof text,
                 "<task id=\"%lld\" pkg=\"%s\" state=\"%s\" policy=\"%s\" fifo-priority=\"%d\" "
                 "cpus=\"%d\" activations=\"%llu\" lost-releases=\"%llu\" refused=\"%s\"/>",
                 (long long)task->description.id, pkg, state_of(task),
                 policy_name(task->placement.policy), task->placement.fifo_priority,
                 CPU_COUNT(&task->placement.cpus), (unsigned long long)task->started,
                 (unsigned long long)task->lost, reason);
        frame_add(&profile, text);
    }
    frame_send(&profile);
}

void report_live(void)
{
    uint64_t at_us = now_us();

    events_flush();
    for (unsigned i = 0; i < taskset.count; i++) {
        const struct task *task = &taskset.task[i];
        char text[512];

        if (!is_active(task))
            continue;
        snprintf(text, sizeof text,
                 "<task id=\"%lld\" activation=\"%llu\" pid=\"%d\" release-us=\"%llu\" "
                 "running-us=\"%llu\"/>",
                 (long long)task->description.id, (unsigned long long)task->started,
                 task->process.pid, (unsigned long long)task->release_us,
                 (unsigned long long)(at_us - task->start_us));
        frame_add(&live, text);
    }
    frame_send(&live);
}
