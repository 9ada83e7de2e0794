/* namaste: says hello as often as arg1 tells (once). */
#include <stdio.h>

#include "task.h"

int main(int count, char **arguments)
{
    unsigned long times = argument(count, arguments, 1, 1);

    for (unsigned long i = 1; i <= times; i++)
        printf("namaste: %lu of %lu\n", i, times);
    return 0;
}
