#include "coordinator/coord_outlet.h"

#include "coordinator/coord_hand.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct outlet_wish {
    struct outlet_wish *next;
    uint64_t worker;
    proto_fetch what; /* its groups lie in `groups` */
    uint8_t groups[PROTO_GROUPS_MAX / 8];
} outlet_wish;

struct coord_outlet {
    char folder[DF_PATH_MAX];
    coord_hand *hand;
    outlet_wish *first, **last; /* that wait */
    outlet_wish *at_work;
    /* the hand's while it is busy */
    df_disk disk;
    snap_store *store;          /* null: closed */
    snap_manifest *manifest;    /* of the snapshot that is served */
    uint8_t *image;             /* the manifest as it is stored; owned */
    size_t image_size;
    uint8_t bytes[PROTO_STREAM_WINDOW];
    uint32_t got;
    uint64_t total;
    df_status status;
    df_error error;
};

/* ---- on the other thread ---- */

typedef struct outlet_range {
    uint64_t offset, end; /* that is wanted */
    uint64_t at;          /* where the next chunk begins */
    uint8_t *bytes;
} outlet_range;

/* The part of a chunk that lies in the range. */
static df_status range_add(outlet_range *r, const snap_store *store, const snap_manifest *m,
                           const snap_place *place, uint32_t size, df_error *err)
{
    uint64_t from = r->at > r->offset ? r->at : r->offset;
    uint64_t to = r->at + size < r->end ? r->at + size : r->end;
    snap_blob blob;
    df_status s = DF_OK;

    if (from < to) {
        s = snap_store_get(store, m, place, &blob, err);
        if (s == DF_OK) {
            memcpy(r->bytes + (from - r->offset), blob.bytes + (from - r->at), to - from);
            snap_blob_release(&blob);
        }
    }
    r->at += size;
    return s;
}

static df_status range_add_group(outlet_range *r, const snap_store *store, const snap_manifest *m,
                                 uint32_t table, uint32_t key_group, df_error *err)
{
    uint32_t columns = m->tables[table].schema.column_count + 1;
    df_status s = DF_OK;

    for (uint32_t c = 0; s == DF_OK && c < columns; c++) {
        uint32_t count;
        const snap_ref *refs = snap_manifest_refs(m, table, key_group, c, &count);

        for (uint32_t i = 0; s == DF_OK && i < count; i++)
            s = range_add(r, store, m, &(snap_place){ key_group, (uint16_t)table, (uint16_t)c, i },
                          refs[i].stored_size, err);
    }
    return s;
}

df_status coord_outlet_read(const snap_store *store, const snap_manifest *m, const proto_fetch *what,
                            uint8_t *bytes, uint32_t *got, uint64_t *total, df_error *err)
{
    outlet_range r = { what->offset, what->offset + what->size, 0, bytes };
    df_status s = DF_OK;

    *got = 0;
    if (what->table >= m->table_count || what->size > PROTO_STREAM_WINDOW || r.end < r.offset ||
        8ull * what->groups.size < m->tables[what->table].key_groups)
        return df_fail(err, DF_EINVAL, "a worker fetches what there is not");
    for (uint32_t k = 0; s == DF_OK && k < m->tables[what->table].key_groups; k++)
        if ((what->groups.data[k / 8] >> k % 8 & 1) != 0)
            s = range_add_group(&r, store, m, what->table, k, err);
    *total = r.at;
    if (s == DF_OK && what->offset >= r.at)
        s = df_fail(err, DF_EINVAL, "a worker fetches what there is not");
    if (s == DF_OK)
        *got = (uint32_t)((r.end < r.at ? r.end : r.at) - r.offset);
    return s;
}

static void outlet_close(coord_outlet *o)
{
    free(o->image);
    o->image = NULL;
    snap_manifest_free(&o->manifest);
    snap_store_close(&o->store);
}

