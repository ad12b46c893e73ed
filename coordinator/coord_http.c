#include "coordinator/coord_http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <civetweb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HTTP_WAIT_S   2       /* for the owner to make a text */
#define HTTP_KNOCK_NS 2000000 /* between two connections that end the library's wait for one */

/* Under the lock but for its options. */
typedef struct http_page {
    coord_http_page options;
    bool wanted;
    uint64_t version;      /* of the text; raised by each put */
    double made;           /* when */
    char *text;
    size_t size;
} http_page;

struct coord_http {
    coord_http_options options;
    struct mg_context *context;
    char address[COORD_HTTP_ADDRESS_MAX];
    pthread_t opener;      /* the thread in which the library is started */
    char trouble[160];     /* what it said then */
    pthread_mutex_t lock;  /* of all that follows */
    pthread_cond_t put;
    struct sockaddr_in bound;
    _Atomic bool stopped;  /* the library is */
    bool closing;
    uint32_t page_count;
    http_page pages[COORD_HTTP_PAGES_MAX];
};

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- addresses ---- */

/* Digits only: the library would take "80,443s" for two ports, one of them encrypted. */
static bool port_read(const char *text, unsigned *port)
{
    size_t length = strspn(text, "0123456789");

    if (length == 0 || length > 5 || text[length] != '\0')
        return false;
    *port = (unsigned)strtoul(text, NULL, 10);
    return *port <= 65535;
}

static df_status address_read(const char *address, char host[INET_ADDRSTRLEN], unsigned *port,
                              df_error *err)
{
    const char *colon = strrchr(address, ':');
    struct in_addr in;
    bool right;

    if (colon == NULL) {
        strcpy(host, "127.0.0.1");
        right = port_read(address, port);
    } else {
        snprintf(host, INET_ADDRSTRLEN, "%.*s", (int)(colon - address), address);
        right = colon - address < INET_ADDRSTRLEN && inet_pton(AF_INET, host, &in) == 1 &&
                port_read(colon + 1, port);
    }
    return right ? DF_OK
                 : df_fail(err, DF_EINVAL, "\"%.60s\" is no address: expected PORT or A.B.C.D:PORT",
                           address);
}

df_status coord_http_check(const char *address, df_error *err)
{
    char host[INET_ADDRSTRLEN];
    unsigned port = 0;

    return address_read(address, host, &port, err);
}

/* ---- a request, on a thread of the library ---- */

/* Wait, holding the lock, until there is a text that is fresh; false: there will be none. */
static bool text_await(coord_http *h, http_page *page)
{
    uint64_t before = page->version;
    struct timespec end;

    if (page->version > 0 && seconds_now() - page->made < page->options.fresh_s)
        return page->text != NULL;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += HTTP_WAIT_S;
    page->wanted = true;
    h->options.wake(h->options.user);
    while (page->version == before && !h->closing)
        if (pthread_cond_clockwait(&h->put, &h->lock, CLOCK_MONOTONIC, &end) != 0)
            break;
    return page->version != before && !h->closing && page->text != NULL;
}

/* A copy, so that a slow reader holds up nobody; null: there is none. */
static char *text_copy(coord_http *h, http_page *page, size_t *size)
{
    char *copy = NULL;

    pthread_mutex_lock(&h->lock);
    if (text_await(h, page))
        copy = malloc(page->size + 1);
    *size = page->size;
    if (copy != NULL)
        memcpy(copy, page->text, page->size);
    pthread_mutex_unlock(&h->lock);
    return copy;
}

/* Null: there is none of that path. */
static http_page *page_of(coord_http *h, const char *path)
{
    for (uint32_t i = 0; path != NULL && i < h->page_count; i++)
        if (strcmp(h->pages[i].options.path, path) == 0)
            return &h->pages[i];
    return NULL;
}

static int http_request(struct mg_connection *connection)
{
    const struct mg_request_info *request = mg_get_request_info(connection);
    coord_http *h = mg_get_user_context_data(connection);
    http_page *page = page_of(h, request->local_uri);
    size_t size;
    char *text;

    if (strcmp(request->request_method, "GET") != 0 || page == NULL) {
        mg_send_http_error(connection, 404, "%s", "nothing is here; ask for /metrics");
        return 404;
    }
    text = text_copy(h, page, &size);
    if (text == NULL) {
        mg_send_http_error(connection, 503, "%s", "not now");
        return 503;
    }
    mg_printf(connection,
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
              "Cache-Control: no-store\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", size);
    mg_write(connection, text, size);
    free(text);
    return 200;
}

