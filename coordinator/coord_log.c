#include "coordinator/coord_log.h"

#include "coordinator/coord_hand.h"
#include "coordinator/proto_log.h"
#include "dataflow/df_failpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOG_RECORD_OVERHEAD 128u /* bytes around a record's: its own head and its frame's */

/* What one sync makes durable. */
typedef struct log_batch {
    snap_record *records; /* [count], bytes owned */
    uint32_t count, room;
    snap_marks marks;
    bool marked;
    size_t size;          /* of the records, with what is around them */
    bool frees;           /* among them is one behind which others mean nothing any more */
    uint64_t appended;    /* records of this process up to here */
    bool failed;          /* memory was out when it was filled */
    df_status status;
    df_error error;
} log_batch;

struct coord_log {
    snap_history *history; /* the hand's, while it is busy */
    coord_hand *hand;
    uint64_t capacity;     /* bytes that records can take */
    uint64_t generation;
    uint64_t room_input, room_order; /* after the last sync */
    uint64_t crowded;    /* with less room than that it is shortened */
    log_batch waiting, flying;
    uint64_t appended;
};

static void batch_clear(log_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        free((void *)(uintptr_t)b->records[i].bytes);
    b->count = 0;
    b->size = 0;
    b->marked = b->frees = false;
}

/* ---- opening ---- */

/* The usual size; tests ask for another one. One that is none is refused when it is made. */
static uint64_t log_size(void)
{
    const char *wanted = getenv("WEIR_HISTORY_SIZE");

    return wanted == NULL ? SNAP_HISTORY_SIZE : strtoull(wanted, NULL, 10);
}

static df_status log_create(df_disk *disk, const char *folder, df_error *err)
{
    const snap_marks marks = { 0 };
    df_hash identity;

    if (getrandom(&identity, sizeof identity, 0) != (ssize_t)sizeof identity)
        return df_fail(err, DF_EIO, "%s: no random bytes", folder);
    return snap_history_create(disk, folder, identity, log_size(), &marks, err);
}

/* The first record says whose the history is. One that was made and not begun is begun now. */
static df_status log_begin(coord_log *log, coord_record_job *job, const char *folder, df_error *err)
{
    coord_record_reader reader = { 0 };
    snap_record first = { .type = COORD_RECORD_JOB };
    proto_record record;
    uint8_t bytes[64];
    df_writer w;
    df_status s;

    if (snap_history_count(log->history) == 0) {
        df_writer_init(&w, bytes, sizeof bytes);
        coord_record_put_job(&w, job);
        assert(df_writer_ok(&w));
        first.bytes = bytes;
        first.size = (uint32_t)w.size;
        return snap_history_append(log->history, &first, 1, SNAP_ROOM_ORDER, err);
    }
    first = snap_history_get(log->history, 1);
    s = coord_record_get(&reader, &first, &record, err);
    if (s != DF_END)
        return s == DF_OK ? df_fail(err, DF_ECORRUPT, "%s: the history does not say whose it is", folder)
                          : df_wrap(err, s, "%s", folder);
    *job = reader.job;
    return DF_OK;
}

static void log_tell(const char *folder, const snap_recovery *r)
{
    for (int i = 0; i < 2; i++) {
        if (r->rebuilt[i])
            fprintf(stderr, "%s/history.%c was missing and was made again from the other copy\n", folder,
                    "ab"[i]);
        else if (r->blocks_repaired[i] > 0)
            fprintf(stderr, "%s/history.%c: %u damaged blocks were repaired from the other copy\n", folder,
                    "ab"[i], r->blocks_repaired[i]);
    }
    if (r->torn_both)
        fprintf(stderr, "%s: the end of both copies of the history was damaged; what was said last may "
                        "be lost\n", folder);
}

static void log_measure(coord_log *log)
{
    log->room_input = snap_history_room(log->history);
    log->room_order = snap_history_room_order(log->history);
}

