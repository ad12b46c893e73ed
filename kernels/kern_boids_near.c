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
    BATCH = KERN_NEAR_BATCH, /* rows whose sums are taken before they fly */
    HANDFUL = 4, /* others that are added without asking whether there are so many */
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
    const uint32_t *near[BATCH + 1]; /* who is near each: where their records are */
} boids_felt;

/* Eight of a list, some of them too near. */
typedef struct boids_close {
    uint32_t first;     /* in the lists */
    uint16_t row, bits; /* the row in its batch; which of the eight */
} boids_close;

typedef struct boids_scratch {
    boids_record *records;
    float (*shifts)[4]; /* of each record; only where some are not 0 */
    uint32_t *near;     /* who is near the rows of a batch */
    boids_close *close; /* and who is too near */
    uint32_t nulls;     /* where the batch's null records are: each adds 0 to its row's sums */
} boids_scratch;

/* Behind the rows and ghosts are the null records; or, when rows are filled, up to eight more. */
static size_t records_size(const kern_near *near)
{
    return ((size_t)near->row_count + near->ghost_count + BATCH) * sizeof(boids_record);
}

/* Entries for who is near a batch, when all in its lists are, with what may be written behind them. */
static size_t near_size(const kern_near *near)
{
    return (near->batch_list_max + BATCH * HANDFUL + (size_t)16) * sizeof(uint32_t);
}

static size_t close_size(const kern_near *near)
{
    return (near->batch_list_max / 8 + BATCH + (size_t)1) * sizeof(boids_close);
}

