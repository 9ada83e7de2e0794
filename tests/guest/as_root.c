/* Executes the file of a descriptor as root, whoever asks: for a guest that keeps no task in. Its file
 * is set-user-ID. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    char *environment[] = {NULL};

    if (count < 2 || setgid(0) < 0 || setuid(0) < 0)
        return 1;
    syscall(SYS_execveat, atoi(arguments[1]), "", arguments + 1, environment, AT_EMPTY_PATH);
    perror("as-root");
    return 1;
}
