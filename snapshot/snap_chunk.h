/* A chunk: a slice of one column of one key group, as it is stored.
 *
 *   0  u32  magic "WCH1"           16  u32  bytes of the payload
 *   4  u8   codec                  20  u128 XXH3-128 of the raw bytes
 *   5  u8   type of the values     36  payload
 *   6  u8   planes as they are
 *   7  u8   zero
 *   8  u32  rows
 *  12  u32  raw bytes: rows * size of the type
 *
 * The payload is the values as they lie in memory (none), or byte-shuffled, where a value has several
 * bytes, and compressed. The lowest planes of bytes may stand before that as they are (lz4), if a sample says that they
 * do not compress. What does not get smaller is stored as it is, not shuffled. The raw hash is the chunk's
 * fingerprint: a slice whose hash is that of the last snapshot's chunk is not written again. The same
 * values, codec and version of the libraries give the same bytes. */
#ifndef SNAP_CHUNK_H
#define SNAP_CHUNK_H

#include "dataflow/weir/operator.h"
#include "snapshot/snap_hash.h"

#define SNAP_CHUNK_RAW_MAX  (1u << 20) /* bytes of a slice */
#define SNAP_CHUNK_HEAD     36
#define SNAP_CHUNK_SIZE_MAX (SNAP_CHUNK_HEAD + SNAP_CHUNK_RAW_MAX)

typedef enum snap_codec { SNAP_NONE = 0, SNAP_LZ4, SNAP_ZSTD } snap_codec;
#define SNAP_CODECS 3

const char *snap_codec_name(snap_codec codec); /* as a job file writes it */

/* What a manifest knows of a chunk, and what decoding checks. */
typedef struct snap_slice {
    weir_type type;
    uint32_t rows;
    df_hash hash; /* of the raw bytes */
} snap_slice;

/* The memory of one thread that encodes or decodes: a little more than a chunk. */
typedef struct snap_coder snap_coder;

/* Null: out of memory. */
snap_coder *snap_coder_new(void);
void snap_coder_free(snap_coder **coder);

/* The rows of a full chunk: as many values as chunk_size bytes hold. */
uint32_t snap_chunk_rows(uint32_t chunk_size, weir_type type);
/* The chunks that so many rows are cut into. */
uint32_t snap_chunk_count(uint32_t chunk_size, weir_type type, uint32_t rows);
bool snap_type_is(unsigned number);

/* The stored form of slice->rows values, at `to` [SNAP_CHUNK_SIZE_MAX]. The hash is the caller's, who has compared it
 * before; it must be that of the values. */
df_status snap_chunk_encode(snap_coder *coder, const snap_slice *slice, const void *raw,
                            snap_codec codec, uint8_t *to, size_t *size, df_error *err) DF_MUST_CHECK;
/* The values of a stored chunk into `raw` [rows * size of the type]. Stored bytes are hostile: any
 * that do not give a slice with exactly that type, rows and hash are DF_ECORRUPT, and then `raw` is
 * zero. No memory is allocated. */
df_status snap_chunk_decode(snap_coder *coder, const snap_slice *slice, const uint8_t *bytes,
                            size_t size, void *raw, df_error *err) DF_MUST_CHECK;

#endif
