/* A recording of fingerprints: a text file that `weir run --fingerprints` writes and `--verify`
 * reads, one line per step, flushed at every step so that it can be followed.
 *
 *     weir fingerprints 1
 *     job flock
 *     seed 1
 *     plan 0f3c...                                  32 hexadecimal digits
 *     stream birds 256 id x y z vx vy vz            name, key groups, columns
 *     0 7c1e... 93ab...:51d0...                     step, total of the states, a field
 *                                                   for each stream
 *
 * A field is `-` where the stream has nothing at that step, else COLUMNS:GROUPS without gaps:
 * 16 digits (the high word) of each column's hash, 8 digits of each key group's. Everything is
 * separated by single spaces; digits are lower case. A step's line may end in ` =SUM`, 16 digits (the high word)
 * of the XXH3-128 of what stands before it: so one that was damaged is not taken for one that differs. A file from
 * somebody else is checked in full, and an error names its line. */
#ifndef COORD_PRINTS_H
#define COORD_PRINTS_H

#include "dataflow/df_graph.h"

#include <stdio.h>

#define COORD_PRINTS_VERSION 1
#define COORD_PRINTS_SUM_SIZE 18 /* of " =SUM" */
#define COORD_PRINTS_NAME_MAX (2 * WEIR_NAME_MAX)
#define COORD_PRINTS_STREAMS_MAX (DF_OPERATORS_MAX * WEIR_PORTS_MAX + DF_STATES_MAX)

typedef struct coord_prints_stream {
    char name[COORD_PRINTS_NAME_MAX];
    uint32_t key_groups, column_count; /* "id" counted */
    char *columns;                     /* "id x y z"; owned */
} coord_prints_stream;

/* What a recording says about its job. */
typedef struct coord_prints_head {
    char job[WEIR_NAME_MAX];
    uint64_t seed;
    df_hash plan;
    uint32_t stream_count;
    coord_prints_stream *streams;
} coord_prints_head;

/* The head of a run: its states' streams, with `all` every stream. coord_prints_head_fini also
 * after a failure. */
df_status coord_prints_head_init(coord_prints_head *head, const df_plan *plan, bool all,
                                 df_error *err) DF_MUST_CHECK;
void coord_prints_head_fini(coord_prints_head *head);
/* The stream of that name, or DF_NONE. */
uint32_t coord_prints_find(const coord_prints_head *head, const char *name);

/* ---- writing ---- */

typedef struct coord_prints_writer coord_prints_writer;

/* Create (or empty) the file and write the head. The plan must outlive the writer. */
df_status coord_prints_create(coord_prints_writer **out, const char *path, const df_plan *plan,
                              bool all, df_error *err) DF_MUST_CHECK;
/* Go on with a recording of the same run: steps from `step` on are taken away. One that is not there, or
 * is not of this job, is an error. */
df_status coord_prints_resume(coord_prints_writer **out, const char *path, const df_plan *plan,
                              bool all, uint64_t step, df_error *err) DF_MUST_CHECK;
/* From now on each line ends in its sum. */
void coord_prints_sum(coord_prints_writer *writer);
/* Write a step and hand it to the system. */
df_status coord_prints_put(coord_prints_writer *writer, const df_step_print *print, df_error *err)
    DF_MUST_CHECK;
/* Bytes that were written since it was opened. */
uint64_t coord_prints_size(const coord_prints_writer *writer);
df_status coord_prints_close(coord_prints_writer **writer, df_error *err);

/* ---- reading ---- */

typedef struct coord_prints_reader coord_prints_reader;

/* A step's line; borrowed until the next. fields[i] is the text of head stream i, or null. */
typedef struct coord_prints_step {
    uint64_t step;
    df_hash total;
    const char *const *fields;
} coord_prints_step;

/* A recording's file, opened to be read. Null, with the error, if it cannot be. */
FILE *coord_prints_file(const char *path, df_error *err);
/* Read a recording's head. Takes the file (closes it, also on failure); `name`, the path for
 * messages, is borrowed for the reader's life. */
df_status coord_prints_open(coord_prints_reader **out, FILE *file, const char *name,
                            df_error *err) DF_MUST_CHECK;
const coord_prints_head *coord_prints_head_of(const coord_prints_reader *reader);
/* The next step; its number is one more than the last one's. DF_END: the recording ends here (a
 * last line without an end, of a run that was killed, does not count). */
df_status coord_prints_next(coord_prints_reader *reader, coord_prints_step *step, df_error *err)
    DF_MUST_CHECK;
/* Pass over the steps before this one. DF_END: the recording ends before. */
df_status coord_prints_seek(coord_prints_reader *reader, uint64_t step, df_error *err) DF_MUST_CHECK;
/* Where in the file the next line begins. */
uint64_t coord_prints_offset(const coord_prints_reader *reader);
void coord_prints_free(coord_prints_reader **reader);

/* The sum of a line's bytes. */
uint64_t coord_prints_sum_of(const char *line, size_t size);
/* The recorded hash of a column or a key group of a step's field. */
uint64_t coord_prints_column(const char *field, uint32_t column);
uint32_t coord_prints_group(const coord_prints_stream *stream, const char *field, uint32_t group);
/* As a run's own hashes would be recorded. */
static inline uint64_t coord_prints_of_column(df_hash hash)
{
    return hash.high;
}
static inline uint32_t coord_prints_of_group(df_hash hash)
{
    return (uint32_t)(hash.high >> 32);
}

#endif
