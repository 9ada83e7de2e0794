#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "init.h"

static void mount_one(const char *type, const char *directory)
{
    mkdir(directory, 0755);
    if (mount(type, directory, type, MS_NOSUID | MS_NOEXEC, NULL) < 0 && errno != EBUSY)
        say("mount %s: %s", directory, strerror(errno));
}

void mount_all(void)
{
    mount_one("devtmpfs", "/dev");
    mount_one("proc", "/proc");
    mount_one("sysfs", "/sys");
    mount_one("debugfs", "/sys/kernel/debug");
    mount_one("cgroup2", "/sys/fs/cgroup");
    put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
}
