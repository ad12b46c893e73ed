/* The transport: two nets in one process, and one in a child that is killed. */
#include "tests/support/net.h"

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAME_MAX NET_TEST_FRAME_MAX
#define LIMIT_US  NET_TEST_LIMIT_US

enum { COORDINATOR = 0, WORKER = 7, OTHER = 8 };

static df_error error;
static char folder[64], local[96], second[100];

/* A frame of each of count peers, in whatever order. */
static void expect_all(coord_net *net, uint64_t first, uint64_t count)
{
    uint64_t end = net_test_now_us() + LIMIT_US, seen = 0;
    coord_net_event e;

    while (net_test_now_us() < end && seen != ((uint64_t)1 << count) - 1) {
        while (coord_net_next(net, &e))
            if (e.kind == COORD_NET_FRAME)
                seen |= (uint64_t)1 << (e.peer - first);
        coord_net_wait(net, 100000, NULL, 0, NULL);
    }
    assert_int_equal(seen, ((uint64_t)1 << count) - 1);
}

static void expect_nothing(coord_net *net)
{
    coord_net_event e;

    assert_false(coord_net_next(net, &e));
}

static uint8_t *pattern(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((i * 2654435761u + seed) >> 13);
    return bytes;
}

static _Atomic int released;

static void release(void *data, void *hint)
{
    assert_ptr_equal(hint, &released);
    free(data);
    atomic_fetch_add(&released, 1);
}

/* A worker connects; frames of all sizes go both ways over its connection, whole and in order. */
static void check_frames(const char *bind)
{
    static const size_t sizes[] = { 0, 1, 65536, FRAME_MAX };
    coord_net *c = net_test_open(COORDINATOR, bind, NULL), *w = net_test_open(WORKER, NULL, NULL);

    net_test_connect(w, COORDINATOR, coord_net_address(c), NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    for (size_t i = 0; i < 4; i++) { /* all at once; FRAME_MAX in the head, then in the payload */
        uint8_t *bytes = pattern(sizes[i], (uint32_t)i);
        coord_net_frame two = { .head = "", .payload = bytes, .payload_size = sizes[i],
                                .release = release, .hint = &released };

        assert_int_equal(net_test_send(w, COORDINATOR, bytes, sizes[i]), DF_OK);
        assert_int_equal(coord_net_send(w, COORDINATOR, &two, &error), DF_OK);
    }
    net_test_expect(c, COORD_NET_LINKED, WORKER);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *bytes = pattern(sizes[i], (uint32_t)i);
        coord_net_event e = net_test_expect(c, COORD_NET_FRAME, WORKER);

        assert_int_equal(e.size, sizes[i]);
        assert_memory_equal(e.bytes, bytes, sizes[i]);
        assert_null(e.payload);
        assert_int_equal(e.role, COORD_ROLE_ADMIN);
        e = net_test_expect(c, COORD_NET_FRAME, WORKER);
        assert_int_equal(e.size, 0);
        assert_non_null(e.payload);
        assert_int_equal(e.payload_size, sizes[i]);
        assert_memory_equal(e.payload, bytes, sizes[i]);
        assert_int_equal(net_test_send(c, WORKER, bytes, sizes[i]), DF_OK);
        e = net_test_expect(w, COORD_NET_FRAME, COORDINATOR);
        assert_int_equal(e.size, sizes[i]);
        assert_memory_equal(e.bytes, bytes, sizes[i]);
        free(bytes);
    }
    expect_nothing(c);
    coord_net_close(&w);
    net_test_expect(c, COORD_NET_GONE, WORKER);
    assert_int_equal(net_test_send(c, WORKER, "x", 1), DF_AGAIN);
    coord_net_close(&c);
    assert_null(c);
    assert_int_equal(atomic_exchange(&released, 0), 4);
}

static void test_frames_ipc(void **state)
{
    (void)state;
    check_frames(local);
}

static void test_frames_tcp(void **state)
{
    (void)state;
    check_frames("tcp://127.0.0.1:*");
}

static void test_frames_ipv6(void **state)
{
    coord_net_options o = { .bind = "tcp://[::1]:*", .frame_size_max = 9, .insecure = true };
    coord_net *net;

    (void)state;
    if (coord_net_open(&net, &o, &error) != DF_OK)
        skip(); /* no IPv6 here */
    coord_net_close(&net);
    check_frames("tcp://[::1]:*");
}

