/* cond_mod: returns at once, unless arg1 is a multiple of arg2 (2): then it never ends by itself. */
#include "burn.h"
#include "task.h"

int main(int count, char **arguments)
{
    unsigned long divisor = argument(count, arguments, 2, 2);

    if (divisor > 0 && argument(count, arguments, 1, 1) % divisor == 0)
        burn_ms(0);
    return 0;
}