size_t kern_boids_near_scratch_size(const kern_near *near)
{
    return records_size(near) + (near->shifted ? records_size(near) / 2 : 0) + near_size(near) +
           close_size(near);
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

/* Column by column: the rows lie scattered, and a loop that does little has many of them fetched at a
 * time. */
static void fill_ghosts(boids_record *to, const kern_tile *tile, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = (boids_record){ .one = 1 };
    for (int axis = 0; axis < 3; axis++) {
        const float *x = tile->columns[axis], *v = tile->columns[3 + axis];

        for (uint32_t i = 0; x != NULL && i < count; i++)
            to[i].x[axis] = x[rows[i]];
        for (uint32_t i = 0; v != NULL && i < count; i++)
            to[i].back[axis] = -v[rows[i]];
    }
}

/* Has the ghosts' rows fetched, which lie one or two to a cache line, while the tile's own are filled. */
static void fetch_ghosts(const kern_tile *tile, const uint32_t *rows, uint32_t count)
{
    for (int c = 0; c < 6; c++)
        for (uint32_t i = 0; tile->columns[c] != NULL && i < count; i++)
            __builtin_prefetch(tile->columns[c] + rows[i], 0, 2);
}

static void fill_records(const boids_scratch *s, const kern_halo *halo, const kern_near *near)
{
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        fetch_ghosts(&halo->tiles[t], near->ghost_rows + near->ghost_begin[t],
                     near->ghost_begin[t + 1] - near->ghost_begin[t]);
    fill_own(s->records, &halo->tiles[KERN_HALO_SELF]);
    if (near->shifted)
        memset(s->shifts, 0, near->row_count * sizeof *s->shifts);
    if (near->shifted)
        memset(s->shifts + near->row_count + near->ghost_count, 0, BATCH * sizeof *s->shifts);
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

KERN_FN const void *record_at(const boids_scratch *s, uint32_t at)
{
    return (const char *)s->records + at;
}

/* What the other whose record is `at` adds to the sums of a row that is `self`. */
KERN_FN kern_eight seen_from(const boids_scratch *s, uint32_t at, bool shifted, kern_eight self)
{
    kern_eight seen = self - kern_eight_load(record_at(s, at));
    kern_four shift;

    if (shifted) {
        memcpy(&shift, s->shifts[at / KERN_RECORD_SIZE], sizeof shift);
        seen = seen - __builtin_shufflevector(shift, (kern_four){ 0 }, 0, 1, 2, 3, 4, 5, 6, 7);
    }
    return seen;
}

/* The squares of the distances of eight others, from their records' first members, four by four in both
 * halves. */
KERN_FN kern_eight eight_squares(const boids_scratch *s, const uint32_t *list, bool shifted,
                                 const kern_eight own[3])
{
    kern_eight r[4], way[3], moved[3];

    for (int k = 0; k < 4; k++)
        r[k] = kern_eight_load_halves(record_at(s, list[k]), record_at(s, list[k + 4]));
    kern_eight_transpose_three(r, way);
    for (int axis = 0; axis < 3; axis++)
        way[axis] = own[axis] - way[axis];
    if (shifted) {
        for (int k = 0; k < 4; k++)
            r[k] = kern_eight_load_halves(s->shifts[list[k] / KERN_RECORD_SIZE],
                                          s->shifts[list[k + 4] / KERN_RECORD_SIZE]);
        kern_eight_transpose_three(r, moved);
        for (int axis = 0; axis < 3; axis++)
            way[axis] = way[axis] - moved[axis];
    }
    return kern_eight_fma(way[2], way[2], kern_eight_fma(way[1], way[1], way[0] * way[0]));
}

/* Those that are too near, few, one by one: the first rule of kern_boids_pair. shifted is a constant of
 * each call. */
static void separate(const kern_boids_params *p, const boids_scratch *s, const kern_near *lists,
                     uint32_t row, const boids_close *close, bool shifted, boids_felt *felt)
{
    const uint32_t *list = lists->list + close->first;
    const kern_eight self = kern_eight_load(&s->records[row + close->row]);

    for (uint32_t bits = close->bits; bits != 0; bits &= bits - 1) {
        kern_eight way = seen_from(s, list[__builtin_ctz(bits)], shifted, self);
        float square = fmaf(way[2], way[2], fmaf(way[1], way[1], way[0] * way[0]));
        float share = sqrtf(square) / p->separation_radius;
        float room = 1 - share;
        float push = p->collision * (room * room);

        for (int axis = 0; axis < 3; axis++) {
            float *sum = &felt->separate[axis][close->row];
            *sum = fmaf(push, way[axis], *sum);
        }
    }
}

/* Writes those of a row's list that are near now to `near`, in order, and up to eight entries more;
 * returns the end. Eights that hold some too near are appended to *close. */
KERN_FN uint32_t *find_near(const kern_boids_params *p, const boids_scratch *s, const kern_near *lists,
                            uint32_t row, uint32_t i, bool shifted, boids_close **close, uint32_t *near)
{
    const uint32_t *list = lists->list;
    uint32_t at = lists->first[row + i], end = lists->first[row + i + 1];
    const boids_record *own = &s->records[row + i];
    kern_eight radius_squared = kern_eight_set(p->radius * p->radius);
    kern_eight close_squared = kern_eight_set(p->separation_radius * p->separation_radius);
    kern_eight x[3] = { kern_eight_set(own->x[0]), kern_eight_set(own->x[1]),
                        kern_eight_set(own->x[2]) };

    for (; at < end; at += 8) {
        kern_eight square = eight_squares(s, list + at, shifted, x);
        uint32_t there = end - at < 8 ? (1U << (end - at)) - 1 : 255;
        uint32_t seen = kern_eight_lt_if(there, square, radius_squared);
        uint32_t bits = kern_eight_lt_if(seen, square, close_squared);

        near = kern_eight_compress(near, seen, list + at);
        **close = (boids_close){ .first = at, .row = (uint16_t)i, .bits = (uint16_t)bits };
        *close += bits != 0;
    }
    return near;
}

/* Who is near the rows of a batch: behind each row's others, `null`s up to a multiple of HANDFUL, at
 * least one. And who is too near. */
KERN_FN void find_batch(const kern_boids_params *p, const boids_scratch *s, const kern_near *lists,
                        uint32_t row, uint32_t count, bool shifted, boids_felt *felt)
{
    uint32_t *near = s->near;
    boids_close *close = s->close;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t *end = find_near(p, s, lists, row, i, shifted, &close, near);
        uint32_t null = s->nulls + i * KERN_RECORD_SIZE;
        kern_four_bits nulls = { null, null, null, null };

        memcpy(end, &nulls, sizeof nulls);
        felt->near[i] = near;
        near += ((size_t)(end - near) / HANDFUL + 1) * HANDFUL;
    }
    felt->near[count] = near;
    for (int axis = 0; axis < 3; axis++)
        for (int i = 0; i < BATCH; i += 8)
            kern_eight_store(&felt->separate[axis][i], kern_eight_set(0));
    for (const boids_close *c = s->close; c < close; c++)
        separate(p, s, lists, row, c, shifted, felt);
}

/* A row's sums of the others that are near. */
KERN_FN kern_eight add_up(const boids_scratch *s, const uint32_t *near, const uint32_t *end, bool shifted,
                          kern_eight self)
{
    kern_eight sum = { 0 };

    do {
        for (int k = 0; k < HANDFUL; k++)
            sum += seen_from(s, near[k], shifted, self);
        near += HANDFUL;
    } while (near < end);
    return sum;
}

/* The sums of `count` rows of a batch, from `row` on. */
KERN_FN void feel_batch(const kern_boids_params *p, const boids_scratch *s, const kern_near *lists,
                        uint32_t row, uint32_t count, bool shifted, boids_felt *felt)
{
    static const kern_eight_bits kept = { -1, -1, -1, 0, 0, 0, 0, 0 };
    static const kern_eight two = { 0, 0, 0, 2, 0, 0, 0, 0 };
    kern_eight sums[BATCH];

    find_batch(p, s, lists, row, count, shifted, felt);
    for (uint32_t i = 0; i < count; i++) {
        kern_eight own = kern_eight_load(&s->records[row + i]);
        kern_eight self = (kern_eight)(kept & (kern_eight_bits)own) + two;

        kern_eight_store((char *)s->records + s->nulls + i * KERN_RECORD_SIZE, self);
        sums[i] = add_up(s, felt->near[i], felt->near[i + 1], shifted, self);
    }
    for (uint32_t i = count; i < BATCH; i++)
        sums[i] = kern_eight_set(0);
    for (int i = 0; i < BATCH; i += 8) {
        kern_eight_transpose(sums + i);
        for (int k = 0; k < 8; k++)
            kern_eight_store(&felt->sum[k][i], sums[i + k]);
    }
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
    char *behind = (char *)scratch + records_size(near);
    boids_scratch s = { .records = scratch,
                        .nulls = (near->row_count + near->ghost_count) * KERN_RECORD_SIZE };
    boids_felt felt;

    assert(tile->row_count == near->row_count);
    if (near->shifted) {
        s.shifts = (float(*)[4])(void *)behind;
        behind += records_size(near) / 2;
    }
    s.close = (boids_close *)(void *)behind;
    s.near = (uint32_t *)(void *)(behind + close_size(near));
    fill_records(&s, halo, near);
    for (uint32_t row = 0; row < near->row_count; row += BATCH) {
        uint32_t left = near->row_count - row, count = left < BATCH ? left : BATCH;

        if (near->shifted)
            feel_batch(&p, &s, near, row, count, true, &felt);
        else
            feel_batch(&p, &s, near, row, count, false, &felt);
        for (uint32_t at = 0; at < count; at += KERN_LANES)
            fly(&p, tile, &felt, row + at, at, out);
    }
}
