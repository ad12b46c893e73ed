/* Files of a format that cannot be continued by offset: closed segments, published by rename.
 *
 *   NAME.h5   NAME-000000000400.h5   NAME-000000000900.h5    the first; those that begin at a step
 *   .NAME-000000000900.h5.part      being written, or not yet synced; nobody reads it
 *   .NAME.h5.lock                   held by the writer, from open to close
 *
 * A step has twelve digits, so that names sort and nobody's own file is taken for a segment.
 *
 * A segment gets its name only when it is whole and, in a job that can go on, durable. After that
 * it never changes, so a process that goes on compares what it computes again with what it finds,
 * and writes only what is not there. Segments are published in their order.
 *
 * A target that is there and is no regular file (/dev/full) is written in place, as one segment.
 *
 * One thread at a time, but for op_segments_sync, which may run beside everything except
 * op_segments_end and op_segments_close. Errors name the file. */
#ifndef OP_SEGMENTS_H
#define OP_SEGMENTS_H

#include "dataflow/df_error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct op_segments op_segments;

/* Which one: the first has no step in its name. */
typedef struct op_segment {
    bool first;
    uint64_t start; /* its first step */
} op_segment;

/* Take the lock and remove what a killed process left unfinished; without `resume` also all
 * segments that are there. `path` is the first one's. */
df_status op_segments_open(op_segments **out, const char *path, bool resume, df_error *err)
    DF_MUST_CHECK;
/* The name of a segment, until the next call. */
const char *op_segments_name(op_segments *segments, op_segment segment);
bool op_segments_published(op_segments *segments, op_segment segment);
/* Where to write it, until the next call. */
const char *op_segments_unfinished(op_segments *segments, op_segment segment);
/* Make its file, empty, for a writer who opens it by its name. */
df_status op_segments_begin(op_segments *segments, op_segment segment, df_error *err) DF_MUST_CHECK;
/* The segment that was begun is closed and whole; op_segments_sync publishes it. */
void op_segments_end(op_segments *segments);
/* The segment that was begun is not wanted. */
void op_segments_drop(op_segments *segments);
/* Make the ended segments durable and publish them. After a failure it fails for ever. */
df_status op_segments_sync(op_segments *segments, df_error *err) DF_MUST_CHECK;
/* Why the sync failed, or DF_OK. */
df_status op_segments_check(op_segments *segments, df_error *err) DF_MUST_CHECK;
/* Takes the segments; null is allowed. Publishes those that were ended, `durable` or only by name;
 * after a failure it removes them, for they will be made again. */
df_status op_segments_close(op_segments **segments, bool durable, df_error *err) DF_MUST_CHECK;

#endif
