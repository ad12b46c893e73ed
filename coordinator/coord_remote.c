#include "coordinator/coord_remote.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOTE_MANIFEST UINT32_MAX /* as a table, see the message `fetch` */

struct coord_remote {
    void (*wake)(void *user);
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    bool wanted;             /* the loading thread wants the next thing */
    bool stopped;
    uint64_t snapshot;
    uint32_t table, groups_size;
    uint8_t groups[PROTO_GROUPS_MAX / 8];
    bool begun;              /* its first piece has come: total is known */
    uint64_t total;
    uint64_t put, got;       /* bytes that came, that were read */
    uint64_t told;           /* of these, as the protocol was told */
    df_status status;        /* not DF_OK: it cannot be had */
    df_error error;
    uint8_t ring[PROTO_STREAM_WINDOW];
    /* the loading thread's */
    uint8_t *chunk;          /* [SNAP_CHUNK_SIZE_MAX] */
};

/* ---- the main thread ---- */

coord_remote *coord_remote_new(void (*wake)(void *user), void *user)
{
    coord_remote *r = calloc(1, sizeof *r);

    if (r == NULL || (r->chunk = malloc(SNAP_CHUNK_SIZE_MAX)) == NULL) {
        free(r);
        return NULL;
    }
    r->wake = wake;
    r->user = user;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    return r;
}

void coord_remote_free(coord_remote **remote)
{
    coord_remote *r = *remote;

    *remote = NULL;
    if (r == NULL)
        return;
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->chunk);
    free(r);
}

void coord_remote_begin(coord_remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    remote->wanted = remote->stopped = false;
    pthread_mutex_unlock(&remote->lock);
}

