#include "coordinator/coord_keeper.h"

#include "coordinator/coord_machine.h"
#include "coordinator/coord_pool.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_spawn.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_verb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEPER_AGAIN_US 1000000u /* what was not answered is said again */

typedef struct keeper {
    const coord_keeper_options *options;
    uint64_t order, ticket;
    coord_doing doing;
    int code;
    pid_t pid;               /* 0: there is no process */
    int pidfd;               /* -1: none */
    bool heard;              /* the service knows what we said last */
    uint64_t again_us;
    char address[COORD_ADDRESS_MAX], key[COORD_KEY_SIZE], label[WEIR_NAME_MAX], log[DF_PATH_MAX];
} keeper;

static coord_net *keeper_net; /* what the signal handler wakes */
static volatile sig_atomic_t keeper_signals;

static void keeper_signal(int number)
{
    (void)number;
    keeper_signals = 1;
    coord_net_wake(keeper_net);
}

static uint64_t keeper_now_us(void)
{
    return (uint64_t)(coord_machine_seconds() * 1e6);
}

static void keeper_say(keeper *k)
{
    const char *label = k->options->label == NULL ? "" : k->options->label;
    proto_msg msg = { .header = { .type = PROTO_TYPE_pooled, .job = k->ticket, .sender = k->options->id } };

    msg.pooled = (proto_pooled){ .order = k->order, .doing = (uint8_t)k->doing, .code = (uint8_t)k->code,
                                 .host = coord_process_host(), .process = coord_process_self(),
                                 .label = { (const uint8_t *)label, (uint32_t)strlen(label) } };
    k->heard = false;
    k->again_us = keeper_now_us() + KEEPER_AGAIN_US;
    coord_wire_send(k->options->wire, k->options->net, COORD_WIRE_COORDINATOR, &msg);
}

/* ---- the process ---- */

