#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "init.h"

enum { BYTES_MAX = 64 };

/* As linux/random.h has them, which does not go with this libc. */
struct entropy {
    int entropy_bits;
    int length;
    unsigned char bytes[BYTES_MAX];
};
#define ADD_ENTROPY _IOW('R', 0x03, int[2])
#define RESEED_NOW _IO('R', 0x07)

bool reseed(const unsigned char *bytes, size_t length)
{
    struct entropy entropy = {.entropy_bits = (int)length * 8, .length = (int)length};
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

    if (length > BYTES_MAX)
        return false;
    memcpy(entropy.bytes, bytes, length);
    /* Without the second call the kernel would go on with its present key for up to a minute. */
    bool done = fd >= 0 && ioctl(fd, ADD_ENTROPY, &entropy) == 0 && ioctl(fd, RESEED_NOW) == 0;
    if (!done)
        say("random numbers: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return done;
}
