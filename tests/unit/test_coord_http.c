/* The page over HTTP: what is answered, what is refused, what happens when nobody makes the text. A
 * thread stands for the coordinator; the client is a socket and nothing else. */
#include "coordinator/coord_http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

/* ---- the owner ---- */

typedef struct owner {
    coord_http *http;
    pthread_t thread;
    sem_t woken;
    _Atomic bool stop, silent, empty;
    _Atomic int made, others_made; /* texts of the first page, of the second */
} owner;

static void owner_wake(void *user)
{
    sem_post(&((owner *)user)->woken);
}

static void owner_put(owner *o, uint32_t page, const char *format, int made)
{
    char *text = o->empty ? NULL : malloc(64);

    coord_http_put(o->http, page, text, text == NULL ? 0 : (size_t)snprintf(text, 64, format, made));
}

static void *owner_main(void *user)
{
    owner *o = user;

    while (!o->stop) {
        sem_wait(&o->woken);
        if (!o->stop && !o->silent && coord_http_wants(o->http, 0))
            owner_put(o, 0, "made %d\n", atomic_fetch_add(&o->made, 1) + 1);
        if (!o->stop && !o->silent && coord_http_wants(o->http, 1))
            owner_put(o, 1, "another %d\n", atomic_fetch_add(&o->others_made, 1) + 1);
    }
    return NULL;
}

/* A text of the second page never grows old. */
static const coord_http_page owner_pages[] = { { "/metrics", 0.2 }, { "/metrics/more", 1e9 } };

static owner *owner_new(void)
{
    owner *o = calloc(1, sizeof *o);
    coord_http_options options = { .address = "0", .pages = owner_pages, .page_count = 2,
                                   .wake = owner_wake, .user = o };

    sem_init(&o->woken, 0, 0);
    assert_int_equal(coord_http_open(&o->http, &options, &error), DF_OK);
    assert_int_equal(pthread_create(&o->thread, NULL, owner_main, o), 0);
    return o;
}

static void owner_free(owner *o)
{
    o->stop = true;
    sem_post(&o->woken);
    pthread_join(o->thread, NULL);
    coord_http_close(&o->http);
    assert_null(o->http);
    sem_destroy(&o->woken);
    free(o);
}

/* ---- the client ---- */

static int client_connect(const owner *o)
{
    const char *address = coord_http_address(o->http), *colon = strchr(address, ':');
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Everything that comes until the other side closes. */
static void client_read(int fd, char answer[4096])
{
    size_t used = 0;
    ssize_t got;

    while (used < 4095 && (got = recv(fd, answer + used, 4095 - used, 0)) > 0)
        used += (size_t)got;
    answer[used] = '\0';
    close(fd);
}

static void ask(const owner *o, const char *request, char answer[4096])
{
    int fd = client_connect(o);

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    client_read(fd, answer);
}

/* 0: the connection ended without an answer. */
static int status_of(const char *answer)
{
    int status = 0;

    if (answer[0] != '\0')
        assert_int_equal(sscanf(answer, "HTTP/1.1 %d", &status), 1);
    return status;
}

#define GET      "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"
#define GET_MORE "GET /metrics/more HTTP/1.1\r\nHost: here\r\n\r\n"

/* ---- the tests ---- */

static void test_get(void **state)
{
    owner *o = owner_new();
    char answer[4096];

    (void)state;
    assert_false(coord_http_wants(o->http, 0));
    ask(o, GET, answer);
    assert_int_equal(status_of(answer), 200);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nmade 1\n"));
    while (o->made < 3) { /* a text grows old */
        ask(o, GET, answer);
        assert_int_equal(status_of(answer), 200);
    }
    owner_free(o);
}

/* Each page has its own text, which is made only when that page is asked for. */
static void test_pages(void **state)
{
    owner *o = owner_new();
    char answer[4096];

    (void)state;
    ask(o, GET, answer);
    assert_int_equal(o->others_made, 0);
    ask(o, GET_MORE, answer);
    assert_int_equal(status_of(answer), 200);
    assert_non_null(strstr(answer, "\r\n\r\nanother 1\n"));
    while (o->made < 3) { /* the first one's grow old meanwhile */
        ask(o, GET, answer);
        assert_non_null(strstr(answer, "\r\n\r\nmade "));
        ask(o, GET_MORE, answer);
        assert_non_null(strstr(answer, "\r\n\r\nanother 1\n"));
    }
    assert_int_equal(o->others_made, 1);
    owner_free(o);
}

static void test_refused(void **state)
{
    static const struct { const char *request; int status; } asked[] = {
        { "GET / HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "GET /metrics/ HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "GET /metricsx HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "GET /metrics/mor HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "GET /../../etc/passwd HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "HEAD /metrics HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nhi", 404 },
        { "PUT /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n", 404 },
        { "DELETE /metrics HTTP/1.1\r\nHost: here\r\n\r\n", 404 },
        { "OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n", 0 },
    };
    owner *o = owner_new();
    char answer[4096];

    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        ask(o, asked[i].request, answer);
        if (status_of(answer) != asked[i].status)
            fail_msg("%s gives \"%s\"", asked[i].request, answer);
    }
    ask(o, "nothing of the kind\r\n\r\n", answer);
    assert_null(strstr(answer, " 200 "));
    assert_int_equal(o->made, 0);
    ask(o, GET, answer);
    assert_int_equal(status_of(answer), 200);
    owner_free(o);
}

/* More than a request may have: the connection ends, and the next one is heard. */
static void test_too_long(void **state)
{
    owner *o = owner_new();
    char answer[4096], block[1024];
    int fd = client_connect(o);

    (void)state;
    memset(block, 'x', sizeof block);
    send(fd, "GET /metrics HTTP/1.1\r\nX: ", 26, MSG_NOSIGNAL);
    for (int i = 0; i < 64; i++)
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0)
            break;
    client_read(fd, answer);
    assert_true(strstr(answer, " 200 ") == NULL);
    ask(o, GET, answer);
    assert_int_equal(status_of(answer), 200);
    owner_free(o);
}

