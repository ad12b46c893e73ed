/* A flock written by hand, for weir to be measured against: 3-D Boids with FLAME GPU 2's rules
 * and constants, C17 + OpenMP in one file, no engine under it.
 *
 *   gcc -std=c17 -O3 -march=native -fopenmp flock_omp.c -o flock_omp -lm
 *   flock_omp --agents 1000000 --neighbours 2.1 --steps 200 --threads 2 --seed 1
 *
 * How it is fast. A bird flies at most 1/100 of its sight in a step, so who might be seen is
 * found once and used for many steps: a list holds everyone within radius + skin, and is rebuilt
 * after as many steps as the fastest pair needs to cross the skin. A rebuild also sorts the birds
 * by cell, the cells in blocks, so that a list points to memory nearby. A bird is one
 * 32-byte record, and its seven sums are one vector: a neighbour costs one load and one fma
 * after its distance is known, and distances are found eight at a time.
 *
 * --skin 0 rebuilds at every step: the same program without the reuse. The result depends on
 * neither the threads nor, but for rounding, the skin. Needs AVX2 and FMA. */
#define _GNU_SOURCE
#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    GROUP = 8,       /* a list is padded to whole groups of neighbours */
    AHEAD = 16,      /* groups that records are fetched ahead: 1.7 times as fast where few */
    BATCH = 32,      /* birds whose sums are taken before they fly */
    INDEX_SHIFT = 2, /* an index in a list counts units of 8 bytes: x86 scales by 8 */
    THREADS_MAX = 256,
    CELLS_EDGE_MAX = 512, /* coarser cells are right too, only slower */
    BLOCK_X = 16,         /* cells are numbered block by block: a row of cells stays one run of */
    BLOCK_YZ = 4,         /* memory, and a block with its rim fits the first cache */
    BLOCK = BLOCK_X * BLOCK_YZ * BLOCK_YZ,
};

/* Lane 3 is 1 so that the sum of records counts them; lane 7 is 0. */
typedef struct agent {
    _Alignas(32) float x;
    float y, z, one, vx, vy, vz, zero;
} agent;
_Static_assert(sizeof(agent) == 32, "a bird is one vector of eight floats");

/* FLAME GPU 2's boids constants; lengths in its units, speeds per unit of time. */
static const float RADIUS = 0.05F, SEPARATION = 0.01F, DT = 0.0005F, SCALE = 0.15F;
static const float STEER = 0.055F, COLLISION = 10.0F, MATCH = 0.015F;
static const float SPEED_MIN = 0.5F, SPEED_MAX = 1.0F, WALL = 0.1F, WALL_STEER = 0.05F;

typedef struct options {
    long agents, steps, warmup, threads, seed;
    double neighbours, skin;
} options;

/* One thread's share of the lists: groups of GROUP indices, bird after bird. */
typedef struct share {
    _Alignas(64) uint32_t *list; /* shares lie on cache lines of their own */
    size_t used, capacity;
    uint64_t pairs;
} share;

/* Birds that lie in a row in memory: at most 9 rows of cells, each cut once by a block's edge. */
typedef struct runs {
    int count;
    uint32_t birds, begin[18], end[18];
} runs;

typedef struct flock {
    long n, steps_left; /* steps that the lists are still good for */
    int threads, cells; /* cells per edge */
    float edge, cell_inverse;
    double skin;
    uint32_t table_size;                    /* numbers of cells, + 1 */
    _Alignas(32) uint32_t compress[256][8]; /* for each mask: its lanes, then any */
    uint32_t part[3][CELLS_EDGE_MAX];       /* a cell's number is the sum of its three */
    long far;                               /* index of a record far from everything */
    agent *now, *next;                      /* [far + 1], n of them birds */
    uint32_t *id, *id_next, *cell, *groups; /* per bird */
    float *x, *y, *z;                       /* positions at the last sort, for the rebuild */
    uint32_t *start;                        /* [table_size] first bird of each cell */
    uint32_t *count;                        /* [threads][table_size] */
    share shares[THREADS_MAX];
} flock;

/* Zeroed huge pages, each first touched by the thread that will use about that part. */
static void *pages(size_t size, int threads)
{
    const size_t huge = (size_t)2 << 20;
    size_t count = (size + huge - 1) / huge;
    char *p = aligned_alloc(huge, count * huge);
    if (p == NULL) {
        fprintf(stderr, "flock_omp: out of memory\n");
        exit(1);
    }
    madvise(p, count * huge, MADV_HUGEPAGE);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t k = 0; k < count; k++)
        memset(p + k * huge, 0, huge);
    return p;
}