static void test_frames_by_name(void **state)
{
    struct addrinfo *found;
    coord_net *c, *w;
    char address[64];

    (void)state;
    if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
        skip(); /* a bare chroot has no /etc/hosts */
    freeaddrinfo(found);
    c = net_test_open(COORDINATOR, "tcp://127.0.0.1:*", NULL);
    w = net_test_open(WORKER, NULL, NULL);
    snprintf(address, sizeof address, "tcp://localhost:%s", strrchr(coord_net_address(c), ':') + 1);
    net_test_connect(w, COORDINATOR, address, NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    coord_net_close(&c);
    net_test_expect(w, COORD_NET_GONE, COORDINATOR);
    c = net_test_open(COORDINATOR, address, NULL); /* a name is taken for listening as well */
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    coord_net_close(&w);
    coord_net_close(&c);
}

static void test_all_interfaces(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, "tcp://*:*", NULL);
    char host[128] = "", begin[160];

    (void)state;
    gethostname(host, sizeof host - 1);
    snprintf(begin, sizeof begin, "tcp://%s:", host);
    assert_int_equal(strncmp(coord_net_address(c), begin, strlen(begin)), 0);
    assert_true(atoi(coord_net_address(c) + strlen(begin)) > 0);
    coord_net_close(&c);
}

/* Workers connect to each other: each sends over its own connection. */
static void test_workers(void **state)
{
    coord_net *a, *b;
    coord_net_event e;

    (void)state;
    a = net_test_open(WORKER, local, NULL);
    b = net_test_open(OTHER, second, NULL);
    net_test_connect(a, OTHER, coord_net_address(b), NULL);
    net_test_expect(a, COORD_NET_LINKED, OTHER);
    assert_int_equal(net_test_send(b, WORKER, "early", 5), DF_AGAIN);
    net_test_connect(b, WORKER, coord_net_address(a), NULL);
    net_test_expect(b, COORD_NET_LINKED, WORKER);
    assert_int_equal(net_test_send(a, OTHER, "to b", 4), DF_OK);
    assert_int_equal(net_test_send(b, WORKER, "to a", 4), DF_OK);
    e = net_test_expect(a, COORD_NET_LINKED, OTHER); /* its connection to us too */
    e = net_test_expect(a, COORD_NET_FRAME, OTHER);
    assert_memory_equal(e.bytes, "to a", 4);
    e = net_test_expect(b, COORD_NET_FRAME, WORKER);
    assert_memory_equal(e.bytes, "to b", 4);
    coord_net_disconnect(b, WORKER); /* the other direction is left, and is used */
    assert_int_equal(net_test_send(b, WORKER, "back", 4), DF_OK);
    e = net_test_expect(a, COORD_NET_FRAME, OTHER);
    assert_memory_equal(e.bytes, "back", 4);
    coord_net_close(&b);
    net_test_expect(a, COORD_NET_GONE, OTHER);
    expect_nothing(a); /* once, though two connections were lost */
    coord_net_close(&a);
}

