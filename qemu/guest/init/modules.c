#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

static void load(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "/lib/modules/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
        say("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* The build has put a number before each name, such that what a module needs comes before it. */
void load_modules(void)
{
    struct dirent **entries;
    int count = scandir("/lib/modules", &entries, NULL, alphasort);

    for (int i = 0; i < count; i++)
        if (entries[i]->d_name[0] != '.')
            load(entries[i]->d_name);
}