static df_status outlet_open(coord_outlet *o, uint64_t snapshot, df_error *err)
{
    static const snap_store_options readonly = { .readonly = true };
    df_status s;

    if (o->manifest != NULL && o->manifest->snapshot == snapshot)
        return DF_OK;
    outlet_close(o);
    s = snap_store_open_rocksdb(&o->store, &o->disk, o->folder, &readonly, err);
    if (s == DF_OK)
        s = snap_store_load(o->store, snapshot, &o->manifest, err);
    if (s == DF_END)
        s = df_fail(err, DF_ECORRUPT, "%s: snapshot %" PRIu64 " is not there", o->folder, snapshot);
    if (s == DF_OK)
        s = snap_manifest_encode(o->manifest, &o->image, &o->image_size, err);
    if (s != DF_OK)
        outlet_close(o);
    return s;
}

static df_status image_read(coord_outlet *o, const proto_fetch *f, df_error *err)
{
    o->total = o->image_size;
    if (f->offset >= o->total || f->size > sizeof o->bytes)
        return df_fail(err, DF_EINVAL, "a worker fetches what there is not");
    o->got = (uint32_t)(f->size < o->total - f->offset ? f->size : o->total - f->offset);
    memcpy(o->bytes, o->image + f->offset, o->got);
    return DF_OK;
}

static void work_do(void *arg)
{
    coord_outlet *o = arg;
    const proto_fetch *f = &o->at_work->what;

    o->status = outlet_open(o, f->snapshot, &o->error);
    if (o->status == DF_OK && f->table == UINT32_MAX)
        o->status = image_read(o, f, &o->error);
    else if (o->status == DF_OK)
        o->status = coord_outlet_read(o->store, o->manifest, f, o->bytes, &o->got, &o->total, &o->error);
}

/* ---- on the main thread ---- */

static void outlet_go(coord_outlet *o)
{
    if (coord_hand_busy(o->hand) || o->first == NULL || o->at_work != NULL)
        return;
    o->at_work = o->first;
    o->first = o->at_work->next;
    if (o->first == NULL)
        o->last = &o->first;
    coord_hand_give(o->hand, work_do, o);
}

void coord_outlet_put(coord_outlet *outlet, uint64_t worker, const proto_fetch *what)
{
    outlet_wish *wish = proto_zero(1, sizeof *wish);
    uint32_t size = what->groups.size < sizeof wish->groups ? what->groups.size : sizeof wish->groups;

    wish->worker = worker;
    wish->what = *what;
    memcpy(wish->groups, what->groups.data == NULL ? wish->groups : what->groups.data, size);
    wish->what.groups = (proto_bytes){ wish->groups, size };
    *outlet->last = wish;
    outlet->last = &wish->next;
    outlet_go(outlet);
}

bool coord_outlet_ended(coord_outlet *o, proto_serve *out)
{
    if (!coord_hand_busy(o->hand)) {
        free(o->at_work); /* whose bytes were taken with the last call */
        o->at_work = NULL;
        outlet_go(o);
    }
    if (!coord_hand_done(o->hand))
        return false;
    *out = (proto_serve){ .worker = o->at_work->worker, .number = o->at_work->what.number,
                          .status = (uint8_t)o->status, .total = o->total, .offset = o->at_work->what.offset,
                          .bytes = { o->bytes, o->got } };
    if (o->status != DF_OK)
        out->bytes = (proto_bytes){ (const uint8_t *)o->error.text, (uint32_t)strlen(o->error.text) };
    return true;
}

void coord_outlet_rest(coord_outlet *outlet)
{
    if (!coord_hand_busy(outlet->hand) && outlet->first == NULL && outlet->store != NULL)
        outlet_close(outlet);
}

df_status coord_outlet_new(coord_outlet **out, const char *folder, void (*wake)(void *user), void *user,
                           df_error *err)
{
    coord_outlet *o = calloc(1, sizeof *o);
    df_status s;

    *out = NULL;
    if (o == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    snprintf(o->folder, sizeof o->folder, "%s", folder);
    o->last = &o->first;
    df_disk_posix_init(&o->disk);
    s = coord_hand_new(&o->hand, wake, user, err);
    if (s == DF_OK)
        *out = o;
    else
        free(o);
    return s;
}

void coord_outlet_free(coord_outlet **outlet)
{
    coord_outlet *o = *outlet;

    *outlet = NULL;
    if (o == NULL)
        return;
    coord_hand_free(&o->hand);
    while (o->first != NULL) {
        outlet_wish *wish = o->first;

        o->first = wish->next;
        free(wish);
    }
    free(o->at_work);
    outlet_close(o);
    free(o);
}
