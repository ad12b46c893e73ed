/* What a worker has counted, as tests make it up: two operators, a state and two channels, with something in most
 * numbers. */
#ifndef FAKE_COUNTS_H
#define FAKE_COUNTS_H

#include "coordinator/coord_counts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static inline void fake_counts_fill(coord_counts *c, uint64_t seed)
{
    assert_true(coord_counts_init(c, 3, 2));
    c->row_steps = seed;
    c->tasks = seed + 1;
    c->pool_bytes = seed + 2;
    c->part_bytes_raw = seed + 3;
    c->loads_failed = seed + 4;
    c->rejected[PROTO_REJECT_stale] = seed + 5;
    coord_histogram_put(&c->parts, 0.002);
    coord_histogram_put(&c->parts, 1000);
    df_spans_put(&c->group_tasks, 5000000000); /* the last bucket */
    c->operators[0] = (coord_counts_operator){ .name = "fly", .kind = "boids", .bytes_out = 24 * seed };
    df_spans_put(&c->operators[0].calls, 1024);
    df_spans_put(&c->operators[0].calls, 1025);
    df_spans_put(&c->operators[0].calls, 1500000000);
    c->operators[1] = (coord_counts_operator){ .role = COORD_COUNTS_SINK, .name = "birds",
                                               .kind = "csv", .rows_in = seed, .bytes_in = 8 * seed };
    c->operators[2] = (coord_counts_operator){ .role = COORD_COUNTS_STATE, .name = "birds",
                                               .kind = "state", .rows_out = seed };
    c->peers[0] = (coord_counts_peer){ .id = 12, .frames_sent = seed, .queued = 3, .bytes_received = 5,
                                       .bytes_moved = 7 };
    c->peers[1] = (coord_counts_peer){ .id = 11, .frames_resent = seed, .buffered = 4, .frames_received = 6 };
    df_spans_put(&c->peers[0].waits, 0);
    df_spans_put(&c->peers[1].waits, 3000);
    coord_counts_sort(c);
}

#endif
