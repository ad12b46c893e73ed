/* The transport's rings: that frames go through them, what ends them, and peers that lie. */
#include "coordinator/coord_net_private.h"
#include "coordinator/coord_ring.h"
#include "coordinator/proto_msg.h"
#include "tests/support/net.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { COORDINATOR = 0, WORKER = 7, LIAR = 9 };

static char folder[64], local[96];

/* Handle what there is until frames that are sent go by a ring: the socket of ZeroMQ sees none of them. */
static void both(coord_net *a, coord_net *b)
{
    for (int i = 0; i < 20; i++) {
        net_test_drain(a, 2000);
        net_test_drain(b, 2000);
    }
}

static void pair_open(coord_net **c, coord_net **w)
{
    *c = net_test_open(COORDINATOR, local, NULL);
    *w = net_test_open(WORKER, NULL, NULL);
    net_test_connect(*w, COORDINATOR, local, NULL);
    net_test_expect(*w, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(*w, COORDINATOR, "x", 1), DF_OK);
    net_test_expect(*c, COORD_NET_FRAME, WORKER);
    both(*c, *w);
}

/* How often this process has gone to sleep of itself. */
static long switches(void)
{
    char line[128];
    long count = -1;
    FILE *f = fopen("/proc/thread-self/status", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    if (f != NULL)
        fclose(f);
    return count;
}

/* A frame is there as soon as it was sent: nobody else, as ZeroMQ's thread, has to carry it. */
static void test_at_once(void **state)
{
    coord_net *c, *w;
    coord_net_event e;
    long before;

    (void)state;
    pair_open(&c, &w);
    before = switches();
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(net_test_send(w, COORDINATOR, &i, sizeof i), DF_OK);
        e = net_test_expect(c, COORD_NET_FRAME, WORKER);
        assert_int_equal(e.role, COORD_ROLE_ADMIN);
        assert_memory_equal(e.bytes, &i, sizeof i);
        assert_int_equal(net_test_send(c, WORKER, &i, sizeof i), DF_OK); /* and back over the same ring */
        e = net_test_expect(w, COORD_NET_FRAME, COORDINATOR);
        assert_memory_equal(e.bytes, &i, sizeof i);
    }
    assert_true(switches() - before < 1000);
    coord_net_close(&w);
    coord_net_close(&c);
}

static void *wait_long(void *net)
{
    uint64_t ready;

    assert_int_equal(coord_net_wait(net, -1, NULL, 0, &ready), DF_OK);
    return NULL;
}

/* Who dozes is not woken by what comes, and finds it when somebody else wakes it. */
static void test_dozes(void **state)
{
    coord_net *c, *w;
    uint64_t rung, ready;
    pthread_t sleeper;

    (void)state;
    pair_open(&c, &w);
    coord_net_doze(c, true);
    while (read(c->wake_fd, &rung, sizeof rung) > 0)
        ;
    assert_int_equal(pthread_create(&sleeper, NULL, wait_long, c), 0);
    while (!atomic_load(&c->asleep))
        sched_yield();
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_OK);
    assert_int_equal(coord_net_wait(w, 0, NULL, 0, &ready), DF_AGAIN); /* a bell would be rung here */
    assert_int_equal(read(c->wake_fd, &rung, sizeof rung), -1);
    assert_true(atomic_load(&c->asleep));
    coord_net_wake(c);
    assert_int_equal(pthread_join(sleeper, NULL), 0);
    net_test_expect(c, COORD_NET_FRAME, WORKER);
    coord_net_close(&w);
    coord_net_close(&c);
}

/* More than a ring holds waits, in order, and a net that is closed lets it leave. */
static void test_waits_for_room(void **state)
{
    static uint8_t bytes[200000];
    coord_net *c, *w;
    uint32_t sent = 0;

    (void)state;
    pair_open(&c, &w);
    for (; sent < 1000; sent++) {
        memcpy(bytes, &sent, sizeof sent);
        if (net_test_send(w, COORDINATOR, bytes, sizeof bytes) != DF_OK)
            break;
    }
    assert_int_equal(sent, 1000);
    for (uint32_t i = 0; i < 995; i++) {
        coord_net_event e = net_test_expect(c, COORD_NET_FRAME, WORKER);
        assert_int_equal(e.size, sizeof bytes);
        assert_memory_equal(e.bytes, &i, sizeof i);
        coord_net_wait(w, 0, NULL, 0, NULL);
    }
    coord_net_close(&w); /* the rest is in the ring */
    for (uint32_t i = 995; i < 1000; i++)
        assert_memory_equal(net_test_expect(c, COORD_NET_FRAME, WORKER).bytes, &i, sizeof i);
    net_test_expect(c, COORD_NET_GONE, WORKER);
    coord_net_close(&c);
}

/* ---- liars ---- */

static int ring_socket(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct stat st;
    int length, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(stat(local + 6, &st), 0);
    length = snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "weir-ring-%jx-%jx",
                      (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    assert_int_equal(connect(fd, (struct sockaddr *)&at,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)), 0);
    return fd;
}

static int memory_new(size_t size, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

typedef struct hello {
    const char *magic;
    uint32_t version, size;
    uint64_t number;
    size_t length;
    int fds[3];
    size_t fd_count;
} hello;

static void say(int fd, const hello *h)
{
    uint8_t bytes[32] = { 0 };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = { 0 };
    struct iovec part = { bytes, h->length };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

    memcpy(bytes, h->magic, 8);
    proto_put_u32(bytes + 8, h->version);
    proto_put_u32(bytes + 12, h->size);
    proto_put_u64(bytes + 16, h->number);
    if (h->fd_count > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(h->fd_count * sizeof(int));
        CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(h->fd_count * sizeof(int));
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), h->fds, h->fd_count * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)h->length);
}

