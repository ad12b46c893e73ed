/* Who may connect over tcp, and what strangers can do: nothing. */
#include "coordinator/coord_keys.h"
#include "tests/support/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define TCP "tcp://127.0.0.1:*"

enum { COORDINATOR = 0, WORKER = 7, OTHER = 8, PERSON = 9 };

/* A folder of keys for each process; the coordinator's list stands in the first. */
enum { K_COORD, K_WORKER, K_OTHER, K_COUNT };
static df_error error;
static char folder[32], folders[K_COUNT][40];
static coord_key keys[K_COUNT];

static void allow(int which, coord_role role)
{
    keys[which].role = role;
    if (coord_allowed_set(folders[K_COORD], &keys[which], &error) != DF_OK)
        fail_msg("%s", error.text);
}

static uint64_t refused(const coord_net *net)
{
    coord_net_stats stats;

    coord_net_stats_get(net, &stats);
    return stats.refused;
}

static uint64_t rejected(const coord_net *net)
{
    coord_net_stats stats;

    coord_net_stats_get(net, &stats);
    return stats.rejected;
}

static void wait_rejected(coord_net *net, uint64_t count)
{
    uint64_t end = net_test_now_us() + NET_TEST_LIMIT_US;

    while (rejected(net) < count && net_test_now_us() < end)
        net_test_drain(net, 1000);
    assert_int_equal(rejected(net), count);
}

/* ---- keys ---- */

static void test_roles(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    coord_net *w = net_test_open(WORKER, TCP, folders[K_WORKER]);
    coord_net *o = net_test_open(OTHER, NULL, folders[K_OTHER]);
    const char *address = coord_net_address(c);
    coord_net_event e;

    (void)state;
    allow(K_WORKER, COORD_ROLE_WORKER);
    allow(K_OTHER, COORD_ROLE_READ_ONLY);
    assert_string_equal(coord_net_key(c), keys[K_COORD].public_key);
    assert_string_equal(coord_net_key(o), "");
    net_test_connect(w, COORDINATOR, address, coord_net_key(c));
    net_test_connect(o, COORDINATOR, address, keys[K_COORD].public_key);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    net_test_expect(o, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "work", 4), DF_OK);
    e = net_test_expect(c, COORD_NET_FRAME, WORKER);
    assert_int_equal(e.role, COORD_ROLE_WORKER);
    assert_memory_equal(e.bytes, "work", 4);
    assert_int_equal(net_test_send(o, COORDINATOR, "read", 4), DF_OK);
    e = net_test_expect(c, COORD_NET_FRAME, OTHER);
    assert_int_equal(e.role, COORD_ROLE_READ_ONLY);
    assert_int_equal(net_test_send(c, OTHER, "answer", 6), DF_OK);
    e = net_test_expect(o, COORD_NET_FRAME, COORDINATOR);
    assert_int_equal(e.role, COORD_ROLE_ADMIN);
    assert_int_equal(refused(c), 0);
    coord_net_close(&o);

    /* The list changes under a running coordinator: another role, and none. */
    allow(K_WORKER, COORD_ROLE_ADMIN);
    do {
        assert_int_equal(net_test_send(w, COORDINATOR, "more", 4), DF_OK);
        e = net_test_expect(c, COORD_NET_FRAME, WORKER);
    } while (e.role != COORD_ROLE_ADMIN);
    allow(K_WORKER, COORD_ROLE_NONE);
    while (rejected(c) == 0) {
        assert_int_equal(net_test_send(w, COORDINATOR, "more", 4), DF_OK);
        net_test_drain(c, 10000);
    }
    assert_int_equal(net_test_send(c, WORKER, "for you no more", 15), DF_AGAIN);
    coord_net_close(&w);
    coord_net_close(&c);
}

/* A stranger's bytes do not arrive; once its key is allowed they do. */
static void test_stranger(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    coord_net *w = net_test_open(WORKER, NULL, folders[K_WORKER]);

    (void)state;
    net_test_connect(w, COORDINATOR, coord_net_address(c), coord_net_key(c));
    for (int i = 0; i < 3; i++) {
        net_test_expect(w, COORD_NET_REFUSED, COORDINATOR);
        assert_int_equal(net_test_send(w, COORDINATOR, "let me in", 9), DF_AGAIN);
    }
    assert_true(refused(c) >= 3);
    assert_int_equal(net_test_drain(c, 50000), 0);
    allow(K_WORKER, COORD_ROLE_WORKER);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "hello", 5), DF_OK);
    assert_int_equal(net_test_expect(c, COORD_NET_FRAME, WORKER).role, COORD_ROLE_WORKER);
    assert_int_equal(rejected(c), 0);
    coord_net_close(&w);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
}

