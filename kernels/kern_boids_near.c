/* A step of the flock by lists of neighbours.
 *
 * A bird's record is x, y, z, 1 and the velocity turned round. The bird's own record less another's, with
 * 2 in the place of the 1 and no velocity, is then what that other adds to its sums: the way from it, 1,
 * and its velocity. The sums of a row are the elements of one vector, each by itself, so they are added
 * neighbour by neighbour as the lanes of kern_boids.c add them; the distances of eight neighbours are
 * found at once. Times 1 is exact and rounds no more than adding does, and times 0 adds a zero, which
 * changes no bit of a sum that began at +0 (kern_lane.h).
 *
 * So everyone in a list is added, times 1 or 0, without asking who is near. Nobody's record is so far off
 * that the square of the way to it is infinite, which is not near, and the way itself is finite. */
#include "kernels/kern_boids.h"
#include "kernels/kern_eight.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    BATCH = KERN_NEAR_BATCH, /* rows whose sums are taken before they fly */
    PAIR = KERN_NEAR_PAIR,
    EIGHT = KERN_NEAR_EIGHT,
};
_Static_assert(BATCH % KERN_LANES == 0 && BATCH % PAIR == 0, "a batch is whole vectors and pairs");

typedef struct boids_record {
    float x[3], one, back[3], zero;
} boids_record;
_Static_assert(sizeof(boids_record) == KERN_RECORD_SIZE, "a record is one vector of eight floats");

static const boids_record nobody = { .x = { 0x1p126f, 0x1p126f, 0x1p126f }, .one = 1 };

/* What the rows of a batch have gathered, by member of the record; and the first rule's sums. */
typedef struct boids_felt {
    kern_eight sum[BATCH];
    float separate[3][BATCH];
} boids_felt;

/* Eight of a list, some of them too near. */
typedef struct boids_close {
    uint32_t first;     /* in the lists */
    uint16_t row, bits; /* the row in its batch; which of the eight */
} boids_close;

/* The squares of how near others are: to be seen, and too near. */
typedef struct boids_sight {
    kern_eight near, close;
} boids_sight;

/* What kern_near says of all lists of a tile; the code is made for each. */
typedef struct boids_form {
    bool shifted, wide;
} boids_form;

typedef struct boids_scratch {
    boids_record *records;
    float (*shifts)[4]; /* of each record; only where some are not 0 */
    boids_close *close; /* who is too near the rows of a batch */
} boids_scratch;

/* Rows are filled four at a time, the last of them over what comes behind: at most nobody and two more. */
static size_t records_size(const kern_near *near)
{
    return ((size_t)near->row_count + near->ghost_count + 3) * sizeof(boids_record);
}

size_t kern_boids_near_scratch_size(const kern_near *near)
{
    return records_size(near) + (near->shifted ? records_size(near) / 2 : 0) +
           (near->batch_list_max / EIGHT + (size_t)1) * sizeof(boids_close);
}

/* ---- records ---- */

/* The records of consecutive rows; up to three more are written. */
KERN_FN void fill_rows(boids_record *to, const kern_tile *tile, uint32_t row, uint32_t count)
{
    static const float none[4];
    static const kern_eight_bits turned = { 0, 0, 0, 0, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN };

    for (uint32_t i = 0; i < count; i += 4) {
        kern_eight column[4], record[4];

        for (int axis = 0; axis < 3; axis++) {
            const float *x = tile->columns[axis], *v = tile->columns[3 + axis];

            column[axis] = kern_eight_load_halves(x == NULL ? none : x + row + i,
                                                  v == NULL ? none : v + row + i);
            column[axis] = (kern_eight)((kern_eight_bits)column[axis] ^ turned);
        }
        column[3] = (kern_eight){ 1, 1, 1, 1, 0, 0, 0, 0 };
        kern_eight_transpose_four(column, record);
        for (uint32_t k = 0; k < 4; k++)
            kern_eight_store(to + i + k, record[k]);
    }
}

/* Has the ghosts' rows fetched, which lie scattered, while the tile's own are filled. */
static void fetch_ghosts(const kern_tile *tile, const kern_near_run *runs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (int c = 0; c < 6; c++)
            if (tile->columns[c] != NULL)
                __builtin_prefetch(tile->columns[c] + runs[i].row, 0, 2);
}

/* A halo tile's ghosts; returns the end of their records. */
static uint32_t fill_ghosts(const boids_scratch *s, const kern_tile *tile, const kern_near_run *runs,
                            uint32_t count, uint32_t record)
{
    for (uint32_t i = 0; i < count; i++) {
        fill_rows(s->records + record, tile, runs[i].row, runs[i].count);
        for (uint32_t k = 0; s->shifts != NULL && k < runs[i].count; k++)
            memcpy(s->shifts[record + k], (float[4]){ tile->shift[0], tile->shift[1], tile->shift[2] },
                   sizeof *s->shifts);
        record += runs[i].count;
    }
    return record;
}

