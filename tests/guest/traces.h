/* What dirty leaves in a guest, and look finds. As root they can do more; only the test's own guest has
 * /bin/as-root. */
#ifndef TRACES_H
#define TRACES_H

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_KEY 0x7261636b /* + 0, 1, 2 … : segments of shared memory, of a MiB each */
#define QUEUE "/left-behind"
#define FILE_PATH "/left-behind"
#define PROCESS "left-behind"
#define SERVICE "ksoftirqd/0" /* whose priority is changed */
#define SETTING "/proc/sys/kernel/sched_rt_runtime_us"
#define SETTING_LEFT "900000"

enum { MEMORY_UNIT = 1 << 20, MEMORY_UNITS_MAX = 64 };

/* Goes on as root, from the beginning, where that is possible. */
static inline void become_root(char **arguments)
{
    char number[16];
    char *again[16] = {"/bin/as-root", number};
    int file = open("/proc/self/exe", O_RDONLY);

    if (geteuid() == 0 || file < 0)
        return;
    snprintf(number, sizeof number, "%d", file);
    for (int i = 1; i < 14 && arguments[i] != NULL; i++)
        again[i + 1] = arguments[i];
    execv(again[0], again);
    close(file);
}

/* The process of that name; 0: there is none. */
static inline int process_called(const char *name)
{
    DIR *all = opendir("/proc");
    int found = 0;

    for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *file = isdigit((unsigned char)entry->d_name[0]) ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        if (fgets(comm, sizeof comm, file) != NULL)
            comm[strcspn(comm, "\n")] = '\0';
        if (strcmp(comm, name) == 0)
            found = atoi(entry->d_name);
        fclose(file);
    }
    if (all != NULL)
        closedir(all);
    return found;
}

#endif
