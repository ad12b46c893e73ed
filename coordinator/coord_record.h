/* The coordinator's records as bytes. Which of them are records of the history and which its marks is
 * decided in coord_log.c; this is the form of those that are records.
 *
 *   job         u16 version  u64 job  u128 plan  u32 key groups      the first record, and only that
 *   generation  u64 number  u64 snapshot  u64 step  u64 floor  blob members  blob owners
 *   rescale     u64 number  u8 phase; of its beginning: u64 deadline  blob members  blob moves
 *   order       u64 index  u64 made  u8 kind  u64 step  u64 first  u64 second  blob payload
 *   restore     u64 number  u64 snapshot  u64 step
 *   tables      u64 number  u64 step  u64 changed  u64 left  u64 rescale  u32 size  u8 end  blob members  blob owners
 *   the others  u64 number
 *
 * A record's type in the history is its proto_record_kind; the job's has a number of its own. */
#ifndef COORD_RECORD_H
#define COORD_RECORD_H

#include "coordinator/proto_coord.h"
#include "snapshot/snap_history.h"

#define COORD_RECORD_JOB      100u
#define COORD_RECORD_VERSION  1u
#define COORD_RECORD_SIZE_MAX (64u + 8 * PROTO_MEMBERS_MAX + PROTO_MOVE_SIZE * PROTO_GROUPS_MAX)

/* Which job a history belongs to. */
typedef struct coord_record_job {
    uint64_t job;      /* the number in every message */
    df_hash plan;
    uint32_t group_count;
} coord_record_job;

/* What has been read so far; a record must make sense behind the ones before it. */
typedef struct coord_record_reader {
    bool begun;
    coord_record_job job;
    uint64_t orders, generation;
    uint64_t members[PROTO_MEMBERS_MAX]; /* of the generation, by place; 0: vacant */
    uint32_t member_count;               /* places */
    uint64_t rescale;                    /* the last one's number */
    uint64_t voids;    /* orders that mean nothing any more, behind ones that do */
    bool kept;         /* an order was read */
} coord_record_reader;

void coord_record_put_job(df_writer *writer, const coord_record_job *job);
void coord_record_put(df_writer *writer, const proto_record *record);
/* Read the next record. DF_END: it was the job's, and is now in the reader. DF_ECORRUPT: it makes no
 * sense, or not there. The lists in *record point into the record's bytes. */
df_status coord_record_get(coord_record_reader *reader, const snap_record *from, proto_record *record,
                           df_error *err) DF_MUST_CHECK;

#endif
