/* A step of the flock by lists of neighbours.
 *
 * A bird's record is x, y, z, 1 and the velocity turned round. The bird's own record less another's, with
 * 2 in the place of the 1 and no velocity, is then what that other adds to its sums: the way from it, 1,
 * and its velocity. The sums of a row are the elements of one vector, each by itself, so they are added
 * neighbour by neighbour as the lanes of kern_boids.c add them; the distances of eight neighbours are
 * found at once. Times 1 is exact and rounds no more than adding does, and times 0 adds a zero, which
 * changes no bit of a sum that began at +0 (kern_lane.h). */
#include "kernels/kern_boids.h"
#include "kernels/kern_eight.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    BATCH = 16,       /* rows whose sums are taken before they fly; a multiple of KERN_LANES and of 8 */
    GHOSTS_AHEAD = 8, /* ghosts whose rows are fetched ahead: they lie scattered */
};
_Static_assert(BATCH % KERN_LANES == 0, "a batch is whole vectors");

typedef struct boids_record {
    float x[3], one, back[3], zero;
} boids_record;
_Static_assert(sizeof(boids_record) == KERN_RECORD_SIZE, "a record is one vector of eight floats");

/* What the rows of a batch have gathered, by member of the record; and the first rule's sums. */
typedef struct boids_felt {
    float sum[8][BATCH];
    float separate[3][BATCH];
} boids_felt;

typedef struct boids_scratch {
    boids_record *records;
    float (*shifts)[4]; /* of each record; only where some are not 0 */
} boids_scratch;

static size_t records_size(const kern_near *near)
{
    return ((size_t)near->row_count + near->ghost_count + 8) * sizeof(boids_record);
}

size_t kern_boids_near_scratch_size(const kern_near *near)
{
    return records_size(near) + (near->shifted ? records_size(near) / 2 : 0);
}

/* ---- records ---- */

static void fill_own(boids_record *to, const kern_tile *tile)
{
    for (uint32_t i = 0; i < tile->row_count; i += 8) {
        kern_eight r[8];

        for (int axis = 0; axis < 3; axis++) {
            const float *x = tile->columns[axis], *v = tile->columns[3 + axis];

            r[axis] = x == NULL ? kern_eight_set(0) : kern_eight_load(x + i);
            r[4 + axis] = v == NULL ? kern_eight_set(0) : -kern_eight_load(v + i);
        }
        r[3] = kern_eight_set(1);
        r[7] = kern_eight_set(0);
        kern_eight_transpose(r);
        for (int k = 0; k < 8; k++)
            kern_eight_store(&to[i + (uint32_t)k], r[k]);
    }
}

static void fill_ghosts(boids_record *to, const kern_tile *tile, const uint32_t *rows, uint32_t count)
{
    static const float none[1];
    const float *columns[6];
    uint32_t wide[6]; /* 1, or 0 for a column that is not there */

    for (int c = 0; c < 6; c++) {
        columns[c] = tile->columns[c] == NULL ? none : tile->columns[c];
        wide[c] = tile->columns[c] == NULL ? 0 : 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i];

        if (i + GHOSTS_AHEAD < count)
            for (int c = 0; c < 6; c++)
                __builtin_prefetch(columns[c] + rows[i + GHOSTS_AHEAD] * wide[c]);
        for (int axis = 0; axis < 3; axis++) {
            to[i].x[axis] = columns[axis][row * wide[axis]];
            to[i].back[axis] = -columns[3 + axis][row * wide[3 + axis]];
        }
        to[i].one = 1;
        to[i].zero = 0;
    }
}

static void fill_records(const boids_scratch *s, const kern_halo *halo, const kern_near *near)
{
    fill_own(s->records, &halo->tiles[KERN_HALO_SELF]);
    if (near->shifted)
        memset(s->shifts, 0, near->row_count * sizeof *s->shifts);
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++) {
        uint32_t begin = near->ghost_begin[t], end = near->ghost_begin[t + 1];

        fill_ghosts(s->records + near->row_count + begin, &halo->tiles[t], near->ghost_rows + begin,
                    end - begin);
        for (uint32_t i = begin; near->shifted && i < end; i++) {
            memcpy(s->shifts[near->row_count + i], halo->tiles[t].shift, sizeof halo->tiles[t].shift);
            s->shifts[near->row_count + i][3] = 0;
        }
    }
}