static void test_wrong_server(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    coord_net *w = net_test_open(WORKER, NULL, folders[K_WORKER]);

    (void)state;
    allow(K_WORKER, COORD_ROLE_WORKER);
    net_test_connect(w, COORDINATOR, coord_net_address(c), keys[K_OTHER].public_key);
    net_test_expect(w, COORD_NET_REFUSED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "x", 1), DF_AGAIN);
    net_test_connect(w, COORDINATOR, coord_net_address(c), keys[K_COORD].public_key);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    coord_net_close(&w);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
}

static void test_no_keys(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    coord_net *plain = net_test_open(COORDINATOR, TCP, NULL);
    coord_net *w = net_test_open(WORKER, NULL, NULL), *o = net_test_open(OTHER, NULL, folders[K_OTHER]);

    (void)state;
    allow(K_OTHER, COORD_ROLE_ADMIN);
    net_test_connect(w, COORDINATOR, coord_net_address(c), NULL); /* plain to encrypted */
    net_test_expect(w, COORD_NET_REFUSED, COORDINATOR);
    net_test_connect(o, COORDINATOR, coord_net_address(plain), keys[K_COORD].public_key); /* and back */
    net_test_expect(o, COORD_NET_REFUSED, COORDINATOR);
    assert_int_equal(net_test_drain(c, 50000), 0);
    assert_int_equal(net_test_drain(plain, 50000), 0);
    assert_int_equal(coord_net_connect(o, PERSON, "tcp://127.0.0.1:1", NULL, &error), DF_EINVAL);
    assert_non_null(strstr(error.text, "public key"));
    assert_int_equal(coord_net_connect(o, PERSON, "tcp://127.0.0.1:1", "short", &error), DF_EINVAL);
    coord_net_close(&o);
    coord_net_close(&w);
    coord_net_close(&plain);
    coord_net_close(&c);
    allow(K_OTHER, COORD_ROLE_NONE);
}

/* With keys, a local socket still needs none; and both kinds can be connected to from one
 * process. */
static void test_both_kinds(void **state)
{
    char local[100];
    coord_net *c, *near, *w = net_test_open(WORKER, NULL, folders[K_WORKER]);

    (void)state;
    snprintf(local, sizeof local, "ipc://%s/s", folder);
    allow(K_WORKER, COORD_ROLE_WORKER);
    c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    near = net_test_open(OTHER, local, folders[K_OTHER]);
    for (int i = 0; i < 2; i++) { /* in both orders: an option of one must not stay for the other */
        net_test_connect(w, COORDINATOR, coord_net_address(c), coord_net_key(c));
        net_test_connect(w, OTHER, local, NULL);
        net_test_expect(w, COORD_NET_LINKED, OTHER);
        while (net_test_send(w, COORDINATOR, "far", 3) == DF_AGAIN)
            net_test_drain(w, 1000);
        assert_int_equal(net_test_send(w, OTHER, "near", 4), DF_OK);
        assert_int_equal(net_test_expect(c, COORD_NET_FRAME, WORKER).role, COORD_ROLE_WORKER);
        assert_int_equal(net_test_expect(near, COORD_NET_FRAME, WORKER).role, COORD_ROLE_ADMIN);
        coord_net_disconnect(w, COORDINATOR);
        coord_net_disconnect(w, OTHER);
        net_test_drain(w, 1000);
    }
    coord_net_close(&w);
    coord_net_close(&near);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
}

