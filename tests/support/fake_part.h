/* A member that has nobody to send to, for a df_part. */
#ifndef FAKE_PART_H
#define FAKE_PART_H

#include "dataflow/df_part.h"

static inline void part_send(void *user, const df_parcel *parcel)
{
    (void)user;
    (void)parcel;
}

static inline void part_sent(void *user, uint32_t edge, uint64_t tick)
{
    (void)user;
    (void)edge;
    (void)tick;
}

#endif
