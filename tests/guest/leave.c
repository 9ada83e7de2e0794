/* A task that leaves memory behind. arg1: so many MiB, instead of what it has left before. */
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

#define MEMORY_KEY 0x6c656176

int main(int count, char **arguments)
{
    size_t size = count > 1 ? strtoul(arguments[1], NULL, 10) << 20 : 0;

    shmctl(shmget(MEMORY_KEY, 0, 0), IPC_RMID, NULL);
    if (size == 0)
        return 0;
    char *memory = shmat(shmget(MEMORY_KEY, size, IPC_CREAT | 0666), NULL, 0);
    if (memory == (char *)-1)
        return 1;
    memset(memory, 0xd1, size);
    return 0;
}
