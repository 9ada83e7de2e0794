#include "memory.h"

#include <sys/sysinfo.h>

uint64_t memory_free(void)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 ? (uint64_t)info.freeram * info.mem_unit : 0;
}