void coord_remote_stop(coord_remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    remote->stopped = true;
    pthread_cond_signal(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
}

void coord_remote_poll(coord_remote *r, proto_worker *worker, uint64_t now_us)
{
    proto_fetch fetch;
    uint64_t used;
    bool wanted;

    pthread_mutex_lock(&r->lock);
    wanted = r->wanted;
    r->wanted = false;
    fetch = (proto_fetch){ .snapshot = r->snapshot, .table = r->table,
                           .groups = { r->groups, r->groups_size } };
    /* Whole pieces, so that what is asked for next begins with one. */
    used = r->got == r->total && r->begun ? r->got : r->got / PROTO_PIECE_SIZE * PROTO_PIECE_SIZE;
    used = used > r->told ? used - r->told : 0;
    r->told += used;
    pthread_mutex_unlock(&r->lock);
    if (wanted)
        proto_worker_fetch(worker, now_us, &fetch);
    else if (used > 0)
        proto_worker_fetch_used(worker, now_us, used);
}

static void ring_put(coord_remote *r, const uint8_t *bytes, size_t size)
{
    size_t at = r->put % sizeof r->ring;
    size_t first = size < sizeof r->ring - at ? size : sizeof r->ring - at;

    assert(r->put - r->got + size <= sizeof r->ring);
    memcpy(r->ring + at, bytes, first);
    memcpy(r->ring, bytes + first, size - first);
    r->put += size;
}

static void piece_failed(coord_remote *r, const proto_piece *p)
{
    char text[256];

    snprintf(text, sizeof text, "%.*s", (int)(p->payload.size < sizeof text ? p->payload.size : 255u),
             (const char *)p->payload.data);
    for (char *at = text; *at != '\0'; at++)
        *at = *at >= ' ' && *at < 127 ? *at : '?';
    r->status = df_fail(&r->error, p->status == DF_ECORRUPT ? DF_ECORRUPT : DF_EIO, "%s", text);
}

void coord_remote_piece(coord_remote *remote, const proto_piece *piece)
{
    pthread_mutex_lock(&remote->lock);
    if (!remote->wanted) { /* else it is of something that nobody wants any more */
        remote->begun = true;
        remote->total = piece->total;
        if (piece->status == 0)
            ring_put(remote, piece->payload.data, piece->payload.size);
        else
            piece_failed(remote, piece);
        pthread_cond_signal(&remote->changed);
    }
    pthread_mutex_unlock(&remote->lock);
}

/* ---- the loading thread ---- */

/* Under the lock: sleep until the condition may hold. Not DF_OK: it will not. */
static df_status remote_sleep(coord_remote *r, df_error *err)
{
    if (r->stopped)
        return df_fail(err, DF_END, "given up");
    if (r->status != DF_OK) {
        *err = r->error;
        return r->status;
    }
    pthread_cond_wait(&r->changed, &r->lock);
    return DF_OK;
}

/* Ask for something, and wait for its first piece. */
static df_status remote_open(coord_remote *r, uint64_t snapshot, uint32_t table, const uint8_t *groups,
                             uint32_t groups_size, uint64_t *total, df_error *err)
{
    df_status s = DF_OK;

    pthread_mutex_lock(&r->lock);
    r->snapshot = snapshot;
    r->table = table;
    r->groups_size = groups_size;
    if (groups_size > 0)
        memcpy(r->groups, groups, groups_size);
    r->begun = false;
    r->put = r->got = r->told = r->total = 0;
    r->status = DF_OK;
    r->wanted = true;
    r->wake(r->user);
    while (s == DF_OK && (r->wanted || !r->begun))
        s = remote_sleep(r, err);
    if (s == DF_OK && r->status != DF_OK)
        s = remote_sleep(r, err);
    *total = r->total;
    pthread_mutex_unlock(&r->lock);
    return s;
}

static void ring_get(coord_remote *r, uint8_t *bytes, size_t size)
{
    size_t at = r->got % sizeof r->ring;
    size_t first = size < sizeof r->ring - at ? size : sizeof r->ring - at;

    memcpy(bytes, r->ring + at, first);
    memcpy(bytes + first, r->ring, size - first);
    r->got += size;
}

/* Exactly so many bytes, which are known to come. */
static df_status remote_read(coord_remote *r, uint8_t *bytes, size_t size, df_error *err)
{
    df_status s = DF_OK;

    pthread_mutex_lock(&r->lock);
    while (s == DF_OK && size > 0) {
        size_t here = r->put - r->got < size ? (size_t)(r->put - r->got) : size;
        uint64_t pieces = r->got / PROTO_PIECE_SIZE;

        if (here == 0) {
            s = remote_sleep(r, err);
            continue;
        }
        ring_get(r, bytes, here);
        bytes += here;
        size -= here;
        if (r->got / PROTO_PIECE_SIZE != pieces)
            r->wake(r->user);
    }
    pthread_mutex_unlock(&r->lock);
    return s;
}

/* What is said of the size is believed only as far as bytes follow. */
static df_status manifest_read(coord_remote *r, uint64_t total, uint8_t **bytes, df_error *err)
{
    size_t have = 0, room = 0;
    df_status s = DF_OK;

    while (s == DF_OK && have < total) {
        size_t next = total - have < PROTO_PIECE_SIZE ? (size_t)(total - have) : PROTO_PIECE_SIZE;

        if (have + next > room) {
            uint8_t *grown = realloc(*bytes, room = 2 * (have + next));

            if (grown == NULL)
                return df_fail(err, DF_ENOMEM, "restore: out of memory");
            *bytes = grown;
        }
        s = remote_read(r, *bytes + have, next, err);
        have += next;
    }
    return s;
}

df_status coord_remote_manifest(coord_remote *remote, uint64_t snapshot, snap_manifest **out, df_error *err)
{
    uint8_t *bytes = NULL;
    uint64_t total;
    df_status s = remote_open(remote, snapshot, REMOTE_MANIFEST, NULL, 0, &total, err);

    *out = NULL;
    if (s == DF_OK && total > SNAP_MANIFEST_SIZE_MAX)
        s = df_fail(err, DF_ECORRUPT, "the manifest of snapshot %llu has %llu bytes", (unsigned long long)snapshot,
                    (unsigned long long)total);
    if (s == DF_OK)
        s = manifest_read(remote, total, &bytes, err);
    if (s == DF_OK)
        s = snap_manifest_decode(out, bytes, (size_t)total, err);
    if (s == DF_OK && (*out)->snapshot != snapshot) {
        s = df_fail(err, DF_ECORRUPT, "snapshot %llu was wanted and %llu has come", (unsigned long long)snapshot,
                    (unsigned long long)(*out)->snapshot);
        snap_manifest_free(out);
    }
    free(bytes);
    return s;
}

static uint64_t groups_size(const snap_manifest *m, uint32_t table, const uint8_t *groups)
{
    uint64_t size = 0;

    for (uint32_t k = 0; k < m->tables[table].key_groups; k++)
        for (uint32_t i = 0; (groups[k / 8] >> k % 8 & 1) != 0 && i < m->tables[table].groups[k].ref_count; i++)
            size += m->tables[table].groups[k].refs[i].stored_size;
    return size;
}

static df_status source_table(void *user, const snap_manifest *m, uint32_t table, const uint8_t *groups,
                              df_error *err)
{
    uint64_t total, expected = groups_size(m, table, groups);
    df_status s;

    if (expected == 0)
        return DF_OK; /* nobody will read anything */
    if (m->tables[table].key_groups > PROTO_GROUPS_MAX)
        return df_fail(err, DF_ELIMIT, "state \"%s\": with workers there may be %u key groups",
                       m->tables[table].name, PROTO_GROUPS_MAX);
    s = remote_open(user, m->snapshot, table, groups, (m->tables[table].key_groups + 7) / 8, &total, err);
    if (s == DF_OK && total != expected)
        s = df_fail(err, DF_ECORRUPT, "snapshot %llu, state \"%s\": %llu bytes instead of %llu",
                    (unsigned long long)m->snapshot, m->tables[table].name, (unsigned long long)total,
                    (unsigned long long)expected);
    return s;
}

static df_status source_column(void *user, const snap_manifest *m, uint32_t table, uint32_t key_group,
                               uint32_t column, snap_coder *coder, void *raw, df_error *err)
{
    coord_remote *r = user;
    const snap_table *t = &m->tables[table];
    weir_type type = snap_column_type(t, column);
    size_t each = snap_chunk_rows(m->chunk_size, type) * weir_type_size(type);
    uint32_t count;
    const snap_ref *refs = snap_manifest_refs(m, table, key_group, column, &count);
    df_status s = DF_OK;

    for (uint32_t i = 0; s == DF_OK && i < count; i++) {
        snap_place place = { key_group, (uint16_t)table, (uint16_t)column, i };
        snap_slice slice = snap_manifest_slice(m, &place);

        s = remote_read(r, r->chunk, refs[i].stored_size, err);
        if (s == DF_OK)
            s = snap_chunk_decode(coder, &slice, r->chunk, refs[i].stored_size, (uint8_t *)raw + i * each, err);
        if (s != DF_OK && s != DF_END)
            s = df_wrap(err, s, "from the coordinator: snapshot %llu, state \"%s\", key group %u, column %s, "
                        "chunk %u", (unsigned long long)m->snapshot, t->name, key_group,
                        snap_column_name(t, column), i);
    }
    return s;
}

coord_part_source coord_remote_source(coord_remote *remote)
{
    return (coord_part_source){ remote, source_table, source_column };
}
