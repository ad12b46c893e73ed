/* Failpoints: named places where a test from outside can end, stop or fail a process.
 *
 * The environment arms them, and processes that this one starts inherit it:
 *
 *   WEIR_FAILPOINTS="part_finish=kill@3,commit_ingest=error,worker_grant=stop@2"
 *
 *   kill      SIGKILL on the N-th pass (@1 without a number)
 *   stop      SIGSTOP on the N-th pass
 *   error     the place fails with DF_EIO on the N-th pass; only places that may fail have it
 *   @N+       on the N-th pass and every later one
 *
 * Passes are counted in each process; with WEIR_FAILPOINTS_COUNTS=FILE they are counted in the file,
 * by all processes that name it together, so that "the N-th" happens once in a whole run. The file
 * holds one u64 per place, in the order of the list, in this machine's byte order. With a file and
 * nothing armed passes are only counted.
 *
 * Unarmed, a place is one branch on a bool that is set before threads start. None is on the path of a
 * task, but for sinks'. */
#ifndef DF_FAILPOINT_H
#define DF_FAILPOINT_H

#include "dataflow/df_error.h"

#include <stdbool.h>

/* X(name, whether it may fail, where it is). */
#define DF_FAILPOINTS(X)                                                                           \
    X(history_make, 1, "one copy of a new history is there, the other is not")                    \
    X(history_copy, 1, "a change of the history is durable in its first copy")                    \
    X(history_replace, 1, "one copy of a shorter history has its name, the other has not")        \
    X(log_append, 1, "before records are appended to the log")                                    \
    X(log_append_synced, 1, "records are durable and have not been told")                         \
    X(log_generation, 1, "the record of a generation is durable and has not been told")           \
    X(log_rescale, 1, "the record of a rescale's begin, turn or end is durable and has not been told")  \
    X(log_tables, 1, "the record of the tables, folded, is durable and has not been told")       \
    X(log_mark, 1, "an incarnation or a ceiling is durable and has not been told")                \
    X(state_file, 1, "a small file of the state is written and has not its name")                 \
    X(state_named, 1, "a small file of the state has its name, which is not yet durable")         \
    X(store_adopt, 1, "a new store has its head and no guard")                                    \
    X(server_listen, 1, "the state is open, nobody is listened to")                               \
    X(server_finished, 0, "the last fingerprint is kept, the job has not ended")                  \
    X(rescale_await, 0, "local workers are awaited for a rescale, which nobody else knows of")      \
    X(rescale_begun, 0, "a rescale has begun and is not yet durable")                             \
    X(rescale_moving, 0, "the coordinator has seen a rescale's wave end, another is to come")     \
    X(rescale_left, 0, "a rescale has ended, its row in the list of them is not written")         \
    X(commit_ingest, 1, "all parts are there, before the store takes them in")                    \
    X(commit_ingested, 1, "the store has taken the parts in, no manifest names them")             \
    X(store_change, 1, "before manifests and head change")                                        \
    X(store_changed, 1, "manifests and head are durable, the guard is behind")                    \
    X(commit_made, 1, "a snapshot is committed, before older ones are removed")                   \
    X(commit_retained, 0, "a snapshot is committed, nobody has been told")                        \
    X(retain_collect, 1, "manifests of old snapshots are gone, their parts are not")              \
    X(restore_begun, 1, "a return to an older snapshot is in the log, the head is where it was")  \
    X(restore_made, 1, "the head is an older snapshot, no generation has begun from it")          \
    X(commit_told, 0, "members are being told that a snapshot was committed")                     \
    X(worker_assign, 0, "a worker hears of its job")                                              \
    X(install_begin, 0, "a member begins to install a generation")                                \
    X(install_restore, 1, "a key group was restored, others are missing")                         \
    X(install_load, 1, "all is restored, nothing has started")                                    \
    X(install_ready, 0, "a generation is installed and has not been told")                        \
    X(worker_grant, 0, "a worker's bound was raised")                                             \
    X(worker_members, 0, "a worker has applied an order that a member comes or leaves")           \
    X(worker_owners, 0, "a worker has applied an order that key groups move")                     \
    X(worker_state, 0, "a piece of a key group that moves has arrived")                           \
    X(worker_marks, 0, "an edge's rows were sent, its end was not")                               \
    X(barrier, 0, "a barrier was announced")                                                      \
    X(barrier_captured, 0, "all key groups are captured")                                         \
    X(sinks_marked, 1, "sinks have said where they stand, before they are synced")                \
    X(sinks_synced, 1, "sinks are synced, before the part is written")                            \
    X(part_group, 1, "a key group was written into the part")                                     \
    X(part_finish, 1, "all is written into the part, before it is durable")                       \
    X(part_finished, 1, "the part is durable and has not been told")                              \
    X(stream_part, 1, "a worker is asked for a piece of its part")                                \
    X(stream_write, 1, "before a piece of a part that is streamed is written")                    \
    X(stream_sync, 1, "a part that is streamed is written, before it is durable")                 \
    X(stream_synced, 1, "a part that was streamed is durable and has not been told")              \
    X(stream_serve, 0, "a worker fetches a range of the snapshot that it loads")                   \
    X(stream_fetch, 0, "a worker has got a piece of the snapshot that it loads")                    \
    X(worker_prepared, 0, "before a worker says that it is prepared")                             \
    X(worker_decided, 0, "a worker has heard that its attempt was decided")                       \
    X(sink_open, 1, "a sink was opened, or gone on with")                                         \
    X(sink_append, 1, "bytes were appended to a sink's file, the step is not whole")                     \
    X(sink_sync, 1, "before a sink's file is synced")                                             \
    X(sink_replace, 1, "a sink's new file is written and has not its name")

typedef enum df_failpoint_id {
#define DF_FAILPOINT_ID(name, fails, help) DF_FAILPOINT_##name,
    DF_FAILPOINTS(DF_FAILPOINT_ID)
#undef DF_FAILPOINT_ID
    DF_FAILPOINT_COUNT
} df_failpoint_id;

typedef struct df_failpoint_info {
    const char *name, *help;
    bool fails;
} df_failpoint_info;

extern const df_failpoint_info df_failpoint_list[DF_FAILPOINT_COUNT];

/* Whether anything is armed or counted. Set by df_failpoint_start only. */
extern bool df_failpoint_armed;

/* Arm what `armed` says and count in the file `counts`; null or empty: nothing, and in the process.
 * Before any thread is started; what was armed before is forgotten. DF_EINVAL: the text is wrong. */
df_status df_failpoint_start(const char *armed, const char *counts, df_error *err) DF_MUST_CHECK;

/* How often the place was passed, by all who count together. */
uint64_t df_failpoint_passes(df_failpoint_id id);

/* What the functions below do when something is armed. */
df_status df_failpoint_hit(df_failpoint_id id, df_error *err);

/* A place that may fail: returns DF_EIO where that is armed, with a text that names the place. */
DF_MUST_CHECK static inline df_status df_failpoint(df_failpoint_id id, df_error *err)
{
    return __builtin_expect(df_failpoint_armed, false) ? df_failpoint_hit(id, err) : DF_OK;
}

/* A place that cannot fail. */
static inline void df_failpoint_pass(df_failpoint_id id)
{
    if (__builtin_expect(df_failpoint_armed, false))
        (void)df_failpoint_hit(id, NULL);
}

#endif
