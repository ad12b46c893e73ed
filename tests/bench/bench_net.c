/* The transport, measured: a round trip and the throughput between two processes, and the same with
 * ZeroMQ alone. Prints a JSON line per figure.
 *
 *   make build && gcc -O2 -D_GNU_SOURCE -I. -o build/bench/bench_net tests/bench/bench_net.c \
 *     build/release/app/coordinator/{coord_net*,coord_ring,coord_keys,coord_allowed,proto_codec}.o \
 *     -Lbuild/release/lib -lweir -lzmq -Wl,-rpath,$PWD/build/release/lib &&
 * build/bench/bench_net
 *
 * bench_net moved BYTES: so many bytes from one process to another as workers of one host send them, that is in frames
 * of 1 MiB through a ring, and nothing else: from memory that is read once, to where they stay, memory that is new.
 * net.moved.again: from the same memory each time, to pages that were given back a moment before. */
#include "coordinator/coord_keys.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define BENCH_TRIPS  20000
#define BENCH_FRAMES 4000
#define BENCH_SIZE   (1u << 20)
#define BENCH_AHEAD  64 /* frames under way: what a credit of 64 MiB allows */

enum { SERVER = 1, CLIENT = 2 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fatal(const char *text)
{
    fprintf(stderr, "bench_net: %s\n", text);
    exit(1);
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void tell_trips(const char *name, double *seconds, size_t count)
{
    qsort(seconds, count, sizeof *seconds, order);
    printf("{\"bench\": \"%s\", \"unit\": \"us\", \"median\": %.1f, \"p99\": %.1f}\n", name,
           1e6 * seconds[count / 2], 1e6 * seconds[count * 99 / 100]);
    fflush(stdout);
}

/* ---- the transport ---- */

static bool rings;       /* memory that both see, as workers have it */
static const char *keys; /* folder of one key, which both sides use; null: no encryption */
static coord_key key;

static coord_net *open_net(uint64_t self, const char *bind)
{
    coord_net_options o = { .self = self, .bind = bind, .frame_size_max = 2 * BENCH_SIZE,
                            .keys = keys, .insecure = keys == NULL, .rings = rings };
    df_error err;
    coord_net *net;

    if (coord_net_open(&net, &o, &err) != DF_OK)
        fatal(err.text);
    return net;
}

static coord_net_event next_frame(coord_net *net)
{
    coord_net_event e;

    for (;;) {
        while (coord_net_next(net, &e))
            if (e.kind == COORD_NET_FRAME)
                return e;
        coord_net_wait(net, -1, NULL, 0, NULL);
    }
}

static void put(coord_net *net, uint64_t peer, const coord_net_frame *frame)
{
    df_error err;
    df_status s;

    while ((s = coord_net_send(net, peer, frame, &err)) == DF_AGAIN) {
        coord_net_event e;

        coord_net_wait(net, 1000, NULL, 0, NULL);
        while (coord_net_next(net, &e))
            ;
    }
    if (s != DF_OK)
        fatal(err.text);
}

/* Echoes heads; of payloads only every BENCH_AHEAD-th is answered. */
static void serve(const char *bind)
{
    coord_net *net = open_net(SERVER, bind);
    uint64_t payloads = 0;

    for (;;) {
        coord_net_event e = next_frame(net);
        coord_net_frame answer = { .head = e.bytes, .head_size = e.size };

        if (e.payload == NULL || ++payloads % (BENCH_AHEAD / 2) == 0)
            put(net, e.peer, &answer);
    }
}

static void keep(void *data, void *hint)
{
    (void)data;
    (void)hint;
}

static void bench_net(const char *kind, const char *bind)
{
    static double trips[BENCH_TRIPS];
    static uint8_t bytes[BENCH_SIZE];
    coord_net *net = open_net(CLIENT, NULL);
    coord_net_frame small = { .head = bytes, .head_size = 64 };
    coord_net_frame large = { .head = bytes, .head_size = 64, .payload = bytes,
                              .payload_size = BENCH_SIZE, .release = keep };
    char name[64];
    df_error err;
    double begin;

    if (coord_net_connect(net, SERVER, bind, keys == NULL ? NULL : key.public_key, &err))
        fatal(err.text);
    for (int i = -1000; i < BENCH_TRIPS; i++) {
        begin = now();
        put(net, SERVER, &small);
        next_frame(net);
        if (i >= 0)
            trips[i] = now() - begin;
    }
    snprintf(name, sizeof name, "net.%s.trip", kind);
    tell_trips(name, trips, BENCH_TRIPS);
    begin = now();
    for (int i = 0; i < BENCH_FRAMES; i++) {
        if (i >= BENCH_AHEAD && i % (BENCH_AHEAD / 2) == 0)
            next_frame(net);
        put(net, SERVER, &large);
    }
    next_frame(net);
    next_frame(net);
    printf("{\"bench\": \"net.%s.throughput\", \"unit\": \"GB/s\", \"value\": %.2f, \"frame\": %u}\n", kind,
           1e-9 * BENCH_FRAMES * BENCH_SIZE / (now() - begin), BENCH_SIZE);
    coord_net_close(&net);
}

/* ---- bytes that stay ---- */

#define MOVED_HEAD   64u
#define MOVED_SIZE   (BENCH_SIZE - MOVED_HEAD) /* of a frame of 1 MiB */
#define MOVED_TOUCH  (2u << 20)
#define MOVED_ROUNDS 9

/* As the engine's pool gets it. */
static uint8_t *new_memory(size_t size)
{
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        fatal("out of memory");
    (void)madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

/* Each round into memory of its own; the last byte is answered. `stays`: so the next round cannot have its pages. */
static void keep_moved(const char *bind, size_t size, bool stays)
{
    coord_net *net = open_net(SERVER, bind);

    for (;;) {
        uint8_t *to = NULL;
        size_t have = 0, touched = 0;

        while (have < size) {
            coord_net_event e = next_frame(net);

            if (e.payload == NULL) {
                put(net, e.peer, &(coord_net_frame){ .head = e.bytes, .head_size = e.size });
                continue;
            }
            if (to == NULL)
                to = new_memory(size);
            for (; touched < size && touched < have + e.payload_size; touched += MOVED_TOUCH)
                (void)madvise(to + touched, size - touched < MOVED_TOUCH ? size - touched : MOVED_TOUCH,
                              MADV_POPULATE_WRITE);
            memcpy(to + have, e.payload, e.payload_size);
            have += e.payload_size;
        }
        put(net, CLIENT, &(coord_net_frame){ .head = to, .head_size = MOVED_HEAD });
        if (!stays)
            munmap(to, size);
    }
}

static double move_once(coord_net *net, const uint8_t *from, size_t size)
{
    double begin = now();

    for (size_t sent = 0; sent < size; sent += MOVED_SIZE)
        put(net, SERVER, &(coord_net_frame){ .head = from, .head_size = MOVED_HEAD, .payload = from + sent,
                                             .payload_size = size - sent < MOVED_SIZE ? size - sent : MOVED_SIZE,
                                             .release = keep });
    next_frame(net);
    return now() - begin;
}

/* `once`: each round reads memory that was written long before, and what it has written stays. */
static void bench_moved(const char *name, const char *bind, size_t size, bool once)
{
    double seconds[MOVED_ROUNDS];
    uint8_t *from[MOVED_ROUNDS];
    coord_net *net;
    df_error err;
    pid_t pid = fork();

    rings = true;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        keep_moved(bind, size, once);
    }
    net = open_net(CLIENT, NULL);
    if (coord_net_connect(net, SERVER, bind, NULL, &err))
        fatal(err.text);
    for (int i = 0; i < MOVED_ROUNDS; i++) {
        from[i] = i > 0 && !once ? from[0] : new_memory(size);
        memset(from[i], 1, size);
    }
    for (int i = 0; i < 1000; i++) { /* until the ring is there */
        put(net, SERVER, &(coord_net_frame){ .head = from[0], .head_size = MOVED_HEAD });
        next_frame(net);
    }
    for (int i = 0; i < MOVED_ROUNDS; i++)
        seconds[i] = move_once(net, from[i], size);
    qsort(seconds, MOVED_ROUNDS, sizeof *seconds, order);
    printf("{\"bench\": \"%s\", \"unit\": \"GB/s\", \"value\": %.3f, \"bytes\": %zu, \"ms\": %.1f}\n", name,
           1e-9 * (double)size / seconds[MOVED_ROUNDS / 2], size, 1e3 * seconds[MOVED_ROUNDS / 2]);
    fflush(stdout);
    coord_net_close(&net);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < (once ? MOVED_ROUNDS : 1); i++)
        munmap(from[i], size);
}

/* What a net costs that nobody speaks to: connected, heartbeats going. */
static void bench_idle(const char *bind)
{
    coord_net *net = open_net(CLIENT, NULL);
    struct rusage before, after;
    double end = now() + 3, used;
    df_error err;
    coord_net_event e;

    if (coord_net_connect(net, SERVER, bind, keys == NULL ? NULL : key.public_key, &err))
        fatal(err.text);
    getrusage(RUSAGE_SELF, &before);
    while (now() < end) {
        coord_net_wait(net, 3000000, NULL, 0, NULL);
        while (coord_net_next(net, &e))
            ;
    }
    getrusage(RUSAGE_SELF, &after);
    used = (double)(after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec -
                    before.ru_stime.tv_sec) +
           1e-6 * (double)(after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec -
                           before.ru_stime.tv_usec);
    printf("{\"bench\": \"net.idle\", \"unit\": \"of a core\", \"value\": %.5f}\n", used / 3);
    coord_net_close(&net);
}

/* ---- ZeroMQ alone ---- */

static void bench_zmq(const char *address)
{
    static double trips[BENCH_TRIPS];
    char bytes[64] = "";
    void *ctx, *socket;
    pid_t pid = fork();

    ctx = zmq_ctx_new();
    socket = zmq_socket(ctx, ZMQ_PAIR);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (zmq_bind(socket, address) != 0)
            fatal("zmq_bind");
        for (;;) {
            zmq_recv(socket, bytes, sizeof bytes, 0);
            zmq_send(socket, bytes, sizeof bytes, 0);
        }
    }
    if (zmq_connect(socket, address) != 0)
        fatal("zmq_connect");
    for (int i = -1000; i < BENCH_TRIPS; i++) {
        double begin = now();

        zmq_send(socket, bytes, sizeof bytes, 0);
        zmq_recv(socket, bytes, sizeof bytes, 0);
        if (i >= 0)
            trips[i] = now() - begin;
    }
    tell_trips("zmq.ipc.trip", trips, BENCH_TRIPS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    zmq_close(socket);
    zmq_ctx_term(ctx);
}

static void bench(const char *kind, const char *bind)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(bind);
    }
    bench_net(kind, bind);
    if (strcmp(kind, "ipc") == 0)
        bench_idle(bind);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void bench_curve(const char *folder)
{
    char path[96];
    df_error err;

    if (coord_keys_new(folder, "k", &key, &err) != DF_OK)
        fatal(err.text);
    key.role = COORD_ROLE_WORKER;
    if (coord_allowed_set(folder, &key, &err) != DF_OK)
        fatal(err.text);
    keys = folder;
    bench("curve", "tcp://127.0.0.1:17924");
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i == 0 ? "k.key" : i == 1 ? "k.pub" : "allowed");
        unlink(path);
    }
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/weir_bench_XXXXXX", address[64], path[64];

    if (mkdtemp(folder) == NULL)
        fatal("no folder");
    snprintf(address, sizeof address, "ipc://%s/s", folder);
    snprintf(path, sizeof path, "%s/s", folder);
    if (argc == 3 && strcmp(argv[1], "moved") == 0) {
        bench_moved("net.moved.again", address, strtoull(argv[2], NULL, 10), false);
        unlink(path);
        bench_moved("net.moved", address, strtoull(argv[2], NULL, 10), true);
        unlink(path);
        rmdir(folder);
        return 0;
    }
    bench_zmq(address);
    unlink(path);
    bench("ipc", address);
    unlink(path);
    bench("tcp", "tcp://127.0.0.1:17923");
    bench_curve(folder);
    rmdir(folder);
    return 0;
}