df_status coord_log_open(coord_log **out, df_disk *disk, const char *folder, coord_record_job *job,
                         void (*wake)(void *user), void *user, df_error *err)
{
    coord_log *log = calloc(1, sizeof *log);
    snap_recovery recovery = { 0 };
    df_status s;

    *out = NULL;
    if (log == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", folder);
    s = snap_history_open(&log->history, disk, folder, &recovery, err);
    if (s == DF_END) {
        s = log_create(disk, folder, err);
        if (s == DF_OK)
            s = snap_history_open(&log->history, disk, folder, &recovery, err);
    }
    if (s == DF_AGAIN)
        s = df_fail(err, DF_AGAIN, "%s: another coordinator runs this job", folder);
    if (s == DF_OK)
        s = log_begin(log, job, folder, err);
    if (s == DF_OK)
        s = coord_hand_new(&log->hand, wake, user, err);
    if (s != DF_OK) {
        coord_log_close(&log);
        return s;
    }
    log_tell(folder, &recovery);
    log->capacity = snap_history_capacity(log->history);
    log->crowded = log->capacity / 2;
    log->waiting.marks = snap_history_marks(log->history);
    log_measure(log);
    *out = log;
    return DF_OK;
}

void coord_log_close(coord_log **log)
{
    coord_log *l = *log;

    *log = NULL;
    if (l == NULL)
        return;
    coord_hand_free(&l->hand);
    batch_clear(&l->waiting);
    batch_clear(&l->flying);
    free(l->waiting.records);
    free(l->flying.records);
    snap_history_close(&l->history);
    free(l);
}

df_status coord_log_recover(coord_log *log, proto_coord *coord, proto_end *end, bool *begun,
                            df_error *err)
{
    snap_marks marks = snap_history_marks(log->history);
    proto_record record = { .kind = PROTO_RECORD_INCARNATION, .number = marks.incarnation };
    coord_record_reader reader = { 0 };

    *end = PROTO_END_NOT;
    *begun = false;
    if (marks.incarnation > 0 && coord != NULL)
        proto_coord_recover(coord, &record);
    record = (proto_record){ .kind = PROTO_RECORD_CEILING, .number = marks.ceiling };
    if (marks.ceiling > 0 && coord != NULL)
        proto_coord_recover(coord, &record);
    for (uint64_t i = 1; i <= snap_history_count(log->history); i++) {
        snap_record from = snap_history_get(log->history, i);
        df_status s = coord_record_get(&reader, &from, &record, err);

        if (s == DF_END)
            continue;
        if (s != DF_OK)
            return s;
        if (record.kind == PROTO_RECORD_END)
            *end = (proto_end)record.number;
        if (record.kind == PROTO_RECORD_RESTORE)
            *end = PROTO_END_NOT;
        if (coord != NULL)
            proto_coord_recover(coord, &record);
    }
    *begun = reader.generation > 0;
    log->generation = reader.generation;
    return DF_OK;
}

/* ---- appending ---- */

static bool batch_add(log_batch *b, const proto_record *record, uint64_t generation)
{
    snap_record *grown;
    df_writer w;
    size_t size;
    uint8_t *bytes;

    if (b->count == b->room) {
        grown = realloc(b->records, (2 * (size_t)b->room + 16) * sizeof *grown);
        if (grown == NULL)
            return false;
        b->records = grown;
        b->room = 2 * b->room + 16;
    }
    df_writer_init_growing(&w, COORD_RECORD_SIZE_MAX);
    coord_record_put(&w, record);
    bytes = df_writer_take(&w, &size);
    if (bytes == NULL)
        return false;
    b->records[b->count++] = (snap_record){ .generation = generation, .type = record->kind,
                                            .size = (uint32_t)size, .bytes = bytes };
    b->size += size + LOG_RECORD_OVERHEAD;
    return true;
}

void coord_log_append(coord_log *log, const proto_record *record)
{
    log_batch *b = &log->waiting;

    b->appended = ++log->appended;
    if (record->kind == PROTO_RECORD_CEILING || record->kind == PROTO_RECORD_INCARNATION) {
        uint64_t *mark = record->kind == PROTO_RECORD_CEILING ? &b->marks.ceiling
                                                              : &b->marks.incarnation;

        *mark = record->number > *mark ? record->number : *mark;
        b->marked = true;
        return;
    }
    if (record->kind == PROTO_RECORD_GENERATION)
        log->generation = record->number;
    b->frees |= record->kind == PROTO_RECORD_GENERATION || record->kind == PROTO_RECORD_TABLES;
    b->failed |= !batch_add(b, record, log->generation);
}

/* ---- shortening ---- */

/* What is in the history, as records of the state machine; the first is the job's, which has no kind. Null: memory is
 * out, or one makes no sense, which is told when it is opened again. */
static proto_record *log_read(const snap_history *history, uint32_t count)
{
    proto_record *records = calloc((size_t)count + 1, sizeof *records);
    coord_record_reader reader = { 0 };
    df_status s = DF_OK;
    df_error err;

    for (uint32_t i = 0; records != NULL && i < count && (s == DF_OK || s == DF_END); i++) {
        snap_record from = snap_history_get(history, i + 1u);

        s = coord_record_get(&reader, &from, &records[i], &err);
    }
    if (s == DF_OK)
        return records;
    free(records);
    return NULL;
}

/* The records that are left, encoded into the batch. The job's comes first, as it is. */
static bool log_encode(log_batch *b, const proto_record *kept, uint32_t count)
{
    uint64_t generation = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (kept[i].kind == PROTO_RECORD_GENERATION)
            generation = kept[i].number;
        if (!batch_add(b, &kept[i], generation))
            return false;
    }
    return true;
}