static void fill_records(const boids_scratch *s, const kern_halo *halo, const kern_near *near)
{
    uint32_t record = near->row_count;

    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        fetch_ghosts(&halo->tiles[t], near->runs + near->run_begin[t],
                     near->run_begin[t + 1] - near->run_begin[t]);
    fill_rows(s->records, &halo->tiles[KERN_HALO_SELF], 0, near->row_count);
    if (s->shifts != NULL)
        memset(s->shifts, 0, records_size(near) / 2);
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        record = fill_ghosts(s, &halo->tiles[t], near->runs + near->run_begin[t],
                             near->run_begin[t + 1] - near->run_begin[t], record);
    s->records[record] = nobody;
}

/* ---- neighbours ---- */

/* Where the record of a list's entry is, in bytes. */
KERN_FN size_t place_of(const kern_near *near, size_t entry, bool wide)
{
    return KERN_NEAR_UNIT * (size_t)(wide ? ((const uint32_t *)near->list)[entry]
                                          : ((const uint16_t *)near->list)[entry]);
}

KERN_FN kern_eight record_at(const boids_scratch *s, size_t place)
{
    return kern_eight_load((const char *)s->records + place);
}

KERN_FN const float *shift_at(const boids_scratch *s, size_t place)
{
    return s->shifts[place / KERN_RECORD_SIZE];
}

/* What others add to the sums of a row: less their shifts. */
KERN_FN kern_eight less_shift(const boids_scratch *s, size_t place, kern_eight seen)
{
    kern_four shift;

    memcpy(&shift, shift_at(s, place), sizeof shift);
    return seen - __builtin_shufflevector(shift, (kern_four){ 0 }, 0, 1, 2, 3, 4, 5, 6, 7);
}

/* The squares of the distances of eight others, four by four in both halves. */
KERN_FN kern_eight eight_squares(const boids_scratch *s, const kern_near *near, size_t first,
                                 boids_form form, const kern_eight other[8], const float own[3])
{
    kern_eight r[4], way[4], moved[4];

    for (int k = 0; k < 4; k++)
        r[k] = kern_eight_first_halves(other[k], other[k + 4]);
    kern_eight_transpose_four(r, way);
    for (int axis = 0; axis < 3; axis++)
        way[axis] = kern_eight_set(own[axis]) - way[axis];
    if (form.shifted) {
        for (uint32_t k = 0; k < 4; k++)
            r[k] = kern_eight_load_halves(shift_at(s, place_of(near, first + k, form.wide)),
                                          shift_at(s, place_of(near, first + k + 4, form.wide)));
        kern_eight_transpose_four(r, moved);
        for (int axis = 0; axis < 3; axis++)
            way[axis] = way[axis] - moved[axis];
    }
    return kern_eight_fma(way[2], way[2], kern_eight_fma(way[1], way[1], way[0] * way[0]));
}

/* A row that looks at its neighbours: its own record as it is, and as others' are taken from it. */
typedef struct boids_eye {
    const boids_record *own;
    kern_eight self, sum;
} boids_eye;

KERN_FN boids_eye open_eye(const boids_record *own)
{
    static const kern_eight_bits kept = { -1, -1, -1, 0, 0, 0, 0, 0 };
    static const kern_eight two = { 0, 0, 0, 2, 0, 0, 0, 0 };

    return (boids_eye){
        .own = own,
        .self = (kern_eight)(kept & (kern_eight_bits)kern_eight_load(own)) + two,
        .sum = kern_eight_set(0),
    };
}

/* Adds the eight others of a list from `first` on; returns which of them are too near. */
KERN_FN uint32_t look_at(boids_sight sight, const boids_scratch *s, const kern_near *near, size_t first,
                         boids_form form, boids_eye *eye)
{
    kern_eight other[8], square;
    float weight[8];

    for (uint32_t k = 0; k < 8; k++)
        other[k] = record_at(s, place_of(near, first + k, form.wide));
    square = eight_squares(s, near, first, form, other, eye->own->x);
    kern_eight_lay(weight, kern_eight_one_if_lt(square, sight.near));
    for (uint32_t k = 0; k < 8; k++) {
        kern_eight seen = eye->self - other[k];

        if (form.shifted)
            seen = less_shift(s, place_of(near, first + k, form.wide), seen);
        eye->sum = kern_eight_fma(kern_eight_set(weight[k]), seen, eye->sum);
    }
    return kern_eight_lt(square, sight.close);
}

KERN_FN boids_close *note_close(boids_close *close, uint32_t first, uint32_t row, uint32_t bits)
{
    *close = (boids_close){ .first = first, .row = (uint16_t)row, .bits = (uint16_t)bits };
    return close + (bits != 0);
}

/* The sums of a pair of rows, the first of which is `at` in its batch. Returns the end of those that
 * hold some too near. */