/* What the library says of its start is kept; of requests nobody wants to hear it. */
static int http_log(const struct mg_connection *connection, const char *message)
{
    coord_http *h = mg_get_user_data(mg_get_context(connection));

    if (h != NULL && pthread_equal(h->opener, pthread_self()) && h->trouble[0] == '\0')
        snprintf(h->trouble, sizeof h->trouble, "%s", message);
    return 1;
}

/* ---- life ---- */

/* The library's threads take no signals: those are for the main thread. */
static void http_start(coord_http *h, const char *address)
{
    const struct mg_callbacks callbacks = { .begin_request = http_request, .log_message = http_log };
    const char *options[] = {
        "listening_ports", address, "num_threads", "2", "connection_queue", "8", "listen_backlog", "16",
        "max_request_size", "4096", "request_timeout_ms", "3000", "enable_keep_alive", "no",
        NULL,
    };
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->context = mg_start(&callbacks, h, options);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

df_status coord_http_open(coord_http **out, const coord_http_options *options, df_error *err)
{
    coord_http *h = calloc(1, sizeof *h);
    struct mg_server_port bound = { 0 };
    char host[INET_ADDRSTRLEN], address[COORD_HTTP_ADDRESS_MAX];
    unsigned port = 0;
    df_status s;

    *out = NULL;
    if (h == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    s = address_read(options->address, host, &port, err);
    if (s != DF_OK) {
        free(h);
        return s;
    }
    assert(options->page_count <= COORD_HTTP_PAGES_MAX);
    h->options = *options;
    h->page_count = options->page_count;
    for (uint32_t i = 0; i < h->page_count; i++)
        h->pages[i].options = options->pages[i];
    h->opener = pthread_self();
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->put, NULL);
    mg_init_library(MG_FEATURES_DEFAULT);
    snprintf(address, sizeof address, "%s:%u", host, port);
    http_start(h, address);
    if (h->context == NULL || mg_get_server_ports(h->context, 1, &bound) != 1) {
        s = df_fail(err, DF_EIO, "cannot listen at %s: %s", address, h->trouble);
        coord_http_close(&h);
        return s;
    }
    snprintf(h->address, sizeof h->address, "%s:%d", host, bound.port);
    h->bound = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)bound.port) };
    inet_pton(AF_INET, host, &h->bound.sin_addr);
    *out = h;
    return DF_OK;
}

/* The library's listening thread looks about once a second whether it is to stop, and when somebody
 * connects. */
static void *http_knock(void *argument)
{
    const struct timespec pause = { .tv_nsec = HTTP_KNOCK_NS };
    coord_http *h = argument;

    while (!atomic_load(&h->stopped)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0) {
            (void)connect(fd, (const struct sockaddr *)&h->bound, sizeof h->bound);
            close(fd);
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Without the thread that knocks it takes longer. */
static void http_stop(coord_http *h)
{
    pthread_t knocker;
    bool knocks = h->bound.sin_port != 0 && pthread_create(&knocker, NULL, http_knock, h) == 0;

    mg_stop(h->context);
    atomic_store(&h->stopped, true);
    if (knocks)
        pthread_join(knocker, NULL);
}

void coord_http_close(coord_http **http)
{
    coord_http *h = *http;

    *http = NULL;
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_broadcast(&h->put);
    pthread_mutex_unlock(&h->lock);
    if (h->context != NULL)
        http_stop(h);
    mg_exit_library();
    pthread_cond_destroy(&h->put);
    pthread_mutex_destroy(&h->lock);
    for (uint32_t i = 0; i < h->page_count; i++)
        free(h->pages[i].text);
    free(h);
}

/* ---- the owner's ---- */

const char *coord_http_address(const coord_http *http)
{
    return http->address;
}

bool coord_http_wants(coord_http *http, uint32_t page)
{
    bool wanted;

    assert(page < http->page_count);
    pthread_mutex_lock(&http->lock);
    wanted = http->pages[page].wanted;
    pthread_mutex_unlock(&http->lock);
    return wanted;
}

void coord_http_put(coord_http *http, uint32_t page, char *text, size_t size)
{
    http_page *p = &http->pages[page];

    assert(page < http->page_count);
    pthread_mutex_lock(&http->lock);
    free(p->text);
    p->text = text;
    p->size = size;
    p->made = seconds_now();
    p->version++;
    p->wanted = false;
    pthread_cond_broadcast(&http->put);
    pthread_mutex_unlock(&http->lock);
}
