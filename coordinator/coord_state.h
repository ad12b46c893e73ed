/* The folder in which a job's coordinator keeps what must outlive it, usually runs/NAME/state:
 *
 *   history.a history.b lock   the log (coord_log.h)
 *   store/                     snapshots (coord_commit.h)
 *   job.toml sets              the job as it was submitted: its text, its overrides, a line each
 *   inputs                     the hash of what its operators read (coord_job_inputs), if they read anything
 *   source                     the hash of the sources of the weir that ran it last (df_build_source)
 *   job.path                   the file that the text is of, to which names in it are relative, and the folder of its output
 *   record/                    the fingerprints of its steps (coord_trail.h), if the job wants them
 *   replays/                   those that are under way (coord_replay.c); they clear up after themselves
 *   endpoint                   where the coordinator listens, a line; its public key and the folder of
 *                              its keys, a line each, if who connects needs them; there while one runs
 *   nonce                      random bytes of the coordinator that runs: who reads them has this folder,
 *                              others stream their snapshots
 *   workers                    local workers, a line each (coord_children.h)
 *   worker-N.log               what they said
 *   finished                   the last step's fingerprint, before the job has ended
 *   ended                      the status that it ends with, in JSON: it means something once the log has the end
 *   rescales                   changes of workers and owners that are over (coord_rescales.h)
 *   ticket                     which job of a service this is, and which process has it (coord_ticket.h)
 *
 * Small files are written anew and renamed: a reader finds a whole one or none. */
#ifndef COORD_STATE_H
#define COORD_STATE_H

#include "coordinator/coord_keys.h"
#include "dataflow/df_disk.h"

#define COORD_STATE_FILE_MAX (2u << 20) /* bytes of a small file */
#define COORD_ADDRESS_MAX    512u       /* bytes of an address, the final zero included */

/* FOLDER/NAME. DF_ELIMIT: it is too long. */
df_status coord_state_path(char path[DF_PATH_MAX], const char *folder, const char *name, df_error *err)
    DF_MUST_CHECK;
/* Make the folder and those above it, with durable names. */
df_status coord_state_make(const char *folder, df_error *err) DF_MUST_CHECK;
/* Remove a folder, with folders in it down to `depth`; one that is not there is no failure. */
df_status coord_state_clear_folder(const char *path, int depth, df_error *err) DF_MUST_CHECK;
/* Remove what a coordinator has put there, and nothing else; the folder stays. Nobody may have it. */
df_status coord_state_clear(const char *folder, df_error *err) DF_MUST_CHECK;

df_status coord_state_write(const char *folder, const char *name, const void *bytes, size_t size,
                            df_error *err) DF_MUST_CHECK;
/* *out (freed by the caller) has a zero behind its *size bytes. DF_END: there is no such file. */
df_status coord_state_read(const char *folder, const char *name, char **out, size_t *size, df_error *err)
    DF_MUST_CHECK;
/* The same of a path. */
df_status coord_state_read_file(const char *path, char **out, size_t *size, df_error *err) DF_MUST_CHECK;
/* One that is not there is no failure. */
void coord_state_remove(const char *folder, const char *name);

typedef struct coord_endpoint {
    char address[COORD_ADDRESS_MAX];
    char key[COORD_KEY_SIZE], keys[DF_PATH_MAX]; /* "": none is needed */
} coord_endpoint;

/* Where a coordinator listens. DF_END: none does. */
df_status coord_state_endpoint(coord_endpoint *endpoint, const char *folder, df_error *err)
    DF_MUST_CHECK;
df_status coord_state_endpoint_write(const coord_endpoint *endpoint, const char *folder, df_error *err)
    DF_MUST_CHECK;

#define COORD_NONCE_TEXT 33

/* Write new random bytes; their hash is told to those who shall prove that they can read them. */
df_status coord_state_nonce_write(char hash[COORD_NONCE_TEXT], const char *folder, df_error *err)
    DF_MUST_CHECK;
/* DF_ENOTSUP: what is in this folder is not what the hash is of. */
df_status coord_state_nonce_check(const char *hash, const char *folder, df_error *err) DF_MUST_CHECK;

/* "ipc://..." of a local socket for a process's number, short enough for every system, in a folder that
 * only this user may enter: below $XDG_RUNTIME_DIR, else in /tmp/weir-UID, which is made. */
df_status coord_state_socket(char address[COORD_ADDRESS_MAX], uint64_t number, df_error *err)
    DF_MUST_CHECK;

#endif