static long share_begin(const flock *f, int t)
{
    long i = (f->n + BATCH - 1) / BATCH * t / f->threads * BATCH;
    return i < f->n ? i : f->n;
}

/* --- sort ------------------------------------------------------------------------------- */

static inline int coordinate(const flock *f, float x)
{
    int c = (int)(x * f->cell_inverse);
    return c < f->cells ? c : f->cells - 1;
}

static void choose_cells(flock *f)
{
    int cells = (int)((double)f->edge / ((double)RADIUS + f->skin));
    cells = cells < 1 ? 1 : cells > CELLS_EDGE_MAX ? CELLS_EDGE_MAX : cells;
    f->cells = cells;
    f->cell_inverse = (float)cells / f->edge;
    uint32_t blocks_x = ((uint32_t)cells + BLOCK_X - 1) / BLOCK_X;
    uint32_t blocks_yz = ((uint32_t)cells + BLOCK_YZ - 1) / BLOCK_YZ;
    for (uint32_t c = 0; c < (uint32_t)cells; c++) {
        uint32_t big = c / BLOCK_YZ, small = c % BLOCK_YZ;
        f->part[0][c] = c / BLOCK_X * BLOCK + c % BLOCK_X;
        f->part[1][c] = big * blocks_x * BLOCK + small * BLOCK_X;
        f->part[2][c] = big * blocks_x * blocks_yz * BLOCK + small * BLOCK_X * BLOCK_YZ;
    }
    f->table_size = blocks_x * blocks_yz * blocks_yz * BLOCK + 1;
}

static uint32_t cell_at(const flock *f, float x, float y, float z)
{
    return f->part[0][coordinate(f, x)] + f->part[1][coordinate(f, y)] +
           f->part[2][coordinate(f, z)];
}

static void count_share(flock *f, int t)
{
    uint32_t *count = f->count + (size_t)t * f->table_size;
    memset(count, 0, f->table_size * sizeof *count);
    for (long i = share_begin(f, t); i < share_begin(f, t + 1); i++) {
        const agent *a = &f->now[i];
        uint32_t c = cell_at(f, a->x, a->y, a->z);
        f->cell[i] = c;
        count[c]++;
    }
}

/* Counts become the places where each thread puts its birds of each cell: by cell, then thread.
 * Two passes, so that all threads share the work. */
static void counts_to_starts(flock *f, int t, uint32_t *sums)
{
    uint32_t size = f->table_size, total = 0;
    uint32_t lo = (uint32_t)((uint64_t)size * (unsigned)t / (unsigned)f->threads);
    uint32_t hi = (uint32_t)((uint64_t)size * (unsigned)(t + 1) / (unsigned)f->threads);
    for (int u = 0; u < f->threads; u++)
        for (uint32_t c = lo; c < hi; c++)
            total += f->count[(size_t)u * size + c];
    sums[t] = total;
#pragma omp barrier
    uint32_t at = 0;
    for (int u = 0; u < t; u++)
        at += sums[u];
    for (uint32_t c = lo; c < hi; c++) {
        f->start[c] = at;
        for (int u = 0; u < f->threads; u++) {
            uint32_t *count = &f->count[(size_t)u * size + c];
            uint32_t k = *count;
            *count = at;
            at += k;
        }
    }
#pragma omp barrier
}

static void scatter_share(flock *f, int t)
{
    uint32_t *place = f->count + (size_t)t * f->table_size;
    for (long i = share_begin(f, t); i < share_begin(f, t + 1); i++) {
        uint32_t to = place[f->cell[i]]++;
        f->next[to] = f->now[i];
        f->id_next[to] = f->id[i];
        f->x[to] = f->now[i].x;
        f->y[to] = f->now[i].y;
        f->z[to] = f->now[i].z;
    }
}

/* --- rebuild ---------------------------------------------------------------------------- */

static void reserve_list(share *s, size_t count)
{
    if (s->used + count <= s->capacity)
        return;
    s->capacity = s->capacity + s->capacity / 2 + count;
    uint32_t *grown = pages(s->capacity * sizeof(uint32_t), 1);
    if (s->list != NULL)
        memcpy(grown, s->list, s->used * sizeof(uint32_t));
    free(s->list);
    s->list = grown;
}

