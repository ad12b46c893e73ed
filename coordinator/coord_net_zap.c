#include "coordinator/coord_net_zap.h"

#include "coordinator/coord_keys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <zmq.h>

#define ZAP_DOMAIN    "weir"
#define ZAP_PARTS     7 /* version, request, domain, address, identity, mechanism, credentials */
#define GUARD_ROOM    64   /* keys that the told list grows by */
#define ZAP_LIST_MS   1000 /* how old what is known of the list may be */

struct net_guard {
    void *ctx, *zap; /* zap: the socket on which ZeroMQ asks */
    char folder[4096];
    coord_key key;
    char secret[COORD_KEY_SIZE];
    pthread_t thread;
    bool started;
    _Atomic uint64_t refused;
    pthread_mutex_t lock; /* of the rest */
    coord_key_list list, told; /* told: by net_guard_allow */
    struct stat stamp;    /* of the file that the list was read from; zeros: there was none */
    uint64_t looked_ms;
};

/* ---- keys ---- */

bool net_key_decode(const char *text, uint8_t bytes[32])
{
    return strlen(text) == 40 && zmq_z85_decode(bytes, text) != NULL;
}

df_status net_key_make(char public_key[41], char secret[41], df_error *err)
{
    if (zmq_curve_keypair(public_key, secret) != 0)
        return df_fail(err, DF_ENOTSUP, "a key cannot be made: %s", zmq_strerror(errno));
    return DF_OK;
}

bool net_key_public(const char *secret, char public_key[41])
{
    return zmq_curve_public(public_key, secret) == 0;
}

/* ---- the list ---- */

static uint64_t guard_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct stat guard_stamp(const net_guard *g)
{
    char path[sizeof g->folder + 16];
    struct stat st;

    snprintf(path, sizeof path, "%s/allowed", g->folder);
    return stat(path, &st) == 0 ? st : (struct stat){ 0 };
}

static bool guard_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A list that has become wrong changes nothing: a slip of an editor must not put out a cluster. */
static df_status guard_read(net_guard *g, df_error *err)
{
    struct stat now = guard_stamp(g);
    coord_key_list list;
    df_status s;

    g->looked_ms = guard_now_ms();
    s = coord_allowed_read(g->folder, &list, err);
    g->stamp = now; /* of before the reading: a change during it is seen the next time */
    if (s != DF_OK)
        return s;
    coord_key_list_free(&g->list);
    g->list = list;
    return DF_OK;
}

/* Of several lines the last one holds. */
static coord_key *guard_find(const coord_key_list *list, const char *key)
{
    for (uint32_t i = list->count; i > 0; i--)
        if (strcmp(list->items[i - 1].public_key, key) == 0)
            return &list->items[i - 1];
    return NULL;
}

static coord_role guard_role(net_guard *g, const char *key, uint64_t age_ms)
{
    const coord_key *at;
    coord_role role;
    struct stat now;

    pthread_mutex_lock(&g->lock);
    if (guard_now_ms() - g->looked_ms >= age_ms) {
        g->looked_ms = guard_now_ms();
        now = guard_stamp(g);
        if (!guard_same(&now, &g->stamp))
            guard_read(g, NULL); /* if it is wrong, the last list that was right stays */
    }
    at = guard_find(&g->list, key);
    at = at == NULL ? guard_find(&g->told, key) : at;
    role = at == NULL ? COORD_ROLE_NONE : at->role;
    pthread_mutex_unlock(&g->lock);
    return role;
}

/* The lock is held. */
static df_status guard_tell(net_guard *g, const char *key, coord_role role, df_error *err)
{
    coord_key *at = guard_find(&g->told, key);

    if (at == NULL && g->told.count == COORD_ALLOWED_MAX)
        return df_fail(err, DF_ELIMIT, "more than %d keys", COORD_ALLOWED_MAX);
    if (at == NULL && g->told.count % GUARD_ROOM == 0) {
        coord_key *grown = realloc(g->told.items, (g->told.count + GUARD_ROOM) * sizeof *grown);

        if (grown == NULL)
            return df_fail(err, DF_ENOMEM, "out of memory");
        g->told.items = grown;
    }
    if (at == NULL) {
        at = &g->told.items[g->told.count++];
        *at = (coord_key){ 0 };
        strcpy(at->public_key, key);
    }
    at->role = role;
    return DF_OK;
}

df_status net_guard_allow(net_guard *g, const char *key, coord_role role, df_error *err)
{
    df_status s;

    if (!coord_key_is(key))
        return df_fail(err, DF_EINVAL, "\"%.60s\" is no public key", key);
    pthread_mutex_lock(&g->lock);
    s = guard_tell(g, key, role, err);
    pthread_mutex_unlock(&g->lock);
    return s;
}

coord_role net_guard_role(net_guard *g, const char *key)
{
    return guard_role(g, key, ZAP_LIST_MS);
}

const char *net_guard_key(const net_guard *g)
{
    return g->key.public_key;
}

uint64_t net_guard_refused(const net_guard *g)
{
    return g->refused;
}

/* ---- answering ---- */