/* A number belongs to the key that has used it: a reader cannot take a worker's place. */
static void test_impostor(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    coord_net *w = net_test_open(WORKER, NULL, folders[K_WORKER]);
    coord_net *o = net_test_open(WORKER, NULL, folders[K_OTHER]); /* says that it is the worker */
    coord_net_event e;

    (void)state;
    allow(K_WORKER, COORD_ROLE_WORKER);
    allow(K_OTHER, COORD_ROLE_READ_ONLY);
    net_test_connect(w, COORDINATOR, coord_net_address(c), coord_net_key(c));
    net_test_connect(o, COORDINATOR, coord_net_address(c), coord_net_key(c));
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    net_test_expect(o, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "me", 2), DF_OK);
    net_test_expect(c, COORD_NET_FRAME, WORKER);
    assert_int_equal(net_test_send(o, COORDINATOR, "me", 2), DF_OK);
    assert_int_equal(net_test_send(o, COORDINATOR, "me", 2), DF_OK);
    while (rejected(c) < 2)
        assert_int_equal(net_test_drain(c, 10000), 0);
    assert_int_equal(net_test_send(c, WORKER, "secret", 6), DF_OK);
    e = net_test_expect(w, COORD_NET_FRAME, COORDINATOR);
    assert_memory_equal(e.bytes, "secret", 6);
    assert_int_equal(net_test_drain(o, 20000), 0);
    coord_net_close(&o);
    coord_net_close(&w);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
    allow(K_OTHER, COORD_ROLE_NONE);
}

/* A key that is on no list, but vouched for by the process itself; what the list says goes first. */
static void test_vouched(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    coord_net *w = net_test_open(WORKER, NULL, folders[K_WORKER]);
    coord_net *plain = net_test_open(OTHER, TCP, NULL);
    coord_net_event e;

    (void)state;
    assert_int_equal(coord_net_allow(c, "no key", COORD_ROLE_WORKER, &error), DF_EINVAL);
    assert_int_equal(coord_net_allow(plain, keys[K_WORKER].public_key, COORD_ROLE_WORKER, &error), DF_OK);
    net_test_connect(w, COORDINATOR, coord_net_address(c), coord_net_key(c));
    net_test_expect(w, COORD_NET_REFUSED, COORDINATOR);
    assert_int_equal(coord_net_allow(c, keys[K_WORKER].public_key, COORD_ROLE_ADMIN, &error), DF_OK);
    assert_int_equal(coord_net_allow(c, keys[K_WORKER].public_key, COORD_ROLE_WORKER, &error), DF_OK);
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "hello", 5), DF_OK);
    e = net_test_expect(c, COORD_NET_FRAME, WORKER);
    assert_int_equal(e.role, COORD_ROLE_WORKER);
    allow(K_WORKER, COORD_ROLE_READ_ONLY);
    do {
        assert_int_equal(net_test_send(w, COORDINATOR, "hello", 5), DF_OK);
        e = net_test_expect(c, COORD_NET_FRAME, WORKER);
    } while (e.role != COORD_ROLE_READ_ONLY); /* within a second, which the list may be old */
    allow(K_WORKER, COORD_ROLE_NONE);
    coord_net_close(&plain);
    coord_net_close(&w);
    coord_net_close(&c);
}

static void test_wrong_list(void **state)
{
    coord_net_options o = { .bind = TCP, .frame_size_max = 64, .keys = folders[K_COORD] };
    coord_net *net;
    char path[120];
    FILE *f;

    (void)state;
    allow(K_WORKER, COORD_ROLE_WORKER);
    net = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    snprintf(path, sizeof path, "%s/allowed", folders[K_COORD]);
    f = fopen(path, "a");
    fputs("warker x\n", f);
    fclose(f);
    { /* a slip in the list puts nobody out who was on it */
        coord_net *w = net_test_open(WORKER, NULL, folders[K_WORKER]);

        net_test_connect(w, COORDINATOR, coord_net_address(net), coord_net_key(net));
        net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
        coord_net_close(&w);
    }
    coord_net_close(&net);
    assert_int_equal(coord_net_open(&net, &o, &error), DF_EINVAL); /* and nobody begins with it */
    assert_non_null(strstr(error.text, "allowed:3: role \"warker\""));
    assert_int_equal(unlink(path), 0);
    o.keys = "/nowhere";
    assert_int_equal(coord_net_open(&net, &o, &error), DF_EINVAL);
    assert_non_null(strstr(error.text, "weir keys new"));
    o.keys = folders[K_COORD];
    o.key = "nobody";
    assert_int_equal(coord_net_open(&net, &o, &error), DF_EINVAL);
    assert_non_null(strstr(error.text, "nobody.key"));
}

/* ---- bytes that no weir has sent ---- */