/* Adds the run of birds between two cells of one row, if there are any. */
static void add_run(runs *r, const uint32_t *row, const uint32_t *part, int lo, int hi)
{
    uint32_t begin = row[part[lo]], end = row[part[hi] + 1];
    if (begin < end) {
        r->begin[r->count] = begin;
        r->end[r->count++] = end;
        r->birds += end - begin;
    }
}

/* The birds in the 27 cells around bird i's. */
static void find_runs(const flock *f, runs *r, long i)
{
    int c[3] = { coordinate(f, f->x[i]), coordinate(f, f->y[i]), coordinate(f, f->z[i]) };
    int lo[3], hi[3];
    for (int k = 0; k < 3; k++) {
        lo[k] = c[k] > 0 ? c[k] - 1 : 0;
        hi[k] = c[k] + 1 < f->cells ? c[k] + 1 : c[k];
    }
    int cut = hi[0] / BLOCK_X * BLOCK_X; /* a row leaves its block here */
    r->count = 0;
    r->birds = 0;
    for (int cz = lo[2]; cz <= hi[2]; cz++)
        for (int cy = lo[1]; cy <= hi[1]; cy++) {
            const uint32_t *row = f->start + f->part[1][cy] + f->part[2][cz];
            if (cut > lo[0])
                add_run(r, row, f->part[0], lo[0], cut - 1);
            add_run(r, row, f->part[0], cut > lo[0] ? cut : lo[0], hi[0]);
        }
}

/* Writes the indices of those within sqrt(limit2) of bird i to out, returns how many. May write
 * GROUP more than that. */
static size_t list_one(const flock *f, const runs *r, long i, float limit2, uint32_t *out)
{
    __m256 x = _mm256_set1_ps(f->x[i]), y = _mm256_set1_ps(f->y[i]), z = _mm256_set1_ps(f->z[i]);
    __m256 limit = _mm256_set1_ps(limit2);
    __m256i self = _mm256_set1_epi32((int)i);
    uint32_t *to = out;
    for (int run = 0; run < r->count; run++) {
        __m256i end = _mm256_set1_epi32((int)r->end[run]);
        for (uint32_t k = r->begin[run]; k < r->end[run]; k += 8) {
            __m256 dx = _mm256_sub_ps(_mm256_loadu_ps(f->x + k), x);
            __m256 dy = _mm256_sub_ps(_mm256_loadu_ps(f->y + k), y);
            __m256 dz = _mm256_sub_ps(_mm256_loadu_ps(f->z + k), z);
            __m256 d2 = _mm256_fmadd_ps(dz, dz, _mm256_fmadd_ps(dy, dy, _mm256_mul_ps(dx, dx)));
            __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            __m256i index = _mm256_add_epi32(_mm256_set1_epi32((int)k), lanes);
            __m256i other = _mm256_andnot_si256(_mm256_cmpeq_epi32(index, self),
                                                _mm256_cmpgt_epi32(end, index));
            __m256 hit = _mm256_cmp_ps(d2, limit, _CMP_LT_OQ);
            hit = _mm256_and_ps(hit, _mm256_castsi256_ps(other));
            unsigned bits = (unsigned)_mm256_movemask_ps(hit);
            __m256i order = _mm256_load_si256((const void *)f->compress[bits]);
            index = _mm256_permutevar8x32_epi32(_mm256_slli_epi32(index, INDEX_SHIFT), order);
            _mm256_storeu_si256((void *)to, index);
            to += __builtin_popcount(bits);
        }
    }
    return (size_t)(to - out);
}

static void list_share(flock *f, int t)
{
    share *s = &f->shares[t];
    float reach = RADIUS + (float)f->skin;
    uint32_t cell_end = 0;
    runs r = { 0 };
    s->used = 0;
    s->pairs = 0;
    for (long i = share_begin(f, t); i < share_begin(f, t + 1); i++) {
        if ((uint32_t)i >= cell_end) {
            cell_end = f->start[cell_at(f, f->x[i], f->y[i], f->z[i]) + 1];
            find_runs(f, &r, i);
        }
        reserve_list(s, r.birds + 2 * GROUP);
        uint32_t *out = s->list + s->used;
        size_t k = list_one(f, &r, i, reach * reach, out);
        for (size_t pad = 0; pad < GROUP; pad++)
            out[k + pad] = (uint32_t)f->far << INDEX_SHIFT;
        f->groups[i] = (uint32_t)((k + GROUP - 1) / GROUP);
        s->used += f->groups[i] * (size_t)GROUP;
        s->pairs += k;
    }
    reserve_list(s, AHEAD * GROUP);
    for (size_t k = 0; k < AHEAD * GROUP; k++)
        s->list[s->used + k] = (uint32_t)f->far << INDEX_SHIFT;
}

