#include "coordinator/coord_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Nobody but our parent holds the other end then: what it had opened for its other children was inherited. */
static bool spawn_may_begin(int gate)
{
    char byte;
    ssize_t got;

    if (dup2(gate, 3) < 0 || close_range(4, ~0u, 0) != 0)
        return false;
    do
        got = read(3, &byte, 1);
    while (got < 0 && errno == EINTR);
    close(3);
    return got == 1;
}

/* In the new process, where little may be called. */
static _Noreturn void spawn_exec(const coord_spawn_options *o, pid_t parent)
{
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;

    setpgid(0, 0);
    if (o->tied)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (o->tied && getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(o->out, 1) < 0 || dup2(o->err, 2) < 0)
        _exit(1);
    if (o->gate != 0 && !spawn_may_begin(o->gate))
        _exit(1);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* of libraries' threads that open meanwhile */
    execv(o->argv[0], o->argv);
    _exit(1);
}

pid_t coord_spawn(const coord_spawn_options *options)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        spawn_exec(options, parent);
    return pid;
}
