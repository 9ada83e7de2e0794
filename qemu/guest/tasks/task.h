/* What the example tasks share: whole numbers from their arguments. */
#ifndef TASK_ARGUMENTS_H
#define TASK_ARGUMENTS_H

#include <stdlib.h>

/* arg1 of the task's config is arguments[1], and so on. */
static inline unsigned long argument(int count, char **arguments, int index, unsigned long otherwise)
{
    return index < count ? strtoul(arguments[index], NULL, 10) : otherwise;
}

#endif