static void rebuild(flock *f)
{
    static uint32_t sums[THREADS_MAX];
#pragma omp parallel num_threads(f->threads)
    {
        int t = omp_get_thread_num();
        count_share(f, t);
#pragma omp barrier
        counts_to_starts(f, t, sums);
        scatter_share(f, t);
#pragma omp barrier
        list_share(f, t);
    }
    agent *a = f->now;
    f->now = f->next;
    f->next = a;
    uint32_t *id = f->id;
    f->id = f->id_next;
    f->id_next = id;
}

/* --- one step --------------------------------------------------------------------------- */

static inline const float *record(const agent *a, uint32_t index)
{
    return (const float *)(const void *)((const char *)a + (size_t)index * 8);
}

static inline __m128 low(__m256 v)
{
    return _mm256_castps256_ps128(v);
}

/* What the birds of one batch feel: the sum of the records in sight, and the push of those too
 * close. */
typedef struct feeling {
    _Alignas(32) float sum[BATCH][8];
    _Alignas(32) float push[3][BATCH];
} feeling;

/* Birds closer than SEPARATION push apart: rare, so one by one. */
static __attribute__((noinline)) void push(feeling *f, int row, const float *x, const agent *a,
                                           const uint32_t *list, unsigned hits)
{
    for (; hits != 0; hits &= hits - 1) {
        const float *other = record(a, list[__builtin_ctz(hits)]);
        float dx = x[0] - other[0], dy = x[1] - other[1], dz = x[2] - other[2];
        float near = 1.0F - sqrtf(dx * dx + dy * dy + dz * dz) * (1.0F / SEPARATION);
        float strength = COLLISION * near * near;
        f->push[0][row] += dx * strength;
        f->push[1][row] += dy * strength;
        f->push[2][row] += dz * strength;
    }
}

static inline __m256 square_differences(__m256 a, __m256 b, __m256 x)
{
    __m256 d = _mm256_sub_ps(_mm256_insertf128_ps(a, low(b), 1), x);
    return _mm256_mul_ps(d, d);
}

/* Adds the records of those of the eight that are within RADIUS to *sum, returns who is within
 * SEPARATION. */
static inline unsigned add_group(__m256 *sum, __m256 x, const agent *a, const uint32_t *list)
{
    __m256 r[GROUP];
    for (int k = 0; k < GROUP; k++)
        r[k] = _mm256_load_ps(record(a, list[k]));
    __m256 s0 = square_differences(r[0], r[4], x), s1 = square_differences(r[1], r[5], x);
    __m256 s2 = square_differences(r[2], r[6], x), s3 = square_differences(r[3], r[7], x);
    __m256 t0 = _mm256_add_ps(_mm256_unpacklo_ps(s0, s1), _mm256_unpackhi_ps(s0, s1));
    __m256 t1 = _mm256_add_ps(_mm256_unpacklo_ps(s2, s3), _mm256_unpackhi_ps(s2, s3));
    __m256 d2 = _mm256_add_ps(_mm256_shuffle_ps(t0, t1, 0x44), _mm256_shuffle_ps(t0, t1, 0xEE));
    __m256 seen = _mm256_cmp_ps(d2, _mm256_set1_ps(RADIUS * RADIUS), _CMP_LT_OQ);
    __m256 weight = _mm256_and_ps(seen, _mm256_set1_ps(1.0F));
    __m256 even = _mm256_setzero_ps(), odd = even;
    for (int k = 0; k < GROUP; k += 2) {
        even = _mm256_fmadd_ps(_mm256_permutevar8x32_ps(weight, _mm256_set1_epi32(k)), r[k], even);
        odd = _mm256_fmadd_ps(_mm256_permutevar8x32_ps(weight, _mm256_set1_epi32(k + 1)), r[k + 1],
                              odd);
    }
    *sum = _mm256_add_ps(*sum, _mm256_add_ps(even, odd));
    __m256 close = _mm256_cmp_ps(d2, _mm256_set1_ps(SEPARATION * SEPARATION), _CMP_LT_OQ);
    return (unsigned)_mm256_movemask_ps(close);
}