static bool zap_is(zmq_msg_t *part, const char *text)
{
    return zmq_msg_size(part) == strlen(text) && memcmp(zmq_msg_data(part), text, strlen(text)) == 0;
}

static bool zap_allows(net_guard *g, zmq_msg_t parts[ZAP_PARTS], char key[COORD_KEY_SIZE])
{
    if (!zap_is(&parts[0], "1.0") || !zap_is(&parts[2], ZAP_DOMAIN) || !zap_is(&parts[5], "CURVE") ||
        zmq_msg_size(&parts[6]) != 32 || zmq_z85_encode(key, zmq_msg_data(&parts[6]), 32) == NULL)
        return false;
    return guard_role(g, key, 0) != COORD_ROLE_NONE;
}

/* Read a question into parts; *count is of all its parts. False: the context ends. */
static bool zap_receive(void *socket, zmq_msg_t parts[ZAP_PARTS], size_t *count)
{
    size_t at = 0;
    int rc;

    *count = 0;
    do {
        do
            rc = zmq_msg_recv(&parts[at], socket, 0);
        while (rc < 0 && errno == EINTR);
        if (rc < 0)
            return false;
        ++*count;
        at = *count < ZAP_PARTS ? *count : ZAP_PARTS - 1;
    } while (zmq_msg_more(&parts[*count <= ZAP_PARTS ? *count - 1 : ZAP_PARTS - 1]));
    return true;
}

static void zap_answer(void *socket, zmq_msg_t *request, const char *code, const char *text,
                       const char *user)
{
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(socket, zmq_msg_data(request), zmq_msg_size(request), ZMQ_SNDMORE);
    zmq_send(socket, code, strlen(code), ZMQ_SNDMORE);
    zmq_send(socket, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(socket, user, strlen(user), ZMQ_SNDMORE);
    zmq_send(socket, "", 0, 0); /* no more metadata */
}

static void *zap_run(void *arg)
{
    net_guard *g = arg;
    zmq_msg_t parts[ZAP_PARTS];
    size_t count;

    for (size_t i = 0; i < ZAP_PARTS; i++)
        zmq_msg_init(&parts[i]);
    while (zap_receive(g->zap, parts, &count)) {
        char key[COORD_KEY_SIZE] = "";

        if (count == ZAP_PARTS && zap_allows(g, parts, key)) {
            zap_answer(g->zap, &parts[1], "200", "OK", key);
        } else {
            g->refused++;
            zap_answer(g->zap, &parts[1], "400", "this key is not allowed here", "");
        }
    }
    for (size_t i = 0; i < ZAP_PARTS; i++)
        zmq_msg_close(&parts[i]);
    zmq_close(g->zap);
    return NULL;
}

/* Signals are for other threads. */
static bool zap_start(net_guard *g)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    g->started = pthread_create(&g->thread, NULL, zap_run, g) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return g->started;
}

/* ---- the guard ---- */

df_status net_guard_open(net_guard **out, void *ctx, const char *folder, const char *name,
                         df_error *err)
{
    net_guard *g = calloc(1, sizeof *g);
    df_status s;

    *out = NULL;
    if (g == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    pthread_mutex_init(&g->lock, NULL);
    g->ctx = ctx;
    if (snprintf(g->folder, sizeof g->folder, "%s", folder) >= (int)sizeof g->folder)
        s = df_fail(err, DF_EINVAL, "the folder's name is too long");
    else
        s = coord_keys_load(folder, name, &g->key, g->secret, err);
    if (s == DF_OK)
        *out = g;
    else
        net_guard_close(&g);
    return s;
}

void net_guard_close(net_guard **address)
{
    net_guard *g = *address;

    if (g == NULL)
        return;
    if (g->started) {
        zmq_ctx_shutdown(g->ctx);
        pthread_join(g->thread, NULL);
    } else if (g->zap != NULL) {
        zmq_close(g->zap);
    }
    coord_key_list_free(&g->list);
    coord_key_list_free(&g->told);
    pthread_mutex_destroy(&g->lock);
    explicit_bzero(g->secret, sizeof g->secret);
    free(g);
    *address = NULL;
}

df_status net_guard_listen(net_guard *g, void *socket, df_error *err)
{
    df_status s = guard_read(g, err);
    int one = 1;

    if (s != DF_OK)
        return s;
    g->zap = zmq_socket(g->ctx, ZMQ_REP);
    if (g->zap == NULL || zmq_bind(g->zap, "inproc://zeromq.zap.01") != 0 || !zap_start(g) ||
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, g->secret, COORD_KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) != 0)
        return df_fail(err, DF_EIO, "encryption cannot be switched on: %s", zmq_strerror(errno));
    return DF_OK;
}

df_status net_guard_connect(const net_guard *g, void *socket, const char *server_key, df_error *err)
{
    if (!coord_key_is(server_key))
        return df_fail(err, DF_EINVAL, "\"%.60s\" is no public key", server_key);
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, COORD_KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, g->key.public_key, COORD_KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, g->secret, COORD_KEY_SIZE) != 0)
        return df_fail(err, DF_EIO, "encryption cannot be switched on: %s", zmq_strerror(errno));
    return DF_OK;
}
