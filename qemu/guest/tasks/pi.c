/* pi: the first arg1 (1,000,000) terms of the Leibniz series, in double precision. */
#include <stdio.h>

#include "task.h"

int main(int count, char **arguments)
{
    unsigned long terms = argument(count, arguments, 1, 1000000);
    double sum = 0;

    for (unsigned long i = 0; i < terms; i++)
        sum += (i % 2 == 0 ? 4.0 : -4.0) / (double)(2 * i + 1);
    printf("pi: %.9f\n", sum);
    return 0;
}