static const uint32_t *feel(feeling *restrict f, const agent *restrict now, long first,
                            const uint32_t *restrict groups, const uint32_t *restrict list)
{
    memset(f->push, 0, sizeof f->push);
    for (int row = 0; row < BATCH; row++) {
        const float *self = &now[first + row].x;
        __m256 x = _mm256_broadcast_ps((const __m128 *)(const void *)self);
        __m256 sum = _mm256_setzero_ps();
        for (uint32_t g = groups[first + row]; g != 0; g--, list += GROUP) {
            for (int k = 0; k < GROUP; k++)
                __builtin_prefetch(record(now, list[AHEAD * GROUP + k]));
            unsigned hits = add_group(&sum, x, now, list);
            if (hits != 0)
                push(f, row, self, now, list, hits);
        }
        _mm256_store_ps(f->sum[row], sum);
    }
    return list;
}

/* Rows of eight become columns of eight, or the other way round. */
static inline void transpose(__m256 *r)
{
    __m256 p[8], q[8];
    for (int k = 0; k < 8; k += 2) {
        p[k] = _mm256_unpacklo_ps(r[k], r[k + 1]);
        p[k + 1] = _mm256_unpackhi_ps(r[k], r[k + 1]);
    }
    for (int k = 0; k < 8; k += 4) {
        q[k] = _mm256_shuffle_ps(p[k], p[k + 2], 0x44);
        q[k + 1] = _mm256_shuffle_ps(p[k], p[k + 2], 0xEE);
        q[k + 2] = _mm256_shuffle_ps(p[k + 1], p[k + 3], 0x44);
        q[k + 3] = _mm256_shuffle_ps(p[k + 1], p[k + 3], 0xEE);
    }
    for (int k = 0; k < 4; k++) {
        r[k] = _mm256_permute2f128_ps(q[k], q[k + 4], 0x20);
        r[k + 4] = _mm256_permute2f128_ps(q[k], q[k + 4], 0x31);
    }
}

/* One axis of the change of speed that eight birds wish, where there are others in sight. */
static inline __m256 wish(__m256 x, __m256 v, __m256 sum_x, __m256 sum_v, __m256 inverse)
{
    __m256 match = _mm256_fmsub_ps(_mm256_mul_ps(sum_v, inverse), _mm256_set1_ps(MATCH), v);
    return _mm256_fmadd_ps(_mm256_fmsub_ps(sum_x, inverse, x), _mm256_set1_ps(STEER), match);
}

/* Eight birds: lanes are birds, so no lane is idle. */
static inline void fly(agent *next, const agent *now, const feeling *f, int row, float edge)
{
    __m256 a[8], s[8], one = _mm256_set1_ps(1.0F), zero = _mm256_setzero_ps(), square = zero;
    for (int k = 0; k < 8; k++) {
        a[k] = _mm256_load_ps(&now[k].x);
        s[k] = _mm256_load_ps(f->sum[row + k]);
    }
    transpose(a);
    transpose(s);
    __m256 seen = _mm256_cmp_ps(s[3], zero, _CMP_GT_OQ);
    __m256 inverse = _mm256_div_ps(one, _mm256_max_ps(s[3], one));
    for (int k = 0; k < 3; k++) {
        __m256 change = _mm256_and_ps(wish(a[k], a[k + 4], s[k], s[k + 4], inverse), seen);
        change = _mm256_add_ps(change, _mm256_load_ps(&f->push[k][row]));
        a[k + 4] = _mm256_fmadd_ps(change, _mm256_set1_ps(SCALE), a[k + 4]);
        square = _mm256_fmadd_ps(a[k + 4], a[k + 4], square);
    }
    __m256 speed = _mm256_sqrt_ps(square);
    __m256 bound = _mm256_max_ps(speed, _mm256_set1_ps(SPEED_MIN));
    bound = _mm256_min_ps(bound, _mm256_set1_ps(SPEED_MAX));
    bound = _mm256_div_ps(bound, _mm256_max_ps(speed, _mm256_set1_ps(1e-30F)));
    __m256 far = _mm256_set1_ps(edge), wall = _mm256_set1_ps(WALL);
    __m256 steer = _mm256_set1_ps(WALL_STEER);
    for (int k = 0; k < 3; k++) {
        __m256 v = _mm256_mul_ps(a[k + 4], bound);
        __m256 below = _mm256_cmp_ps(a[k], wall, _CMP_LT_OQ);
        __m256 above = _mm256_cmp_ps(_mm256_sub_ps(far, a[k]), wall, _CMP_LT_OQ);
        v = _mm256_add_ps(v, _mm256_and_ps(below, steer));
        v = _mm256_sub_ps(v, _mm256_and_ps(above, steer));
        __m256 x = _mm256_fmadd_ps(v, _mm256_set1_ps(DT), a[k]);
        a[k] = _mm256_min_ps(_mm256_max_ps(x, zero), far);
        a[k + 4] = v;
    }
    transpose(a);
    for (int k = 0; k < 8; k++)
        _mm256_store_ps(&next[k].x, a[k]);
}