/* ---- neighbours ---- */

/* A row that looks around. */
typedef struct boids_eye {
    kern_eight self; /* its record, as the sums want it */
    kern_eight sum;
    float separate[3];
} boids_eye;

KERN_FN const void *record_at(const boids_scratch *s, uint32_t at)
{
    return (const char *)s->records + at;
}

KERN_FN const float *shift_at(const boids_scratch *s, uint32_t at)
{
    return s->shifts[at / KERN_RECORD_SIZE];
}

/* Four by four of both halves: the first three members of eight records. */
KERN_FN void transpose_three(const kern_eight r[4], kern_eight to[3])
{
    kern_eight a = __builtin_shufflevector(r[0], r[1], 0, 8, 1, 9, 4, 12, 5, 13);
    kern_eight b = __builtin_shufflevector(r[0], r[1], 2, 10, 3, 11, 6, 14, 7, 15);
    kern_eight c = __builtin_shufflevector(r[2], r[3], 0, 8, 1, 9, 4, 12, 5, 13);
    kern_eight d = __builtin_shufflevector(r[2], r[3], 2, 10, 3, 11, 6, 14, 7, 15);

    to[0] = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
    to[1] = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
    to[2] = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
}

/* The squares of the distances of eight. */
KERN_FN kern_eight eight_squares(const boids_scratch *s, const uint32_t *list, bool shifted,
                                 const kern_eight x[3])
{
    kern_eight r[4], at[3], moved[3], d[3];

    for (int k = 0; k < 4; k++)
        r[k] = kern_eight_load_halves(record_at(s, list[k]), record_at(s, list[k + 4]));
    transpose_three(r, at);
    for (int axis = 0; axis < 3; axis++)
        d[axis] = x[axis] - at[axis];
    if (shifted) {
        for (int k = 0; k < 4; k++)
            r[k] = kern_eight_load_halves(shift_at(s, list[k]), shift_at(s, list[k + 4]));
        transpose_three(r, moved);
        for (int axis = 0; axis < 3; axis++)
            d[axis] = d[axis] - moved[axis];
    }
    return kern_eight_fma(d[2], d[2], kern_eight_fma(d[1], d[1], d[0] * d[0]));
}

/* What the other at a place in a list adds to the sums. */
KERN_FN kern_eight seen_from(const boids_scratch *s, uint32_t at, bool shifted, kern_eight self)
{
    kern_eight seen = self - kern_eight_load(record_at(s, at));

    if (shifted) {
        kern_four shift;
        memcpy(&shift, shift_at(s, at), sizeof shift);
        seen = seen - __builtin_shufflevector(shift, (kern_four){ 0 }, 0, 1, 2, 3, 4, 5, 6, 7);
    }
    return seen;
}

/* Those that are too near, few, one by one: the first rule of kern_boids_pair. */
static __attribute__((noinline)) void separate(const kern_boids_params *p, const boids_scratch *s,
                                               const uint32_t *list, uint32_t bits, bool shifted,
                                               boids_eye *eye)
{
    for (; bits != 0; bits &= bits - 1) {
        kern_eight way = seen_from(s, list[__builtin_ctz(bits)], shifted, eye->self);
        float square = fmaf(way[2], way[2], fmaf(way[1], way[1], way[0] * way[0]));
        float share = sqrtf(square) / p->separation_radius;
        float room = 1 - share;
        float push = p->collision * (room * room);

        for (int axis = 0; axis < 3; axis++)
            eye->separate[axis] = fmaf(push, way[axis], eye->separate[axis]);
    }
}

/* The first `count` of eight others (more than eight are eight); shifted is a constant of each call. */
KERN_FN void look_at_eight(const kern_boids_params *p, const boids_scratch *s, const uint32_t *list,
                           uint32_t count, bool shifted, const kern_eight x[3], boids_eye *eye)
{
    static const kern_eight_bits number = { 0, 1, 2, 3, 4, 5, 6, 7 };
    kern_eight square = eight_squares(s, list, shifted, x);
    kern_eight_bits near = (square < kern_eight_set(p->radius * p->radius)) & (number < (int32_t)count);
    kern_eight weight = (kern_eight)(near & (kern_eight_bits)kern_eight_set(1));
    float close_squared = p->separation_radius * p->separation_radius;
    uint32_t close = kern_eight_mask_bits(near & (square < kern_eight_set(close_squared)));

#define ADD(k)                                                                                        \
    eye->sum = kern_eight_fma(__builtin_shufflevector(weight, weight, k, k, k, k, k, k, k, k),        \
                              seen_from(s, list[k], shifted, eye->self), eye->sum)
    ADD(0), ADD(1), ADD(2), ADD(3), ADD(4), ADD(5), ADD(6), ADD(7);
#undef ADD
    if (__builtin_expect(close != 0, 0))
        separate(p, s, list, close, shifted, eye);
}

