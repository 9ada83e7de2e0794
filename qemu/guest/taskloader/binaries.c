/* A binary lies in a memfd: in RAM, executable by descriptor, and sealed once it is complete. */
#include "binaries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "console.h"
#include "task.h"

enum { BINARIES_MAX = 256 };

#define BINARY_BYTES_MAX (64u << 20)
/* Left free for processes, page tables and the network. */
#define RESERVE_BYTES (8u << 20)

static struct {
    char name[PKG_SIZE];
    int fd;
} binaries[BINARIES_MAX];
static unsigned binaries_count;

/* The upload under way. */
static struct {
    char name[PKG_SIZE];
    int fd; /* -1: its bytes are read and thrown away */
    uint32_t size;
} upload = {.fd = -1};

int binary_find(const char *name)
{
    for (unsigned i = 0; i < binaries_count; i++)
        if (strcmp(binaries[i].name, name) == 0)
            return binaries[i].fd;
    return -1;
}

/* MemAvailable, in bytes; what the kernel itself thinks can be had without swapping. */
static uint64_t memory_available(void)
{
    char text[1024];
    unsigned long long kilobytes = 0;
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, "MemAvailable:");
    if (line == NULL || sscanf(line, "MemAvailable: %llu", &kilobytes) != 1)
        return 0;
    return kilobytes * 1024;
}

bool binary_begin(const char *name, uint32_t size)
{
    snprintf(upload.name, sizeof upload.name, "%s", name);
    upload.size = size;
    upload.fd = -1;
    if (name[0] == '\0') {
        console("upload refused: a binary without a name");
        return false;
    }
    if (binary_find(name) >= 0) {
        console("upload of %s ignored: it is there already; a changed one needs a reboot", name);
        return true;
    }
    uint64_t available = memory_available();
    if (size > BINARY_BYTES_MAX || (uint64_t)size + RESERVE_BYTES > available) {
        console("upload of %s refused: %u bytes, at most %u and the memory available (%llu) less %u",
                name, size, BINARY_BYTES_MAX, (unsigned long long)available, RESERVE_BYTES);
        return false;
    }
    if (binaries_count == BINARIES_MAX) {
        console("upload of %s refused: %d binaries are here already", name, BINARIES_MAX);
        return false;
    }
    upload.fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (upload.fd < 0) {
        console("upload of %s refused: %s", name, strerror(errno));
        return false;
    }
    return true;
}

bool binary_write(const char *data, size_t length)
{
    const char *rest = data;

    while (upload.fd >= 0 && length > 0) {
        ssize_t written = write(upload.fd, rest, length);
        if (written < 0) {
            console("upload of %s failed: %s", upload.name, strerror(errno));
            return false;
        }
        rest += written;
        length -= (size_t)written;
    }
    return true;
}

void binary_keep(void)
{
    if (upload.fd < 0)
        return;
    fcntl(upload.fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    memcpy(binaries[binaries_count].name, upload.name, sizeof upload.name);
    binaries[binaries_count++].fd = upload.fd;
    upload.fd = -1;
    console("binary %s, %u bytes", upload.name, upload.size);
}

void binary_drop(void)
{
    if (upload.fd < 0)
        return;
    console("upload of %s broke off", upload.name);
    close(upload.fd);
    upload.fd = -1;
}