KERN_FN boids_close *feel_pair(boids_sight sight, const boids_scratch *s, const kern_near *near, uint32_t row,
                               uint32_t at, boids_form form, boids_close *close, kern_eight sum[PAIR])
{
    uint32_t end = near->first[row / PAIR + 1];
    boids_eye a = open_eye(&s->records[row]), b = open_eye(&s->records[row + 1]);

    for (uint32_t i = near->first[row / PAIR]; i < end; i += PAIR * EIGHT) {
        uint32_t close_a = look_at(sight, s, near, i, form, &a);
        uint32_t close_b = look_at(sight, s, near, i + (size_t)EIGHT, form, &b);

        if ((close_a | close_b) == 0)
            continue;
        close = note_close(close, i, at, close_a);
        close = note_close(close, i + EIGHT, at + 1, close_b);
    }
    sum[0] = a.sum;
    sum[1] = b.sum;
    return close;
}

/* Those that are too near, few, one by one: the first rule of kern_boids_pair. */
static void separate(const kern_boids_params *p, const boids_scratch *s, const kern_near *near,
                     uint32_t row, const boids_close *close, boids_form form, boids_felt *felt)
{
    const kern_eight self = kern_eight_load(&s->records[row + close->row]);

    for (uint32_t bits = close->bits; bits != 0; bits &= bits - 1) {
        size_t place = place_of(near, close->first + (uint32_t)__builtin_ctz(bits), form.wide);
        kern_eight way = self - record_at(s, place);
        float square, share, room, push;

        if (form.shifted)
            way = less_shift(s, place, way);
        square = fmaf(way[2], way[2], fmaf(way[1], way[1], way[0] * way[0]));
        share = sqrtf(square) / p->separation_radius;
        room = 1 - share;
        push = p->collision * (room * room);
        for (int axis = 0; axis < 3; axis++) {
            float *sum = &felt->separate[axis][close->row];
            *sum = fmaf(push, way[axis], *sum);
        }
    }
}

/* The sums of `count` rows of a batch, from `row` on. */
KERN_FN void feel_batch(const kern_boids_params *p, const boids_scratch *s, const kern_near *near,
                        uint32_t row, uint32_t count, boids_form form, boids_felt *felt)
{
    boids_sight sight = { .near = kern_eight_set(p->radius * p->radius),
                          .close = kern_eight_set(p->separation_radius * p->separation_radius) };
    boids_close *close = s->close;

    for (uint32_t i = 0; i < count; i += PAIR)
        close = feel_pair(sight, s, near, row + i, i, form, close, &felt->sum[i]);
    for (uint32_t i = count + count % PAIR; i < BATCH; i++)
        felt->sum[i] = kern_eight_set(0);
    memset(felt->separate, 0, sizeof felt->separate);
    for (const boids_close *c = s->close; c < close; c++)
        separate(p, s, near, row, c, form, felt);
}

/* ---- rows ---- */

/* Moves KERN_LANES rows from `row` on, of which those behind the last are not written. */
static void fly(const kern_boids_params *p, const kern_tile *tile, const boids_felt *felt, uint32_t row,
                uint32_t at, float *const out[6])
{
    kern_boids_sum sum;
    kern_real seen[4], velocity[4], lanes[6];
    uint32_t left = tile->row_count - row;

    kern_lane_load_fours((const float *)&felt->sum[at], 8, seen);
    kern_lane_load_fours((const float *)&felt->sum[at] + 4, 8, velocity);
    sum.count = seen[3];
    for (int axis = 0; axis < 3; axis++) {
        sum.away[axis] = seen[axis];
        sum.velocity[axis] = velocity[axis];
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

/* All rows; form is a constant of each call. */
KERN_FN void fly_all(const kern_boids_params *params, const boids_scratch *s, const kern_tile *tile,
                     const kern_near *near, boids_form form, float *const out[6])
{
    const kern_boids_params p = *params;
    boids_felt felt;

    for (uint32_t row = 0; row < near->row_count; row += BATCH) {
        uint32_t left = near->row_count - row, count = left < BATCH ? left : BATCH;

        feel_batch(&p, s, near, row, count, form, &felt);
        for (uint32_t at = 0; at < count; at += KERN_LANES)
            fly(&p, tile, &felt, row + at, at, out);
    }
}

void kern_boids_near(const kern_boids_params *p, const kern_halo *halo, const kern_near *near,
                     float *const out[6], void *scratch)
{
    const kern_tile *tile = &halo->tiles[KERN_HALO_SELF];
    char *behind = (char *)scratch + records_size(near);
    boids_scratch s = { .records = scratch };

    assert(tile->row_count == near->row_count);
    if (near->shifted) {
        s.shifts = (float(*)[4])(void *)behind;
        behind += records_size(near) / 2;
    }
    s.close = (boids_close *)(void *)behind;
    fill_records(&s, halo, near);
    if (near->shifted && near->wide)
        fly_all(p, &s, tile, near, (boids_form){ .shifted = true, .wide = true }, out);
    else if (near->shifted)
        fly_all(p, &s, tile, near, (boids_form){ .shifted = true, .wide = false }, out);
    else if (near->wide)
        fly_all(p, &s, tile, near, (boids_form){ .shifted = false, .wide = true }, out);
    else
        fly_all(p, &s, tile, near, (boids_form){ .shifted = false, .wide = false }, out);
}