/* The sums of eight rows from `row` on, to the places from `at` on. */
KERN_FN void feel_eight(const kern_boids_params *p, const boids_scratch *s, const kern_near *near,
                        uint32_t row, uint32_t at, bool shifted, boids_felt *felt)
{
    static const kern_eight_bits kept = { -1, -1, -1, 0, 0, 0, 0, 0 };
    static const kern_eight two = { 0, 0, 0, 2, 0, 0, 0, 0 };
    kern_eight sums[8];

    for (uint32_t i = 0; i < 8; i++) {
        boids_eye eye = { 0 };
        kern_eight x[3];

        if (row + i < near->row_count) {
            const uint32_t *list = near->list + near->first[row + i];
            const uint32_t *end = near->list + near->first[row + i + 1];
            kern_eight own = kern_eight_load(&s->records[row + i]);

            eye.self = (kern_eight)(kept & (kern_eight_bits)own) + two;
            for (int axis = 0; axis < 3; axis++)
                x[axis] = kern_eight_set(s->records[row + i].x[axis]);
            for (; list < end; list += 8)
                look_at_eight(p, s, list, (uint32_t)(end - list), shifted, x, &eye);
        }
        sums[i] = eye.sum;
        for (int axis = 0; axis < 3; axis++)
            felt->separate[axis][at + i] = eye.separate[axis];
    }
    kern_eight_transpose(sums);
    for (int k = 0; k < 8; k++)
        kern_eight_store(&felt->sum[k][at], sums[k]);
}

/* ---- rows ---- */

/* Moves KERN_LANES rows from `row` on, of which those behind the last are not written. */
static void fly(const kern_boids_params *p, const kern_tile *tile, const boids_felt *felt, uint32_t row,
                uint32_t at, float *const out[6])
{
    kern_boids_sum sum = { .count = kern_lane_load(&felt->sum[3][at]) };
    kern_real lanes[6];
    uint32_t left = tile->row_count - row;

    for (int axis = 0; axis < 3; axis++) {
        sum.away[axis] = kern_lane_load(&felt->sum[axis][at]);
        sum.velocity[axis] = kern_lane_load(&felt->sum[4 + axis][at]);
        sum.separate[axis] = kern_lane_load(&felt->separate[axis][at]);
    }
    for (int c = 0; c < 6; c++)
        lanes[c] = tile->columns[c] == NULL ? kern_lane_set(0) : kern_lane_load(tile->columns[c] + row);
    kern_boids_finish(p, &sum, lanes, lanes + 3);
    for (int c = 0; c < 6; c++)
        if (out[c] != NULL && left >= KERN_LANES)
            kern_lane_store(out[c] + row, lanes[c]);
        else if (out[c] != NULL)
            memcpy(out[c] + row, &lanes[c], left * sizeof(float));
}

void kern_boids_near(const kern_boids_params *params, const kern_halo *halo, const kern_near *near,
                     float *const out[6], void *scratch)
{
    const kern_boids_params p = *params;
    const kern_tile *tile = &halo->tiles[KERN_HALO_SELF];
    boids_scratch s = { .records = scratch };
    boids_felt felt;

    assert(tile->row_count == near->row_count);
    if (near->shifted)
        s.shifts = (float(*)[4])(void *)((char *)scratch + records_size(near));
    fill_records(&s, halo, near);
    for (uint32_t row = 0; row < near->row_count; row += BATCH) {
        for (uint32_t at = 0; at < BATCH; at += 8)
            if (near->shifted)
                feel_eight(&p, &s, near, row + at, at, true, &felt);
            else
                feel_eight(&p, &s, near, row + at, at, false, &felt);
        for (uint32_t at = 0; at < BATCH && row + at < near->row_count; at += KERN_LANES)
            fly(&p, tile, &felt, row + at, at, out);
    }
}