/* Whole batches: those behind the last bird are lonely birds that nobody sees. */
static void step_share(const flock *f, int t)
{
    feeling felt;
    const uint32_t *list = f->shares[t].list;
    for (long i = share_begin(f, t); i < share_begin(f, t + 1); i += BATCH) {
        list = feel(&felt, f->now, i, f->groups, list);
        for (int row = 0; row < BATCH; row += 8)
            fly(f->next + i + row, f->now + i + row, &felt, row, f->edge);
    }
}

/* A pair closes by at most two top speeds a step; the wall may add to each after it is bounded. */
static long steps_in_skin(double skin)
{
    double speed = (double)SPEED_MAX + sqrt(3.0) * (double)WALL_STEER;
    return 1 + (long)(skin / (2.0 * speed * (double)DT + 2e-6));
}

static void step(flock *f)
{
    if (f->steps_left-- == 0) {
        rebuild(f);
        f->steps_left = steps_in_skin(f->skin) - 1;
    }
#pragma omp parallel num_threads(f->threads)
    step_share(f, omp_get_thread_num());
    agent *a = f->now;
    f->now = f->next;
    f->next = a;
}

/* --- set-up, check, main ---------------------------------------------------------------- */

static double uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15U); /* SplitMix64 */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static void hatch(flock *f, uint64_t seed)
{
    for (long i = 0; i < f->n; i++) {
        double edge = (double)f->edge, x = edge * uniform(&seed), y = edge * uniform(&seed);
        double z = edge * uniform(&seed), up = 2.0 * uniform(&seed) - 1.0;
        double angle = 2.0 * M_PI * uniform(&seed), side = sqrt(1.0 - up * up);
        double speed = 0.5 + 0.5 * uniform(&seed);
        f->now[i] = (agent){ (float)x,
                             (float)y,
                             (float)z,
                             1.0F,
                             (float)(speed * side * cos(angle)),
                             (float)(speed * side * sin(angle)),
                             (float)(speed * up),
                             0.0F };
        f->id[i] = (uint32_t)i;
    }
    for (long i = f->n; i < f->far; i++)
        f->now[i] = f->next[i] = (agent){ 0.0F, 0.0F, 0.0F, 1.0F, 1.0F, 0.0F, 0.0F, 0.0F };
    f->now[f->far] = f->next[f->far] = (agent){ 1e9F, 1e9F, 1e9F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F };
}

static flock *flock_new(const options *o)
{
    flock *f = pages(sizeof *f, 1);
    size_t n = (size_t)o->agents;
    f->n = o->agents;
    f->threads = (int)o->threads;
    f->skin = o->skin;
    for (unsigned mask = 0; mask < 256; mask++)
        for (unsigned lane = 0, at = 0; lane < 8; lane++)
            if (mask >> lane & 1)
                f->compress[mask][at++] = lane;
    double sight = 4.0 / 3.0 * M_PI * pow((double)RADIUS, 3);
    f->edge = (float)cbrt((double)o->agents * sight / o->neighbours);
    choose_cells(f);
    f->far = (o->agents + BATCH - 1) / BATCH * BATCH;
    f->now = pages(((size_t)f->far + 1) * sizeof(agent), f->threads);
    f->next = pages(((size_t)f->far + 1) * sizeof(agent), f->threads);
    f->id = pages(n * sizeof(uint32_t), f->threads);
    f->id_next = pages(n * sizeof(uint32_t), f->threads);
    f->cell = pages(n * sizeof(uint32_t), f->threads);
    f->groups = pages((size_t)f->far * sizeof(uint32_t), f->threads);
    f->x = pages((n + 16) * sizeof(float), f->threads); /* list_one reads 7 past the end */
    f->y = pages((n + 16) * sizeof(float), f->threads);
    f->z = pages((n + 16) * sizeof(float), f->threads);
    f->start = pages((f->table_size + 1) * sizeof(uint32_t), f->threads);
    f->count = pages((size_t)f->threads * f->table_size * sizeof(uint32_t), f->threads);
    hatch(f, (uint64_t)o->seed);
    return f;
}

