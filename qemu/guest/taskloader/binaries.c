/* A binary lies in a memfd: in RAM, executable by descriptor, and sealed once it is complete. */
#include "binaries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "console.h"
#include "memory.h"
#include "task.h"

enum { BINARIES_MAX = 256 };

#define BINARY_BYTES_MAX (64 * MIB)

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
    uint64_t free_bytes = memory_free();
    if (size > BINARY_BYTES_MAX || (uint64_t)size + MEMORY_RESERVE > free_bytes) {
        console("upload of %s refused: %u bytes, and there can be %u, %llu are free, %u of them "
                "reserved", name, size, BINARY_BYTES_MAX, (unsigned long long)free_bytes,
                MEMORY_RESERVE);
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