static void test_too_large(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, local, NULL), *w = net_test_open(WORKER, NULL, NULL);
    uint8_t *bytes = pattern(FRAME_MAX + 1, 1);
    coord_net_frame two = { .head = "x", .head_size = 1, .payload = bytes, .payload_size = FRAME_MAX,
                            .release = release, .hint = &released };
    coord_net_options wide = { .self = OTHER, .frame_size_max = 4 * FRAME_MAX, .insecure = true };
    coord_net *other;
    coord_net_stats stats;

    (void)state;
    net_test_connect(w, COORDINATOR, coord_net_address(c), NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, bytes, FRAME_MAX + 1), DF_ELIMIT);
    assert_int_equal(coord_net_send(w, COORDINATOR, &two, &error), DF_ELIMIT);
    assert_int_equal(atomic_load(&released), 0); /* it is still ours */

    /* A peer that allows itself more loses its connection; one part too large, then two
     * together. */
    assert_int_equal(coord_net_open(&other, &wide, &error), DF_OK);
    net_test_connect(other, COORDINATOR, coord_net_address(c), NULL);
    net_test_expect(other, COORD_NET_LINKED, COORDINATOR);
    free(bytes);
    bytes = pattern(2 * FRAME_MAX, 1);
    assert_int_equal(net_test_send(other, COORDINATOR, bytes, 2 * FRAME_MAX), DF_OK);
    net_test_expect(other, COORD_NET_GONE, COORDINATOR);
    net_test_expect(other, COORD_NET_LINKED, COORDINATOR);
    two.release = NULL;
    two.payload = bytes;
    assert_int_equal(coord_net_send(other, COORDINATOR, &two, &error), DF_OK);
    assert_int_equal(net_test_send(other, COORDINATOR, "end", 3), DF_OK);
    assert_int_equal(net_test_expect(c, COORD_NET_FRAME, OTHER).size, 3);
    coord_net_stats_get(c, &stats);
    assert_int_equal(stats.rejected, 1);
    assert_int_equal(stats.frames_received, 1);
    coord_net_close(&other);
    coord_net_close(&w);
    coord_net_close(&c);
    free(bytes);
}

static void test_not_connected(void **state)
{
    coord_net *w = net_test_open(WORKER, NULL, NULL), *c;
    coord_net_event event = { 0 };
    coord_net_stats stats;
    uint64_t end;

    (void)state;
    assert_string_equal(coord_net_address(w), "");
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_AGAIN); /* never heard of */
    net_test_connect(w, COORDINATOR, local, NULL);
    net_test_connect(w, COORDINATOR, local, NULL);
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_AGAIN); /* nobody there yet */
    c = net_test_open(COORDINATOR, local, NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "y", 1), DF_OK);
    assert_memory_equal(net_test_expect(c, COORD_NET_FRAME, WORKER).bytes, "y", 1);
    coord_net_disconnect(w, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_AGAIN);
    end = net_test_now_us() + LIMIT_US;
    while (net_test_now_us() < end && event.kind != COORD_NET_GONE) {
        coord_net_wait(w, 1000, NULL, 0, NULL);
        expect_nothing(w);
        coord_net_wait(c, 0, NULL, 0, NULL);
        coord_net_next(c, &event);
    }
    assert_int_equal(event.kind, COORD_NET_GONE);
    coord_net_stats_get(w, &stats);
    assert_int_equal(stats.again, 3);
    assert_int_equal(stats.frames_sent, 1);
    coord_net_close(&w);
    coord_net_close(&c);
}

/* The queue is bounded, and nothing that was accepted is lost while the connection holds. */
static void test_full(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, local, NULL), *w = net_test_open(WORKER, NULL, NULL);
    uint8_t *bytes = pattern(65536, 3);
    uint32_t sent = 0, i;

    (void)state;
    net_test_connect(w, COORDINATOR, coord_net_address(c), NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    while (sent < 10000) {
        memcpy(bytes, &sent, sizeof sent);
        if (net_test_send(w, COORDINATOR, bytes, 65536) == DF_AGAIN)
            break;
        sent++;
    }
    assert_in_range(sent, 100, 9999);
    for (i = 0; i < sent; i++)
        assert_memory_equal(net_test_expect(c, COORD_NET_FRAME, WORKER).bytes, &i, sizeof i);
    coord_net_close(&w);
    coord_net_close(&c);
    free(bytes);
}

static void test_replaced_address(void **state)
{
    coord_net *a, *b, *w = net_test_open(WORKER, NULL, NULL);

    (void)state;
    a = net_test_open(COORDINATOR, local, NULL);
    b = net_test_open(COORDINATOR, second, NULL);
    for (int i = 0; i < 20; i++) { /* back and forth */
        net_test_connect(w, COORDINATOR, i % 2 == 0 ? local : second, NULL);
        net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
        assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_OK);
        net_test_expect(i % 2 == 0 ? a : b, COORD_NET_FRAME, WORKER);
    }
    net_test_connect(w, OTHER, second, NULL); /* the same address for another peer: the first loses it */
    net_test_expect(w, COORD_NET_GONE, COORDINATOR);
    net_test_expect(w, COORD_NET_LINKED, OTHER);
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_AGAIN);
    /* Who answers there is not the peer that we meant: its frames are refused. */
    assert_int_equal(net_test_send(w, OTHER, "x", 1), DF_OK);
    net_test_expect(b, COORD_NET_FRAME, WORKER);
    assert_int_equal(net_test_send(b, WORKER, "I am 0", 6), DF_OK);
    coord_net_close(&b);
    net_test_expect(w, COORD_NET_GONE, OTHER);
    expect_nothing(w);
    coord_net_close(&w);
    coord_net_close(&a);
}