static int raw_connect(const coord_net *net)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = NET_TEST_LIMIT_US / 1000000 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_port = htons((uint16_t)atoi(strrchr(coord_net_address(net), ':') + 1));
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail_msg("cannot connect");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void raw_put(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* Until the other side has closed the connection. */
static void raw_closed(int fd)
{
    char bytes[256];
    ssize_t n;

    do
        n = recv(fd, bytes, sizeof bytes, 0);
    while (n > 0);
    assert_true(n == 0 || errno == ECONNRESET); /* and not the time limit */
    close(fd);
}

static void raw_greet(int fd, const char *mechanism)
{
    uint8_t greeting[64] = { 0xff, [9] = 0x7f, 3, 0 };

    strcpy((char *)greeting + 12, mechanism);
    raw_put(fd, greeting, sizeof greeting);
}

static void raw_get(int fd, void *bytes, size_t size)
{
    assert_int_equal(recv(fd, bytes, size, MSG_WAITALL), size);
}

/* ZMTP 3.0 without encryption, with a name that we choose for ourselves. The other side's greeting
 * and READY are waited for: ZeroMQ takes no message before it has sent them. */
static int raw_join(const coord_net *net, const char *name, size_t name_size)
{
    static const char type[] = "\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0";
    uint8_t ready[128] = { 4, (uint8_t)(sizeof type + name_size) };
    int fd = raw_connect(net);

    raw_greet(fd, "NULL");
    memcpy(ready + 2, type, sizeof type - 1);
    ready[2 + sizeof type - 1] = (uint8_t)name_size;
    memcpy(ready + 2 + sizeof type, name, name_size);
    raw_put(fd, ready, 2 + sizeof type + name_size);
    raw_get(fd, ready, 64);
    raw_get(fd, ready, 2);
    raw_get(fd, ready + 2, ready[1]);
    return fd;
}

/* One part of a message: its sender's number and a text, if more than 0 bytes. */
static void raw_part(int fd, bool more, uint8_t number, const char *text)
{
    uint8_t part[64] = { more, (uint8_t)(8 + strlen(text)), number };

    memcpy(part + 10, text, strlen(text));
    raw_put(fd, part, 10 + strlen(text));
}

static uint64_t memory_kib(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * 4;
}

/* Somebody who obeys the rules still gets through. */
static void still_serves(coord_net *c, bool with_keys)
{
    coord_net *w = net_test_open(WORKER, NULL, with_keys ? folders[K_WORKER] : NULL);
    uint64_t begin = net_test_now_us();

    net_test_connect(w, COORDINATOR, coord_net_address(c), coord_net_key(c));
    net_test_expect(w, COORD_NET_LINKED, COORDINATOR);
    assert_int_equal(net_test_send(w, COORDINATOR, "hello", 5), DF_OK);
    net_test_expect(c, COORD_NET_FRAME, WORKER);
    print_message("  a worker was heard after %lu us\n", net_test_now_us() - begin);
    coord_net_close(&w);
}

static void check_garbage(coord_net *c, bool with_keys)
{
    static const char texts[4][32] = { "GET / HTTP/1.1\r\n\r\n", "\xff\0\0\0\0\0\0\0\0\x7f\xff\xff",
                                         "\x01\x00", "SSH-2.0-OpenSSH_9.2\r\n" };
    uint8_t noise[4096];

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 2654435761u >> 9);
    for (size_t i = 0; i < 4; i++) {
        int fd = raw_connect(c);

        raw_put(fd, texts[i], sizeof texts[i]);
        close(fd);
        fd = raw_connect(c);
        send(fd, noise + i, sizeof noise - i, MSG_NOSIGNAL);
        close(fd);
    }
    for (size_t i = 0; i < sizeof noise; i += 97) { /* after a right greeting */
        int fd = raw_connect(c);

        raw_greet(fd, with_keys ? "CURVE" : "NULL");
        send(fd, noise + i, sizeof noise - i, MSG_NOSIGNAL);
        close(fd);
    }
    assert_int_equal(net_test_drain(c, 50000), 0);
    still_serves(c, with_keys);
}

static void test_garbage(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, NULL);

    (void)state;
    check_garbage(c, false);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_WORKER);
    c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    check_garbage(c, true);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
}

