/* How a worker stands, and its bytes: a worker tells it when it joins and every so often ([placement]
 * sample_seconds), and about once a second with it what each of its units costs and holds. The coordinator
 * keeps the newest of each; placement and scaling decide from it, and `weir workers` shows it.
 *
 *   u16 version
 *   text host, text backend
 *   u32 threads, u32 compute capability, u32 busy, u32 load of the host
 *   u64 free memory, u64 all of it, u64 memory of the process
 *   u8 units told; if so u32 count, then each: u32 unit, u64 cost, u64 rows, u64 bytes; units ascend
 */
#ifndef COORD_LOAD_H
#define COORD_LOAD_H

#include "coordinator/proto_limits.h"
#include "dataflow/df_bytes.h"
#include "dataflow/df_limits.h"
#include "dataflow/weir/operator.h"

#define COORD_LOAD_VERSION 1u
#define COORD_LOAD_WHOLE   1000000u /* of time */

typedef struct coord_load_unit {
    uint32_t unit;
    uint64_t cost_ns;            /* of a step; 0: not measured yet */
    uint64_t rows, bytes;        /* of its states */
} coord_load_unit;

typedef struct coord_load {
    char host[WEIR_NAME_MAX], backend[WEIR_NAME_MAX]; /* printable ASCII, not empty */
    uint32_t threads;            /* at least 1 */
    uint32_t compute_capability; /* ten times its device's; 0: a processor */
    uint32_t busy;               /* of its threads' time, in COORD_LOAD_WHOLE */
    uint32_t host_load;          /* of its machine's processors' time, other programs' too */
    uint64_t free_bytes, total_bytes; /* of its machine's memory, as far as it may use it */
    uint64_t process_bytes;
    bool units_told;
    uint32_t unit_count;
    coord_load_unit *units;      /* owned; ascending: those that it owns */
} coord_load;

void coord_load_fini(coord_load *load);
void coord_load_encode(df_writer *writer, const coord_load *load);
/* Bytes from outside. On success *load is the caller's, to be finished; on failure it is empty.
 * DF_ECORRUPT: they are no such message. */
df_status coord_load_decode(coord_load *load, const uint8_t *bytes, size_t size, df_error *err)
    DF_MUST_CHECK;

#endif
