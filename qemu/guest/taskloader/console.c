#include "console.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void console(const char *format, ...)
{
    static const char prefix[] = "taskloader: ";
    char line[512];
    size_t length = (size_t)snprintf(line, sizeof line, "%s", prefix);
    va_list arguments;

    va_start(arguments, format);
    int added = vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    if (added < 0)
        return;
    length += (size_t)added;
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    /* Names and XML errors come from outside: keep them from steering a terminal. */
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')
            line[i] = '?';
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0)
        return;
}
