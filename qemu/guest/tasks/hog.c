/* hog: takes and touches arg1 (1) MiB of memory; with arg2 it also forks so many processes that
 * never end. For tests of quotas, and of what is left of a task that was killed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "task.h"

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1, 1) << 20;
    unsigned long children = argument(count, arguments, 2, 0);

    for (unsigned long i = 0; i < children; i++)
        if (fork() == 0)
            for (;;)
                pause();
    volatile char *memory = malloc(size);
    if (memory == NULL)
        return 1;
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    printf("hog: touched %zu MiB\n", size >> 20);
    return 0;
}
