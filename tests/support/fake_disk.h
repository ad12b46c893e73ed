/* A disk in memory that is no kinder than a real one (df_disk.h says what may be relied on).
 *
 * Bytes that were not synced and names whose folder was not synced vanish, stay or tear when the
 * power is lost; a sync that fails drops what it should have written although it can still be read
 * and later syncs succeed; the n-th call fails in a way that the test chooses. */
#ifndef SUPPORT_FAKE_DISK_H
#define SUPPORT_FAKE_DISK_H

#include "dataflow/df_disk.h"

#define FAKE_SECTOR 512 /* bytes that a power loss does not tear */

typedef struct fake_disk fake_disk;

typedef enum fake_fault {
    FAKE_EIO = 1, /* the call fails; of a write nothing, of a sync nothing for ever, is done */
    FAKE_FULL,    /* a call that needs room fails with DF_ELIMIT; others are not touched */
    FAKE_SHORT,   /* a write fails with its first half written; other calls as FAKE_EIO */
    FAKE_POWER,   /* the power goes during the call; every call fails until fake_disk_restart */
} fake_fault;

typedef enum fake_loss {
    FAKE_LOSE = 1, /* everything that was not synced is gone */
    FAKE_KEEP,     /* everything is there */
    FAKE_TEAR,     /* each sector, size and name by lot */
} fake_loss;

/* A test wants no answer but memory: all of these abort when there is none. */
fake_disk *fake_disk_new(void);
void fake_disk_free(fake_disk **disk);
df_disk *fake_disk_of(fake_disk *disk);

/* Calls made since the start; closing a file is none. */
uint64_t fake_disk_calls(const fake_disk *disk);
/* Let the call number `call` (from 1, since the start) fail, and with `for_good` all after it. */
void fake_disk_fail(fake_disk *disk, uint64_t call, fake_fault fault, bool for_good);
/* Lose the power now, decide what is left, and go on. Open files fail until they are closed. Locks
 * are gone; faults are forgotten; the count of calls begins anew. */
void fake_disk_restart(fake_disk *disk, fake_loss loss, uint64_t seed);

/* The bytes of a file, as a reader sees them; null: none. Valid until it changes. */
const uint8_t *fake_disk_bytes(fake_disk *disk, const char *path, uint64_t *size);
/* Flip bits of a byte everywhere that it is kept. */
void fake_disk_flip(fake_disk *disk, const char *path, uint64_t offset, uint8_t mask);
/* Remove a file without any trace that it was there. */
void fake_disk_vanish(fake_disk *disk, const char *path);
/* A copy of the disk with all that is on it, nothing dirty, no open files. */
fake_disk *fake_disk_copy(const fake_disk *disk);

#endif