/* Those who connect and say nothing use up the threads, but not for long. */
static void test_silent(void **state)
{
    owner *o = owner_new();
    char answer[4096];
    int fds[2];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        fds[i] = client_connect(o);
    for (size_t i = 0; i < 2; i++)
        client_read(fds[i], answer); /* until it is closed by the other side */
    ask(o, GET, answer);
    assert_int_equal(status_of(answer), 200);
    owner_free(o);
}

static void test_no_text(void **state)
{
    owner *o = owner_new();
    char answer[4096];

    (void)state;
    o->empty = true;
    ask(o, GET, answer);
    assert_int_equal(status_of(answer), 503);
    ask(o, GET, answer); /* it is not made again at once */
    assert_int_equal(status_of(answer), 503);
    o->silent = true;
    while (o->made < 100) {
        int before = o->made;

        ask(o, GET, answer);
        assert_int_equal(status_of(answer), 503);
        if (o->made == before && coord_http_wants(o->http, 0))
            break; /* this one had waited in vain */
    }
    o->empty = o->silent = false;
    ask(o, GET, answer);
    assert_int_equal(status_of(answer), 200);
    owner_free(o);
}

static void *asker_main(void *user)
{
    char answer[4096];

    ask(user, GET, answer);
    return (void *)(intptr_t)status_of(answer);
}

/* A request that waits does not hold up the end. */
static void test_close(void **state)
{
    owner *o = owner_new();
    pthread_t asker;
    void *status;

    (void)state;
    o->silent = true;
    assert_int_equal(pthread_create(&asker, NULL, asker_main, o), 0);
    while (!coord_http_wants(o->http, 0))
        sched_yield();
    owner_free(o);
    pthread_join(asker, &status);
    assert_true((intptr_t)status == 503 || (intptr_t)status == 0); /* said, or just ended */
}

static void test_address(void **state)
{
    static const char *const wrong[] = { "",          "x",          "80s",         "80,81",
                                         "65536",     "-1",         "127.0.0.1:",  "127.0.0.1:80r",
                                         "[::1]:80",  "there:9464", "1.2.3.4.5:1", ":80",
                                         "127.0.0.1", "+80",        "1270.0.0.1:1" };
    owner *o = owner_new();
    coord_http_options options = { .address = coord_http_address(o->http), .pages = owner_pages,
                                   .page_count = 2, .wake = owner_wake };
    coord_http *http;

    (void)state;
    assert_int_equal(coord_http_check("0.0.0.0:9464", &error), DF_OK);
    assert_int_equal(coord_http_open(&http, &options, &error), DF_EIO); /* it is in use */
    assert_null(http);
    assert_non_null(strstr(error.text, "cannot listen at 127.0.0.1:"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.address = wrong[i];
        assert_int_equal(coord_http_check(wrong[i], &error), DF_EINVAL);
        assert_int_equal(coord_http_open(&http, &options, &error), DF_EINVAL);
        assert_null(http);
    }
    owner_free(o);
    http = NULL;
    coord_http_close(&http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),     cmocka_unit_test(test_pages),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_silent),  cmocka_unit_test(test_no_text), cmocka_unit_test(test_close),
        cmocka_unit_test(test_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