/* DF_END: it was not begun, and nothing is changed. */
static df_status log_replace(coord_log *log, const log_batch *b, df_error *err)
{
    snap_record *all = calloc((size_t)b->count + 1, sizeof *all);
    snap_record job = snap_history_get(log->history, 1);
    bool begun = false;
    df_status s = all == NULL ? df_fail(err, DF_ENOMEM, "history: out of memory") : DF_OK;

    if (s == DF_OK) {
        all[0] = job;
        memcpy(all + 1, b->records, b->count * sizeof *all);
        s = snap_history_replace(log->history, all, b->count + 1, &begun, err);
    }
    free(all);
    return s == DF_OK || begun ? s : DF_END;
}

/* What still means something, encoded into the batch. False: nothing can be left out, or memory is out. */
static bool log_live(const coord_log *log, log_batch *b)
{
    uint32_t count = (uint32_t)snap_history_count(log->history), kept = 0;
    proto_record *records = log_read(log->history, count);
    proto_record *left = calloc((size_t)count + 1, sizeof *left);
    bool *dead = calloc((size_t)count + 1, sizeof *dead);

    if (records != NULL && left != NULL && dead != NULL) {
        proto_log_mark(records + 1, count - 1, dead);
        kept = proto_log_copy(records + 1, count - 1, dead, left);
    }
    if (kept > 0 && !log_encode(b, left, kept))
        kept = 0;
    free(records);
    free(left);
    free(dead);
    return kept > 0;
}

/* When half of the history is used it is replaced by what still means something, if a quarter of it goes. Else, and without
 * room on the disk, it stays as it is; the next try is when another sixteenth of it is used. DF_OK also then. */
static df_status log_shorten(coord_log *log, df_error *err)
{
    uint64_t used = log->capacity - snap_history_room_order(log->history), step = log->capacity / 16, room;
    log_batch b = { 0 };
    df_status s = DF_END;

    if (snap_history_room_order(log->history) >= log->crowded)
        return DF_OK;
    if (log_live(log, &b) && 4 * b.size < 3 * used)
        s = log_replace(log, &b, err);
    room = snap_history_room_order(log->history);
    log->crowded = room > step ? room - step : 0;
    log->crowded = log->crowded < log->capacity / 2 ? log->crowded : log->capacity / 2;
    batch_clear(&b);
    free(b.records);
    return s == DF_END ? DF_OK : s;
}

