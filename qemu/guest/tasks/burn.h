/* Uses the CPU. */
#ifndef BURN_H
#define BURN_H

#include <time.h>

static inline unsigned long cpu_time_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (unsigned long)used.tv_sec * 1000000 + (unsigned long)used.tv_nsec / 1000;
}

/* For so many milliseconds of CPU time from now on; 0: for good. */
static inline void burn_ms(unsigned long milliseconds)
{
    unsigned long begin_us = cpu_time_us(); /* not 0: making the process has taken some */

    while (milliseconds == 0 || cpu_time_us() - begin_us < milliseconds * 1000)
        for (volatile unsigned i = 0; i < 10000; i++)
            ;
}

#endif
