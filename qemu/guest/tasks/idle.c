/* idle: does nothing useful for arg1 milliseconds of its own CPU time; without it, or with 0, for
 * good. Exit value arg2 (0). */
#include "burn.h"
#include "task.h"

int main(int count, char **arguments)
{
    burn_ms(argument(count, arguments, 1, 0));
    return (int)argument(count, arguments, 2, 0);
}
