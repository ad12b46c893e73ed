/* The coordinator's log: the history of a job, behind the state machine's append and sync.
 *
 * What is appended waits in memory; a sync hands it to a thread, which makes it durable in both copies,
 * and the main loop takes the end of it. The ceiling and the incarnation are marks of the history, so
 * that grants go on when it is full; everything else is a record.
 *
 * When half of it is used, what means nothing any more is left out (proto_log.h). WEIR_HISTORY_SIZE in the environment, bytes, is the
 * size of a copy that is made: for tests.
 *
 * The lock of the history makes sure that two coordinators never act on one folder. */
#ifndef COORD_LOG_H
#define COORD_LOG_H

#include "coordinator/coord_record.h"

typedef struct coord_log coord_log;

/* Make FOLDER's history if there is none, for *job; else *job becomes whose it is. DF_AGAIN: another
 * coordinator has it. `disk` is kept until close; `wake` is called from another thread when a sync has ended. What was
 * repaired is told on standard error. On success *out is owned by the caller. */
df_status coord_log_open(coord_log **out, df_disk *disk, const char *folder, coord_record_job *job,
                         void (*wake)(void *user), void *user, df_error *err) DF_MUST_CHECK;
/* Waits for a sync under way. Null is allowed. */
void coord_log_close(coord_log **log);

/* All that is in it, in order, into a state machine (null: only look); before the first append. Also
 * says how the job ended (PROTO_END_NOT: it has not), and whether a generation of it has begun. */
df_status coord_log_recover(coord_log *log, proto_coord *coord, proto_end *end, bool *begun,
                            df_error *err) DF_MUST_CHECK;

/* Bytes are copied. */
void coord_log_append(coord_log *log, const proto_record *record);
/* Make durable all that was appended; one at a time. */
void coord_log_sync(coord_log *log);
/* Take the end of a sync: true once. *records: appended by this process and durable now. *ok false: it
 * failed for the reason in *err, and the process must end. */
bool coord_log_synced(coord_log *log, uint64_t *records, bool *ok, df_error *err);

/* Whether an input of so many bytes still fits. */
bool coord_log_takes_input(const coord_log *log, uint32_t size);
/* Bytes that orders may still take; 0: no other one is taken. */
uint64_t coord_log_room(const coord_log *log);

#endif