/* ---- writing ---- */

static df_status log_write_records(coord_log *log, log_batch *b, df_error *err)
{
    bool generation = false, rescale = false, tables = false;
    df_status s = b->count == 0 ? DF_OK : df_failpoint(DF_FAILPOINT_log_append, err);

    for (uint32_t i = 0; s == DF_OK && i < b->count; i += SNAP_FRAME_RECORDS_MAX) {
        uint32_t left = b->count - i;

        s = snap_history_append(log->history, b->records + i,
                                left < SNAP_FRAME_RECORDS_MAX ? left : SNAP_FRAME_RECORDS_MAX,
                                SNAP_ROOM_ORDER, err);
    }
    for (uint32_t i = 0; i < b->count; i++) {
        generation |= b->records[i].type == PROTO_RECORD_GENERATION;
        rescale |= b->records[i].type == PROTO_RECORD_RESCALE;
        tables |= b->records[i].type == PROTO_RECORD_TABLES;
    }
    if (s == DF_OK && b->count > 0)
        s = df_failpoint(DF_FAILPOINT_log_append_synced, err);
    if (s == DF_OK && generation)
        s = df_failpoint(DF_FAILPOINT_log_generation, err);
    if (s == DF_OK && rescale)
        s = df_failpoint(DF_FAILPOINT_log_rescale, err);
    if (s == DF_OK && tables)
        s = df_failpoint(DF_FAILPOINT_log_tables, err);
    return s;
}

/* On the other thread. */
static void log_write(void *arg)
{
    coord_log *log = arg;
    log_batch *b = &log->flying;

    b->status = b->failed ? df_fail(&b->error, DF_ENOMEM, "history: out of memory")
                          : log_shorten(log, &b->error);
    if (b->status == DF_OK)
        b->status = log_write_records(log, b, &b->error);
    if (b->frees)
        log->crowded = log->capacity / 2;
    if (b->status != DF_OK || !b->marked)
        return;
    b->status = snap_history_mark(log->history, &b->marks, &b->error);
    if (b->status == DF_OK)
        b->status = df_failpoint(DF_FAILPOINT_log_mark, &b->error);
}

void coord_log_sync(coord_log *log)
{
    log_batch empty = log->flying;

    assert(!coord_hand_busy(log->hand) && empty.count == 0);
    log->flying = log->waiting;
    log->waiting = (log_batch){ .records = empty.records, .room = empty.room,
                                .marks = log->flying.marks, .appended = log->flying.appended };
    coord_hand_give(log->hand, log_write, log);
}

bool coord_log_synced(coord_log *log, uint64_t *records, bool *ok, df_error *err)
{
    log_batch *b = &log->flying;

    if (!coord_hand_done(log->hand))
        return false;
    *records = b->appended;
    *ok = b->status == DF_OK;
    if (!*ok)
        *err = b->error;
    log_measure(log);
    batch_clear(b);
    return true;
}

/* ---- room ---- */

static uint64_t log_under_way(const coord_log *log)
{
    return log->waiting.size + log->flying.size;
}

bool coord_log_takes_input(const coord_log *log, uint32_t size)
{
    return log_under_way(log) + size + LOG_RECORD_OVERHEAD <= log->room_input;
}

/* The rest is kept for generations, tables, the end and the final barrier when no other order is taken any more. */
uint64_t coord_log_room(const coord_log *log)
{
    uint64_t taken = log_under_way(log) + LOG_RECORD_OVERHEAD + SNAP_HISTORY_RESERVE(log->capacity) / 2;

    return taken < log->room_order ? log->room_order - taken : 0;
}