/* What it says goes to the job's log, or where our own words go. */
static int keeper_log(const keeper *k)
{
    int fd = k->log[0] == '\0' ? -1 : open(k->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    return fd >= 0 ? fd : dup(2);
}

static pid_t keeper_spawn(const keeper *k, int log)
{
    const coord_keeper_options *o = k->options;
    char program[] = COORD_SPAWN_SELF, verb[] = "worker", insecure[] = "--insecure", threads[32];
    char join[COORD_ADDRESS_MAX + 16], label[WEIR_NAME_MAX + 16], bind[DF_PATH_MAX], keys[DF_PATH_MAX];
    char scratch[DF_PATH_MAX + 16];
    char key[COORD_KEY_SIZE + 16];
    char *argv[11] = { program, verb, join };
    int count = 3;
    coord_spawn_options spawn = { .argv = argv, .out = log, .err = log, .tied = true };

    snprintf(join, sizeof join, "--join=%s", k->address);
    if (k->label[0] != '\0' && snprintf(label, sizeof label, "--label=%s", k->label) > 0)
        argv[count++] = label;
    if (o->threads > 0 && snprintf(threads, sizeof threads, "--threads=%u", o->threads) > 0)
        argv[count++] = threads;
    if (o->insecure)
        argv[count++] = insecure;
    if (o->bind != NULL && snprintf(bind, sizeof bind, "--bind=%s", o->bind) > 0)
        argv[count++] = bind;
    if (o->scratch != NULL && snprintf(scratch, sizeof scratch, "--scratch=%s", o->scratch) > 0)
        argv[count++] = scratch;
    if (k->key[0] != '\0' && snprintf(key, sizeof key, "--server-key=%s", k->key) > 0)
        argv[count++] = key;
    if (k->key[0] != '\0' && o->keys != NULL && snprintf(keys, sizeof keys, "--keys=%s", o->keys) > 0)
        argv[count++] = keys;
    return coord_spawn(&spawn);
}

static void keeper_start(keeper *k)
{
    int log = keeper_log(k);

    k->pid = log < 0 ? -1 : keeper_spawn(k, log);
    if (k->pid > 0) {
        k->doing = COORD_DOING_WORK;
        k->pidfd = (int)syscall(SYS_pidfd_open, k->pid, 0);
    } else {
        fprintf(stderr, "weir: a worker could not be started: %s\n", strerror(errno));
        k->pid = 0;
        k->doing = COORD_DOING_ENDED;
        k->code = COORD_FAILED;
    }
    if (log >= 0)
        close(log);
}

static int code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Take its end; `wait`: it is near. True: it has ended. */
static bool keeper_collect(keeper *k, bool wait)
{
    int status = 0;
    pid_t got;

    if (k->pid == 0)
        return false;
    do
        got = waitpid(k->pid, &status, wait ? 0 : WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return false;
    if (k->pidfd >= 0)
        close(k->pidfd);
    k->pid = 0;
    k->pidfd = -1;
    k->doing = COORD_DOING_ENDED;
    k->code = got < 0 ? COORD_FAILED : code_of(status);
    return true;
}

/* What it holds is on disk with the job's snapshots, or is made again. */
static void keeper_end(keeper *k)
{
    if (k->pid > 0 && kill(k->pid, SIGKILL) == 0)
        keeper_collect(k, true);
}

/* ---- orders ---- */

static void text_take(char *to, size_t capacity, proto_bytes from)
{
    size_t size = from.size < capacity ? from.size : 0;

    memcpy(to, from.data, size);
    to[size] = '\0';
}

/* The coordinator that it works for listens elsewhere now. */
static bool keeper_is_moved(const keeper *k, const proto_place *p)
{
    return p->order == k->order && k->doing == COORD_DOING_WORK && p->address.size > 0 &&
           (strlen(k->address) != p->address.size ||
            memcmp(k->address, p->address.data, p->address.size) != 0);
}

static void keeper_take(keeper *k, const proto_msg *msg)
{
    const proto_place *p = &msg->place;

    k->heard |= p->order == k->order;
    if (p->order <= k->order && !keeper_is_moved(k, p))
        return;
    keeper_end(k);
    k->order = p->order;
    k->ticket = msg->header.job;
    k->doing = COORD_DOING_NOTHING;
    k->code = 0;
    text_take(k->address, sizeof k->address, p->address);
    text_take(k->key, sizeof k->key, p->key);
    text_take(k->label, sizeof k->label, p->label);
    text_take(k->log, sizeof k->log, p->log);
    if (k->address[0] != '\0')
        keeper_start(k);
    keeper_say(k);
}

static void keeper_event(keeper *k, const coord_net_event *e)
{
    proto_msg msg;

    if (e->peer != COORD_WIRE_COORDINATOR)
        return;
    if (e->kind == COORD_NET_LINKED)
        keeper_say(k);
    else if (e->kind == COORD_NET_FRAME && e->role == COORD_ROLE_ADMIN &&
             coord_wire_take(k->options->wire, e, &msg) == PROTO_REJECT_ok &&
             msg.header.sender == e->peer && msg.header.type == PROTO_TYPE_place)
        keeper_take(k, &msg);
}

/* Nothing to do and all said: it sleeps until something comes. */
static int64_t keeper_timeout(const keeper *k)
{
    uint64_t now = keeper_now_us();

    if (k->heard)
        return -1;
    return k->again_us > now ? (int64_t)(k->again_us - now) : 0;
}

int coord_keeper_run(const coord_keeper_options *options, uint64_t order)
{
    struct sigaction action = { .sa_handler = keeper_signal };
    keeper k = { .options = options, .order = order, .pidfd = -1 };
    coord_net_event event;
    uint64_t ready;

    sigemptyset(&action.sa_mask);
    keeper_net = options->net;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    keeper_say(&k);
    while (keeper_signals == 0) {
        if (coord_net_wait(options->net, keeper_timeout(&k), &k.pidfd, k.pidfd >= 0, &ready) == DF_EIO)
            break;
        while (coord_net_next(options->net, &event))
            keeper_event(&k, &event);
        if (keeper_collect(&k, false) || (!k.heard && keeper_now_us() >= k.again_us))
            keeper_say(&k);
    }
    keeper_end(&k);
    return keeper_signals != 0 ? COORD_DONE : COORD_FAILED;
}
