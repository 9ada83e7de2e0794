#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534, EXEC_FAILED = 127 };

void child_run(const struct child *child)
{
    sigset_t none;
    char *environment[] = {child->config, NULL};

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL); /* which the Taskloader ignores */
    /* Not root: a task gone wild can hurt itself and its like, not the machine. */
    if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        _exit(EXEC_FAILED);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Under ptrace, executing a binary ends in a stop; the Taskloader lets it go at its release. */
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(EXEC_FAILED);
    syscall(SYS_execveat, child->binary_fd, "", child->arguments, environment, AT_EMPTY_PATH);
    *child->exec_errno = errno;
    _exit(EXEC_FAILED);
}
