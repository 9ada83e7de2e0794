/* How the machine's memory is shared out. The Taskloader must never have to wait for memory: in the
 * middle of freeing some, at its priority, it would keep everybody else from doing so. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

#define MIB (1u << 20)

/* Below this no process is made. */
#define MEMORY_FOR_PROCESS (4 * MIB)
/* What all tasks together leave free: for processes in the making, page tables, the network. */
#define MEMORY_RESERVE (8 * MIB)
/* What a process that waits for its release takes at most (measured: 90 KiB). */
#define MEMORY_OF_PREPARED (128u << 10)

/* Free memory in bytes. There is no disk cache here that could be given up for more. */
uint64_t memory_free(void);

#endif