/* ---- processes ---- */

/* A child that connects, says one frame, and stays. exec is not needed: the parent has no net
 * yet. */
static pid_t child(const char *address, uint64_t self)
{
    pid_t pid = fork();
    coord_net *net;
    uint64_t ready;
    coord_net_event e;

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    net = net_test_open(self, NULL, NULL);
    net_test_connect(net, COORDINATOR, address, NULL);
    for (;;) {
        while (coord_net_next(net, &e))
            if (e.kind == COORD_NET_LINKED && net_test_send(net, COORDINATOR, "here", 4) != DF_OK)
                _exit(1);
        coord_net_wait(net, -1, NULL, 0, &ready);
    }
}

/* Two children, of which one is there before the parent listens; the first is killed. */
static void check_killed(const char *bind, const char *address)
{
    pid_t first = child(address, WORKER), other = child(address, OTHER);
    coord_net *c = net_test_open(COORDINATOR, bind, NULL);
    uint64_t begin;

    net_test_expect(c, COORD_NET_FRAME, WORKER);
    kill(first, SIGKILL);
    begin = net_test_now_us();
    net_test_expect(c, COORD_NET_GONE, WORKER);
    print_message("  gone after %lu us\n", net_test_now_us() - begin);
    assert_int_equal(net_test_send(c, WORKER, "x", 1), DF_AGAIN);
    waitpid(first, NULL, 0);
    coord_net_close(&c); /* the second connects again to the next one, and is known again */
    c = net_test_open(COORDINATOR, bind, NULL);
    net_test_expect(c, COORD_NET_LINKED, OTHER);
    net_test_expect(c, COORD_NET_FRAME, OTHER);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    net_test_expect(c, COORD_NET_GONE, OTHER);
    coord_net_close(&c);
}

static void test_killed_ipc(void **state)
{
    (void)state;
    check_killed(local, local);
}

static void test_killed_tcp(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, "tcp://127.0.0.1:*", NULL);
    char address[64];

    (void)state;
    snprintf(address, sizeof address, "%s", coord_net_address(c)); /* a port that is free */
    coord_net_close(&c);
    check_killed(address, address);
}

/* Descriptors are used again: a new connection must not be taken for the one before it. */
static void test_many_children(void **state)
{
    coord_net *c;

    (void)state;
    for (int round = 0; round < 5; round++) {
        pid_t pids[4];

        for (int i = 0; i < 4; i++)
            pids[i] = child(local, (uint64_t)(WORKER + i));
        c = net_test_open(COORDINATOR, local, NULL);
        expect_all(c, WORKER, 4);
        for (int i = 0; i < 4; i++) {
            kill(pids[i], SIGKILL);
            net_test_expect(c, COORD_NET_GONE, (uint64_t)(WORKER + i));
            waitpid(pids[i], NULL, 0);
        }
        coord_net_close(&c);
    }
}

static void test_comes_and_goes(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, local, NULL);

    (void)state;
    for (int i = 0; i < 30; i++) {
        coord_net *w = net_test_open(WORKER, NULL, NULL);

        net_test_connect(w, COORDINATOR, local, NULL);
        net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
        assert_int_equal(net_test_send(w, COORDINATOR, "hello", 5), DF_OK);
        net_test_expect(c, COORD_NET_LINKED, WORKER);
        net_test_expect(c, COORD_NET_FRAME, WORKER);
        coord_net_close(&w);
        net_test_expect(c, COORD_NET_GONE, WORKER);
    }
    coord_net_close(&c);
}