/* A frame of 4 GiB is announced: the connection ends before any memory is got for it. */
static void check_huge(coord_net *c, const char *mechanism, uint8_t flags)
{
    static const uint8_t size[8] = { 0, 0, 0, 1 };
    uint64_t before = memory_kib();
    char bytes[256] = "";
    int fds[8];

    for (int i = 0; i < 8; i++) {
        fds[i] = flags == 2 ? raw_join(c, "", 0) : raw_connect(c);
        if (flags != 2) {
            raw_greet(fds[i], mechanism);
            raw_get(fds[i], bytes, 64);
        }
        raw_put(fds[i], &flags, 1);
        raw_put(fds[i], size, sizeof size);
        send(fds[i], bytes, sizeof bytes, MSG_NOSIGNAL);
    }
    for (int i = 0; i < 8; i++)
        raw_closed(fds[i]);
    assert_in_range(memory_kib(), 1, before + 16384); /* KiB; 8 buffers would be 32 GiB */
    assert_int_equal(net_test_drain(c, 10000), 0);
}

static void test_huge(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, NULL);

    (void)state;
    check_huge(c, "NULL", 2);  /* a message, after the handshake */
    check_huge(c, "NULL", 6);  /* a command, instead of the handshake */
    still_serves(c, false);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_WORKER);
    c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    check_huge(c, "CURVE", 6);
    still_serves(c, true);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
}

/* Messages that are right for ZeroMQ and none of ours. */
static void test_no_frames(void **state)
{
    coord_net *c = net_test_open(COORDINATOR, TCP, NULL);
    static const uint8_t small[] = { 0, 3, 'a', 'b', 'c' };
    int fd = raw_join(c, "", 0), named = raw_join(c, "a name", 6), zero = raw_join(c, "\0\0\0\0\1", 5);
    coord_net_event e;

    (void)state;
    raw_put(fd, small, sizeof small);
    wait_rejected(c, 1);
    raw_part(fd, true, WORKER, "");
    raw_part(fd, true, WORKER, "");
    raw_part(fd, false, WORKER, "three parts");
    wait_rejected(c, 2);
    raw_part(fd, false, WORKER, "good");
    e = net_test_expect(c, COORD_NET_FRAME, WORKER);
    assert_memory_equal(e.bytes, "good", 4);
    raw_part(fd, false, OTHER, "a second number");
    wait_rejected(c, 3);
    raw_part(named, false, OTHER, "a name of its own");
    wait_rejected(c, 4);
    raw_part(zero, false, OTHER, "a name like one of ZeroMQ's");
    net_test_expect(c, COORD_NET_FRAME, OTHER);
    assert_int_equal(rejected(c), 4);
    still_serves(c, false);
    close(fd);
    close(named);
    close(zero);
    coord_net_close(&c);
}

/* Connections that say nothing: they are put out after three seconds, and meanwhile others get
 * in. */
static void test_idle(void **state)
{
    coord_net *c;
    uint64_t begin = net_test_now_us();
    int fds[300];

    (void)state;
    allow(K_WORKER, COORD_ROLE_WORKER);
    c = net_test_open(COORDINATOR, TCP, folders[K_COORD]);
    for (int i = 0; i < 300; i++)
        fds[i] = raw_connect(c);
    still_serves(c, true);
    for (int i = 0; i < 300; i++)
        raw_closed(fds[i]);
    print_message("  300 idle connections were closed after %lu ms\n",
                  (net_test_now_us() - begin) / 1000);
    coord_net_close(&c);
    allow(K_WORKER, COORD_ROLE_NONE);
}

static int setup(void **state)
{
    (void)state;
    alarm(250);
    strcpy(folder, "/tmp/weir_keys_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    for (int i = 0; i < K_COUNT; i++) {
        snprintf(folders[i], sizeof folders[i], "%s/%d", folder, i);
        if (coord_keys_new(folders[i], "own", &keys[i], &error) != DF_OK)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = { "own.key", "own.pub", "allowed" };
    char path[128];

    (void)state;
    for (int i = 0; i < K_COUNT; i++) {
        for (int k = 0; k < 3; k++) {
            snprintf(path, sizeof path, "%.60s/%s", folders[i], files[k]);
            unlink(path);
        }
        rmdir(folders[i]);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),      cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_wrong_server), cmocka_unit_test(test_no_keys),
        cmocka_unit_test(test_both_kinds), cmocka_unit_test(test_impostor),
        cmocka_unit_test(test_wrong_list), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_huge),       cmocka_unit_test(test_no_frames),
        cmocka_unit_test(test_idle),       cmocka_unit_test(test_vouched),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
