/* A group is used again by the activations of one set: making one is slow, and removing one can fail
 * for a moment after its last process has gone. The next set gets fresh ones, because memory can
 * outlive the processes that asked for it, and goes on counting in their group. */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console.h"
#include "task.h"

/* The group above those of the slots. */
#define ROOT "/sys/fs/cgroup/tasks"

/* For the name of a directory below it. */
#define NAME_SIZE 32

static struct {
    bool exists;
    bool used; /* processes have been in it */
    int directory;
    int kill;
    int events;
    int memory_events;
    uint64_t quota_bytes; /* 0: no limit */
    unsigned generation;  /* of its directory; see let_go */
    unsigned removed;     /* directories of earlier generations than this are gone */
} groups[TASKS_MAX];

static bool write_file(int directory, const char *name, const char *text)
{
    int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);
    bool written;

    if (fd < 0)
        return false;
    written = write(fd, text, strlen(text)) >= 0;
    close(fd);
    return written;
}

static int root(void)
{
    static int directory = -1;

    if (directory >= 0)
        return directory;
    if (mkdir(ROOT, 0755) < 0 && errno != EEXIST)
        return -1;
    directory = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0)
        write_file(directory, "cgroup.subtree_control", "+memory");
    return directory;
}

void cgroup_limit_all(uint64_t bytes)
{
    char text[32] = "";
    int current = openat(root(), "memory.current", O_RDONLY | O_CLOEXEC);

    if (current >= 0 && read(current, text, sizeof text - 1) > 0)
        bytes += strtoull(text, NULL, 10);
    if (current >= 0)
        close(current);
    snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
    if (!write_file(root(), "memory.max", text))
        console("cannot limit the memory of tasks to %s bytes: %s", text, strerror(errno));
}

static void name_directory(char name[NAME_SIZE], unsigned slot, unsigned generation)
{
    snprintf(name, NAME_SIZE, "task-%u-%u", slot, generation);
}

/* Removes directories of earlier generations, as far as their last process has gone by now. */
static void remove_old(unsigned slot)
{
    char name[NAME_SIZE];

    for (; groups[slot].removed < groups[slot].generation; groups[slot].removed++) {
        name_directory(name, slot, groups[slot].removed);
        if (unlinkat(root(), name, AT_REMOVEDIR) < 0)
            return;
    }
}

static bool make(unsigned slot)
{
    char name[NAME_SIZE];
    struct stat status;

    remove_old(slot);
    name_directory(name, slot, groups[slot].generation);
    if (mkdirat(root(), name, 0755) < 0 && errno != EEXIST)
        return false;
    int directory = openat(root(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return false;
    groups[slot].directory = directory;
    groups[slot].kill = openat(directory, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    groups[slot].events = openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC);
    groups[slot].memory_events = openat(directory, "memory.events", O_RDONLY | O_CLOEXEC);
    if (groups[slot].kill < 0 || groups[slot].events < 0 || groups[slot].memory_events < 0)
        return false;
    /* Without swap there is no such file, and no need of it. */
    if (fstatat(directory, "memory.swap.max", &status, 0) == 0)
        write_file(directory, "memory.swap.max", "0");
    groups[slot].used = false;
    return groups[slot].exists = true;
}

/* Lets go of the directory: the next one is fresh. */
static void let_go(unsigned slot)
{
    close(groups[slot].directory);
    close(groups[slot].kill);
    close(groups[slot].events);
    close(groups[slot].memory_events);
    groups[slot].exists = false;
    groups[slot].quota_bytes = 0;
    groups[slot].generation++;
}

bool cgroup_prepare(unsigned slot, uint64_t quota_bytes)
{
    char text[32] = "max";

    if (groups[slot].exists && groups[slot].used)
        let_go(slot);
    if (!groups[slot].exists && !make(slot)) {
        console("cannot make a control group: %s", strerror(errno));
        return false;
    }
    if (groups[slot].quota_bytes == quota_bytes)
        return true;
    if (quota_bytes > 0)
        snprintf(text, sizeof text, "%llu", (unsigned long long)quota_bytes);
    if (!write_file(groups[slot].directory, "memory.max", text)) {
        console("cannot limit memory to %s bytes: %s", text, strerror(errno));
        return false;
    }
    groups[slot].quota_bytes = quota_bytes;
    return true;
}

int cgroup_enter(unsigned slot)
{
    groups[slot].used = true;
    return groups[slot].directory;
}

/* The number after a line's name, in a file such as memory.events. */
static uint64_t field(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtoull(line + length, NULL, 10);
    }
    return 0;
}

static bool has_processes(unsigned slot)
{
    char text[128];
    ssize_t length = pread(groups[slot].events, text, sizeof text - 1, 0);

    if (length <= 0)
        return true; /* who cannot tell must assume it */
    text[length] = '\0';
    return field(text, "populated") != 0;
}

void cgroup_clear(unsigned slot)
{
    if (!has_processes(slot))
        return;
    if (write(groups[slot].kill, "1", 1) < 0)
        console("cgroup.kill: %s", strerror(errno));
    /* Some kernels (6.1.176 does, 6.1.192 does not) kill whatever is cloned into a group that
     * cgroup.kill was ever used on. */
    uint64_t quota_bytes = groups[slot].quota_bytes;
    let_go(slot);
    cgroup_prepare(slot, quota_bytes);
}

uint64_t cgroup_out_of_memory_count(unsigned slot)
{
    char text[512];
    ssize_t length = pread(groups[slot].memory_events, text, sizeof text - 1, 0);

    if (length <= 0)
        return 0;
    text[length] = '\0';
    return field(text, "oom") + field(text, "oom_kill");
}
