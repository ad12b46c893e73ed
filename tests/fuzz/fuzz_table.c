/* The tail of a RocksDB table is bytes from outside: whatever it holds is looked at in bounded
 * time, and read nowhere beyond its ends. */
#include "snapshot/snap_table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("table", 0);
    char path[64];
    df_disk disk;
    df_status s;

    if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    df_disk_posix_init(&disk);
    s = snap_table_check(&disk, path, NULL);
    if (s != DF_OK && s != DF_ECORRUPT)
        abort();
    close(fd);
    return 0;
}