/* Nothing is inherited over exec: every descriptor above 2 that we have opened is closed there. */
static void test_exec(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, local, NULL);
    coord_net *w = net_test_open(WORKER, "tcp://127.0.0.1:*", NULL);

    (void)state;
    net_test_connect(w, COORDINATOR, local, NULL);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    for (int fd = 3; fd < 200; fd++) {
        int flags = fcntl(fd, F_GETFD);
        char link[64], name[128] = "";

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (flags < 0 || readlink(link, name, sizeof name - 1) < 0 || strncmp(name, "/", 1) == 0 ||
            strncmp(name, "pipe:", 5) == 0)
            continue; /* a file or a pipe of whoever runs this test */
        if ((flags & FD_CLOEXEC) == 0)
            fail_msg("descriptor %d (%s) would be inherited", fd, name);
    }
    coord_net_close(&w);
    coord_net_close(&c);
}

/* ---- waiting ---- */

typedef struct waker {
    coord_net *net;
    _Atomic int done, seen;
} waker;

static void *waker_run(void *arg)
{
    waker *k = arg;

    for (int i = 1; i <= 20000; i++) {
        atomic_store(&k->done, i);
        coord_net_wake(k->net);
        while (i % 100 == 0 && atomic_load(&k->seen) < i)
            ; /* now and then let the other side fall asleep */
    }
    return NULL;
}

/* No wake is lost: if one were, the wait would last for ever. */
static void test_wake(void **state)
{
    waker k = { .net = net_test_open(WORKER, NULL, NULL) };
    uint64_t ready;
    pthread_t thread;
    int turns = 0;

    (void)state;
    coord_net_wake(k.net); /* before the wait: it does not sleep */
    assert_int_equal(coord_net_wait(k.net, -1, NULL, 0, &ready), DF_OK);
    pthread_create(&thread, NULL, waker_run, &k);
    while (atomic_load(&k.seen) < 20000) {
        coord_net_event e;

        while (coord_net_next(k.net, &e))
            fail();
        coord_net_wait(k.net, -1, NULL, 0, &ready);
        atomic_store(&k.seen, atomic_load(&k.done));
        turns++;
    }
    pthread_join(thread, NULL);
    assert_in_range(turns, 1, 50000);
    coord_net_close(&k.net);
}

static void test_wait(void **state)
{
    coord_net *net = net_test_open(WORKER, local, NULL);
    int one[2], two[2], fds[2];
    uint64_t ready, begin = net_test_now_us();
    coord_net_event e;

    (void)state;
    while (coord_net_wait(net, 20000, NULL, 0, NULL) != DF_AGAIN)
        while (coord_net_next(net, &e))
            ;
    assert_true(net_test_now_us() - begin >= 20000);
    assert_int_equal(pipe(one), 0);
    assert_int_equal(pipe(two), 0);
    fds[0] = one[0];
    fds[1] = two[0];
    assert_int_equal(coord_net_wait(net, 0, fds, 2, &ready), DF_AGAIN);
    assert_int_equal(ready, 0);
    assert_int_equal(write(two[1], "x", 1), 1);
    assert_int_equal(coord_net_wait(net, -1, fds, 2, &ready), DF_OK);
    assert_int_equal(ready, 2);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
    coord_net_close(&net);
}

/* ---- addresses ---- */

static void refuses(const char *bind, bool insecure, df_status status, const char *text)
{
    coord_net_options o = { .self = 1, .bind = bind, .frame_size_max = 64, .insecure = insecure };
    coord_net *net = (coord_net *)&o;

    assert_int_equal(coord_net_open(&net, &o, &error), status);
    assert_null(net);
    if (strstr(error.text, text) == NULL)
        fail_msg("%s: not in: %s", text, error.text);
}