/* The net gives the ring up: our socket ends. */
static void expect_end(coord_net *net, int fd)
{
    uint64_t end = net_test_now_us() + NET_TEST_LIMIT_US;
    char byte;

    while (net_test_now_us() < end && recv(fd, &byte, 1, MSG_DONTWAIT) != 0)
        net_test_drain(net, 1000);
    assert_true(net_test_now_us() < end);
    close(fd);
}

static int fd_count(void)
{
    int count = 0;

    for (int fd = 0; fd < 300; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static const int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

static void test_wrong_hello(void **state)
{
    size_t size = 2 * coord_ring_memory();
    int good = memory_new(size, all_seals), small = memory_new(size - 4096, all_seals),
        loose = memory_new(size, F_SEAL_GROW | F_SEAL_SEAL), bell = eventfd(0, EFD_CLOEXEC), tube[2];
    coord_net *c = net_test_open(COORDINATOR, local, NULL);
    int before;

    (void)state;
    assert_int_equal(pipe(tube), 0);
    before = fd_count();
    const hello hellos[] = {
        { "weirrong", 1, COORD_RING_SIZE, LIAR, 24, { good, bell }, 2 },
        { "weirring", 2, COORD_RING_SIZE, LIAR, 24, { good, bell }, 2 },
        { "weirring", 1, COORD_RING_SIZE * 2, LIAR, 24, { good, bell }, 2 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 23, { good, bell }, 2 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { good }, 1 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { good, bell, bell }, 3 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { 0 }, 0 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { small, bell }, 2 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { loose, bell }, 2 }, /* it could be shortened */
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { bell, bell }, 2 },
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { good, tube[1] }, 2 }, /* ringing could block */
        { "weirring", 1, COORD_RING_SIZE, LIAR, 24, { good, good }, 2 },
    };
    for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
        int fd = ring_socket();
        coord_net_stats stats;

        say(fd, &hellos[i]);
        expect_end(c, fd);
        coord_net_stats_get(c, &stats);
        assert_int_equal(stats.rejected, i + 1);
    }
    assert_int_equal(fd_count(), before); /* what came with them was closed */
    coord_net_close(&c);
    close(good);
    close(small);
    close(loose);
    close(bell);
    close(tube[0]);
    close(tube[1]);
}

/* Who connects and says nothing holds nothing up, and others are heard. */
static void test_silent(void **state)
{
    coord_net *c, *w;
    int fds[40];

    (void)state;
    c = net_test_open(COORDINATOR, local, NULL);
    for (int i = 0; i < 40; i++) {
        fds[i] = ring_socket();
        net_test_drain(c, 100);
    }
    coord_net_close(&c);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    pair_open(&c, &w);
    coord_net_close(&w);
    coord_net_close(&c);
}

/* A ring that was handed over well, and then lies about what is in it. */
static void test_wrong_counters(void **state)
{
    static const uint64_t written[] = { UINT64_MAX, COORD_RING_SIZE + 24, 20, 32 };
    size_t size = 2 * coord_ring_memory();
    coord_net *c, *w;
    coord_net_event e;

    (void)state;
    pair_open(&c, &w);
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        int memory = memory_new(size, all_seals), bell = eventfd(0, EFD_CLOEXEC), fd = ring_socket();
        uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        coord_net_stats before, after;
        uint32_t large[2] = { COORD_RING_FRAME_MAX, COORD_RING_FRAME_MAX };
        uint32_t small[2] = { 3, COORD_RING_NONE };
        uint64_t first = 16;

        coord_net_stats_get(c, &before);
        say(fd, &(hello){ "weirring", 1, COORD_RING_SIZE, LIAR, 24, { memory, bell }, 2 });
        assert_true(at != MAP_FAILED);
        memcpy(at + 256, small, sizeof small);
        memcpy(at, &first, sizeof first);
        assert_int_equal(net_test_expect(c, COORD_NET_FRAME, LIAR).size, 3);
        memcpy(at + 256 + first, large, sizeof large);
        memcpy(at, &written[i], sizeof written[i]);
        e = net_test_expect(c, COORD_NET_GONE, LIAR);
        coord_net_stats_get(c, &after);
        assert_int_equal(after.rejected, before.rejected + 1);
        munmap(at, size);
        close(memory);
        close(bell);
        close(fd);
    }
    assert_int_equal(net_test_send(w, COORDINATOR, "still here", 10), DF_OK);
    coord_net_wait(w, 0, NULL, 0, NULL);
    e = net_test_expect(c, COORD_NET_FRAME, WORKER);
    assert_int_equal(e.size, 10);
    coord_net_close(&w);
    coord_net_close(&c);
}

/* Somebody else listens where the peer did: its number is not the one that is wanted. The connection is
 * what it was. */
static void test_another(void **state)
{
    coord_net *c = net_test_open(LIAR, local, NULL), *w = net_test_open(WORKER, NULL, NULL);
    coord_net_stats stats;

    (void)state;
    net_test_connect(w, COORDINATOR, local, NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    both(c, w);
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_OK);
    net_test_expect(c, COORD_NET_FRAME, WORKER);
    coord_net_stats_get(w, &stats);
    assert_int_equal(stats.rejected, 1);
    coord_net_close(&w);
    coord_net_close(&c);
}

static int setup(void **state)
{
    (void)state;
    alarm(200);
    net_test_rings = true;
    strcpy(folder, "/tmp/weir_ring_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(local, sizeof local, "ipc://%s/s", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),     cmocka_unit_test(test_dozes),
        cmocka_unit_test(test_waits_for_room),
        cmocka_unit_test(test_wrong_hello), cmocka_unit_test(test_silent),
        cmocka_unit_test(test_wrong_counters), cmocka_unit_test(test_another),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
