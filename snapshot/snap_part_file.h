/* The file of a part: it only grows, at its end, and is made durable once.
 *
 * It goes past the system's memory (O_DIRECT) where the file system can: to copy it there, to write it from there and to
 * forget it again takes four times the processor's time, and the processor is what a snapshot shares with the job. Bytes
 * are made in the buffer from which the disk takes them. While one buffer is filled, a thread of the file's own writes
 * the one before: who fills would otherwise wait for the disk at each, and then for a processor. */
#ifndef SNAP_PART_FILE_H
#define SNAP_PART_FILE_H

#include "dataflow/df_error.h"

#include <stddef.h>
#include <stdint.h>

#define SNAP_PART_ROOM_MAX (3u << 19) /* bytes that may be asked for at once */

typedef struct snap_part_file snap_part_file;

/* Begin a file, in place of one that may be there. On success *out is owned by the caller. */
df_status snap_part_file_open(snap_part_file **out, const char *path, df_error *err) DF_MUST_CHECK;
/* Close it, durable or not; it is not removed. Null is allowed. */
void snap_part_file_close(snap_part_file **file);

/* Where the next bytes of the file are to be made, SNAP_PART_ROOM_MAX at most; borrowed until snap_part_file_put. */
uint8_t *snap_part_file_room(snap_part_file *file);
/* So many bytes were made there. DF_ELIMIT: the disk is full. After a failure nothing is written any more. */
df_status snap_part_file_put(snap_part_file *file, size_t size, df_error *err) DF_MUST_CHECK;
/* Write what is left and make the bytes durable; its name is not, that is the folder's. Nothing is put after it. */
df_status snap_part_file_sync(snap_part_file *file, df_error *err) DF_MUST_CHECK;

#endif