static void flock_free(flock *f)
{
    void *owned[] = { f->now, f->next, f->id, f->id_next, f->cell, f->groups,
                      f->x,   f->y,    f->z,  f->start,   f->count };
    for (size_t k = 0; k < sizeof owned / sizeof owned[0]; k++)
        free(owned[k]);
    for (int t = 0; t < f->threads; t++)
        free(f->shares[t].list);
    free(f);
}

/* Neighbours are counted afresh, by lists without a skin. */
static void report(flock *f, const options *o, double seconds)
{
    uint64_t pairs = 0;
    double speed = 0.0, v[3] = { 0.0, 0.0, 0.0 };
    f->skin = 0.0;
    rebuild(f);
    for (int t = 0; t < f->threads; t++)
        pairs += f->shares[t].pairs;
    for (long i = 0; i < f->n; i++) {
        const agent *a = &f->now[i];
        double vx = (double)a->vx, vy = (double)a->vy, vz = (double)a->vz;
        speed += sqrt(vx * vx + vy * vy + vz * vz);
        v[0] += vx;
        v[1] += vy;
        v[2] += vz;
    }
    double n = (double)f->n, order = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) / speed;
    printf("{\"program\": \"flock_omp\", \"agents\": %ld, \"steps\": %ld, \"threads\": %ld, "
           "\"seconds\": %.6f, \"agent_steps_per_s\": %.6g, \"mean_neighbours\": %.4f, "
           "\"check\": {\"steps_all\": %ld, \"mean_speed\": %.6f, \"order\": %.6f}, "
           "\"skin\": %g}\n",
           o->agents, o->steps, o->threads, seconds, n * (double)o->steps / seconds,
           (double)pairs / n, o->warmup + o->steps, speed / n, order, o->skin);
}

static bool parse(options *o, int argc, char **argv)
{
    const struct {
        const char *name;
        long *whole;
        double *real;
    } known[] = { { "--agents", &o->agents, NULL }, { "--neighbours", NULL, &o->neighbours },
                  { "--steps", &o->steps, NULL },   { "--threads", &o->threads, NULL },
                  { "--seed", &o->seed, NULL },     { "--warmup", &o->warmup, NULL },
                  { "--skin", NULL, &o->skin } };
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0, n = sizeof known / sizeof known[0];
        while (k < n && strcmp(argv[i], known[k].name) != 0)
            k++;
        if (k == n || i + 1 == argc)
            return false;
        if (known[k].whole != NULL)
            *known[k].whole = atol(argv[i + 1]);
        else
            *known[k].real = atof(argv[i + 1]);
    }
    return o->agents > 0 && o->agents < INT32_MAX >> INDEX_SHIFT && o->steps > 0 &&
           o->warmup >= 0 && o->threads > 0 && o->threads <= THREADS_MAX && o->neighbours > 0.0;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    options o = { .agents = 1000000,
                  .steps = 200,
                  .warmup = 20,
                  .threads = 1,
                  .seed = 1,
                  .neighbours = 2.1,
                  .skin = -1.0 };
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: flock_omp [--agents N] [--neighbours M] [--steps S] [--threads T] "
                        "[--seed K] [--warmup W] [--skin LENGTH]\n");
        return 2;
    }
    if (o.skin < 0.0)
        o.skin = o.neighbours > 16.0 ? 0.0075 : o.neighbours > 4.0 ? 0.010 : 0.020; /* measured */
    omp_set_dynamic(0);
    flock *f = flock_new(&o);
    for (long s = 0; s < o.warmup; s++)
        step(f);
    double start = now_s();
    for (long s = 0; s < o.steps; s++)
        step(f);
    report(f, &o, now_s() - start);
    flock_free(f);
    return 0;
}