static void test_addresses(void **state)
{
    char path[160];
    coord_net *net = net_test_open(WORKER, NULL, NULL);

    (void)state;
    refuses("udp://x", true, DF_EINVAL, "begins with ipc:// or tcp://");
    refuses("tcp://127.0.0.1", true, DF_EINVAL, "no tcp://HOST:PORT");
    refuses("tcp://127.0.0.1:65536", true, DF_EINVAL, "no tcp://HOST:PORT");
    refuses("tcp://:1", true, DF_EINVAL, "no tcp://HOST:PORT");
    refuses("tcp://127.0.0.1:1x", true, DF_EINVAL, "no tcp://HOST:PORT");
    refuses("tcp://127.0.0.1:*", false, DF_EINVAL, "tcp needs keys");
    refuses("tcp://192.0.2.1:*", true, DF_EIO, "192.0.2.1");
    refuses("ipc://", true, DF_EINVAL, "a path is needed");
    refuses("ipc://*", true, DF_EINVAL, "a path is needed");
    refuses("ipc://@x", true, DF_EINVAL, "a path is needed");
    refuses("ipc:///nowhere/at/all", true, DF_EIO, "No such file");
    memset(path, 'x', sizeof path);
    memcpy(path, "ipc:///tmp/", 11);
    path[6 + 108] = '\0';
    refuses(path, true, DF_EINVAL, "108 bytes, a local socket's path has at most 107");
    assert_int_equal(coord_net_connect(net, 1, "tcp://127.0.0.1:*", NULL, &error), DF_EINVAL);
    assert_int_equal(coord_net_connect(net, 1, path, NULL, &error), DF_EINVAL);
    coord_net_close(&net);
    coord_net_close(&net);
}

/* This machine's own address, as the host of an address sees it. */
static void test_near(void **state)
{
    char near[128];

    (void)state;
    assert_int_equal(coord_net_near(near, sizeof near, "tcp://127.0.0.1:7000", &error), DF_OK);
    assert_string_equal(near, "tcp://127.0.0.1:*");
    assert_int_equal(coord_net_near(near, sizeof near, "tcp://127.0.0.1:*", &error), DF_EINVAL);
    assert_int_equal(coord_net_near(near, sizeof near, "ipc:///tmp/x", &error), DF_EINVAL);
    assert_int_equal(coord_net_near(near, sizeof near, "tcp://255.255.255.255:7000", &error), DF_EIO);
}

static void test_longest_path(void **state)
{
    char bind[128];
    size_t size = strlen(local);

    (void)state;
    memcpy(bind, local, size);
    memset(bind + size, 'x', sizeof bind - size);
    bind[6 + 107] = '\0';
    check_frames(bind);
}

static void test_socket_file(void **state)
{
    const char *path = local + 6;
    coord_net *net = net_test_open(WORKER, local, NULL);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    refuses(local, true, DF_EIO, "another process listens there");
    coord_net_close(&net);
    assert_int_not_equal(stat(path, &st), 0);

    /* One that a killed process has left behind is replaced. */
    strcpy(at.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    net = net_test_open(WORKER, local, NULL);
    /* The file of one that came after us is left alone. */
    assert_int_equal(unlink(path), 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    coord_net_close(&net);
    assert_int_equal(stat(path, &st), 0);
    close(fd);
    assert_int_equal(unlink(path), 0);

    /* Nothing but a socket is. */
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    refuses(local, true, DF_EIO, "listens there");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(unlink(path), 0);
}

/* Closing does not wait for a peer that never reads. */
static void test_close(void **state)
{
    coord_net *w = net_test_open(WORKER, NULL, NULL);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    strcpy(at.sun_path, local + 6);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 5), 0);
    net_test_connect(w, COORDINATOR, local, NULL);
    coord_net_close(&w);
    close(fd);
    unlink(local + 6);
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_DFL); /* ZeroMQ must not need it ignored */
    alarm(200);
    strcpy(folder, "/tmp/weir_net_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(local, sizeof local, "ipc://%s/s", folder);
    snprintf(second, sizeof second, "ipc://%s/t", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder); /* every socket file is gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* Children first: they must not inherit a net that is in use. */
        cmocka_unit_test(test_killed_ipc),
        cmocka_unit_test(test_killed_tcp),
        cmocka_unit_test(test_many_children),
        cmocka_unit_test(test_frames_ipc),
        cmocka_unit_test(test_frames_tcp),
        cmocka_unit_test(test_frames_ipv6),
        cmocka_unit_test(test_frames_by_name),
        cmocka_unit_test(test_all_interfaces),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_not_connected),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_replaced_address),
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_longest_path),
        cmocka_unit_test(test_socket_file),
        cmocka_unit_test(test_close),
    };

    int failed = cmocka_run_group_tests(tests, setup, teardown);

    net_test_rings = true; /* the same promises */
    return failed + cmocka_run_group_tests(tests, setup, teardown);
}
