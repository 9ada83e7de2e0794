/* Uses the CPU. */
#ifndef BURN_H
#define BURN_H

#include <time.h>

/* Until this process has had so many milliseconds of CPU time; 0: for good. */
static inline void burn_ms(unsigned long milliseconds)
{
    for (;;) {
        struct timespec used;

        for (volatile unsigned i = 0; i < 10000; i++)
            ;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        if (milliseconds > 0 &&
            (unsigned long)used.tv_sec * 1000 + (unsigned long)used.tv_nsec / 1000000 >= milliseconds)
            return;
    }
}

#endif
