/* The pieces of a record, shared by coord_trail.c (writing) and coord_trail_read.c. */
#ifndef COORD_TRAIL_PRIVATE_H
#define COORD_TRAIL_PRIVATE_H

#include "coordinator/coord_trail.h"

typedef struct trail_pieces {
    char folder[DF_PATH_MAX - 64];
    uint32_t count;
    uint64_t *firsts; /* ascending: the step that each begins with */
} trail_pieces;

/* The pieces that are there; DF_END: there is no folder of them. trail_pieces_fini also after a failure. */
df_status trail_pieces_list(trail_pieces *pieces, const char *state, df_error *err) DF_MUST_CHECK;
void trail_pieces_fini(trail_pieces *pieces);
void trail_piece_path(char path[DF_PATH_MAX], const trail_pieces *pieces, uint64_t first);
/* The last piece that begins at `step` or before; `count` if none does. */
uint32_t trail_pieces_find(const trail_pieces *pieces, uint64_t step);

/* What of a piece is whole. */
typedef struct trail_whole {
    uint64_t end;               /* behind its last whole line; its first step if there is none */
    uint64_t head_size;         /* bytes of its head; 0: not even that is whole */
    df_hash plan;               /* of the job that it says */
    uint64_t begin_at, end_at;  /* where the line of the step asked for begins, and the last whole line ends */
} trail_whole;

/* Read a piece to its end, to the first line that is not whole, or behind step `to`. Only a disk that cannot be read is
 * a failure. */
df_status trail_piece_read(const char *path, uint64_t first, uint64_t step, uint64_t to, trail_whole *whole,
                           df_error *err) DF_MUST_CHECK;

#endif
