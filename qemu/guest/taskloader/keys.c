#include "keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* About 31 years; keeps every later sum of microseconds far from an overflow. */
#define TIME_MS_MAX 1000000000000ULL

static const char *const NOT_A_NUMBER = "not a whole number that is 0 or more";

/* Digits only: neither a sign nor a space, which strtoull would let pass. */
static bool number(const char *text, uint64_t *value, const char **rest)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
}

static const char *set_number(const char *text, uint64_t *value)
{
    const char *rest;

    return number(text, value, &rest) && *rest == '\0' ? NULL : NOT_A_NUMBER;
}

static const char *set_time(const char *text, uint64_t *value_us)
{
    uint64_t value_ms;
    const char *wrong = set_number(text, &value_ms);

    if (wrong != NULL)
        return wrong;
    if (value_ms > TIME_MS_MAX)
        return "too long a time";
    *value_us = value_ms * 1000;
    return NULL;
}

static const char *set_bytes(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMG";
    const char *rest;
    unsigned shift = 0;

    if (!number(text, bytes, &rest))
        return "not a size such as 512K, 1M or 1048576";
    if (*rest != '\0') {
        const char *unit = strchr(units, toupper((unsigned char)*rest));
        if (unit == NULL || *unit == '\0' || rest[1] != '\0')
            return "not a size such as 512K, 1M or 1048576";
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (*bytes > UINT64_MAX >> (shift + 1))
        return "too large a size";
    *bytes <<= shift;
    return NULL;
}

static const char *set_id(struct description *task, const char *text)
{
    uint64_t value;
    const char *wrong = set_number(text, &value);

    if (wrong == NULL && value > INT32_MAX)
        wrong = "too large a number";
    if (wrong == NULL)
        task->id = (int64_t)value;
    return wrong;
}

static const char *set_pkg(struct description *task, const char *text)
{
    if (strlen(text) >= PKG_SIZE)
        return "longer than 15 characters";
    snprintf(task->pkg, sizeof task->pkg, "%s", text);
    return NULL;
}

static const char *set_priority(struct description *task, const char *text)
{
    uint64_t value;
    const char *wrong = set_number(text, &value);

    if (wrong == NULL) /* The protocol's own rule for what is too large. */
        task->priority = value > PRIORITY_MAX ? 0 : (int)value;
    return wrong;
}

static const char *set_cpu_number(const char *text, unsigned *value)
{
    uint64_t wide;
    const char *wrong = set_number(text, &wide);

    if (wrong == NULL)
        *value = wide > CPU_SETSIZE ? CPU_SETSIZE : (unsigned)wide;
    return wrong;
}

const char *key_set(struct description *task, const char *key, const char *text)
{
    char trimmed[4096];

    while (isspace((unsigned char)*text))
        text++;
    snprintf(trimmed, sizeof trimmed, "%s", text);
    for (size_t n = strlen(trimmed); n > 0 && isspace((unsigned char)trimmed[n - 1]); n--)
        trimmed[n - 1] = '\0';
    if (trimmed[0] == '\0')
        return NULL;

    if (strcmp(key, "id") == 0)
        return set_id(task, trimmed);
    if (strcmp(key, "pkg") == 0)
        return set_pkg(task, trimmed);
    if (strcmp(key, "quota") == 0)
        return set_bytes(trimmed, &task->quota_bytes);
    if (strcmp(key, "executiontime") == 0)
        return set_time(trimmed, &task->executiontime_us);
    if (strcmp(key, "criticaltime") == 0)
        return set_time(trimmed, &task->criticaltime_us);
    if (strcmp(key, "period") == 0)
        return set_time(trimmed, &task->period_us);
    if (strcmp(key, "offset") == 0)
        return set_time(trimmed, &task->offset_us);
    if (strcmp(key, "deadline") == 0)
        return set_time(trimmed, &task->deadline_us);
    if (strcmp(key, "numberofjobs") == 0)
        return set_number(trimmed, &task->numberofjobs);
    if (strcmp(key, "priority") == 0)
        return set_priority(task, trimmed);
    if (strcmp(key, "cores") == 0)
        return set_cpu_number(trimmed, &task->cores);
    if (strcmp(key, "coreoffset") == 0)
        return set_cpu_number(trimmed, &task->coreoffset);
    return NULL; /* caps, and keys of other servers */
}
