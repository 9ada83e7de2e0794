/* cond_42: returns at once, unless arg1 is 42: then it never ends by itself. A task-set can search
 * with it for the value that makes a task miss its deadline. */
#include "burn.h"
#include "task.h"

int main(int count, char **arguments)
{
    if (argument(count, arguments, 1, 0) == 42)
        burn_ms(0);
    return 0;
}
