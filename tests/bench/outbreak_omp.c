/* An epidemic written by hand, for weir to be measured against: boys who fall ill in schools,
 * every boy and every hour drawn for, C17 + OpenMP in one file, no engine under it.
 *
 *   gcc -std=c17 -O3 -march=native -fopenmp outbreak_omp.c -o outbreak_omp -lm
 *   outbreak_omp --schools 1000 --steps 312 --threads 2 --seed 1978
 *
 * The result depends on the seed alone: a boy's draws are Philox4x32-10 of (seed, boy, hour / 4),
 * so the four words of a block are four hours of one boy.
 *
 * How it is fast. Schools never meet, so a thread takes a school through the whole term while its
 * boys stay in the first cache. Every four hours the boys who can still change are moved together
 * and their words drawn, eight boys at a time; the immune cost nothing from then on, and a school
 * without ill boys is done. Chances depend only on how many are ill: a table, compared with the
 * words as integers. --draw-all 1 draws for everyone at every hour, to see what that saves.
 * Needs AVX2. */
#define _GNU_SOURCE
#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BOYS = 763,
    SLOTS = (BOYS + 7) / 8 * 8 + 8, /* room for a whole vector behind the last */
    HOURS = 4,                      /* words of a block */
    DAY_HOURS = 24,
    DAYS_MAX = 366,
    ILL_FIRST = 3,
    DATA_DAYS = 14,
};

enum { SUSCEPTIBLE, ILL, IMMUNE };

/* Boys in bed on days 1 to 14: Anonymous, "Influenza in a boarding school", BMJ 1978;1:587. */
static const int IN_BED[DATA_DAYS] = { 3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4 };
static const double INFECTION = 1.8, RECOVERY = 1.0 / 2.2, DT = 1.0 / 24.0; /* per day, days */

typedef struct options {
    long schools, steps, threads, seed, draw_all;
} options;

/* A word below its limit, both signed, means that it happens: INT32_MIN is never. */
typedef struct chances {
    int32_t infection[BOYS + 1]; /* by how many are ill */
    int32_t recovery;
    _Alignas(32) uint32_t compress[256][8]; /* for each mask: its lanes, then any */
} chances;

/* The boys of one school who can still change, then boys who cannot. */
typedef struct school {
    _Alignas(32) uint32_t boy[SLOTS];
    _Alignas(32) uint32_t state[SLOTS];
    _Alignas(32) uint32_t word[HOURS][SLOTS];
} school;

static int32_t limit_of(double chance)
{
    double words = floor(chance * 0x1p32);
    return (int32_t)((words > 0x1p32 - 1.0 ? 0x1p32 - 1.0 : words) - 0x1p31);
}

static void chances_init(chances *c)
{
    for (int ill = 0; ill <= BOYS; ill++)
        c->infection[ill] = limit_of(-expm1(-INFECTION * ill / BOYS * DT));
    c->recovery = limit_of(-expm1(-RECOVERY * DT));
    memset(c->compress, 0, sizeof c->compress);
    for (unsigned mask = 0; mask < 256; mask++)
        for (unsigned lane = 0, at = 0; lane < 8; lane++)
            if (mask >> lane & 1)
                c->compress[mask][at++] = lane;
}

/* --- draws ------------------------------------------------------------------------------ */

/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) of four
 * counters (boy, 0, window, 0). A number is the low half of its 64-bit lane, what lies above is
 * ignored, as the multiplication does; so nothing needs to be packed between rounds. */
static inline void philox(__m256i c[HOURS], uint64_t seed)
{
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        __m256i p0 = _mm256_mul_epu32(m0, c[0]), p1 = _mm256_mul_epu32(m1, c[2]);
        __m256i x0 = _mm256_xor_si256(c[1], _mm256_set1_epi64x(k0));
        __m256i x2 = _mm256_xor_si256(c[3], _mm256_set1_epi64x(k1));
        c[0] = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), x0);
        c[1] = p1;
        c[2] = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), x2);
        c[3] = p0;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
}

/* Four words for each of the first `vectors` times eight boys. */
static void draw(school *s, int vectors, uint32_t window, uint64_t seed)
{
    for (int v = 0; v < vectors; v++) {
        __m256i boys = _mm256_load_si256((const void *)(s->boy + 8 * v));
        __m256i zero = _mm256_setzero_si256(), at = _mm256_set1_epi64x(window);
        __m256i even[HOURS] = { boys, zero, at, zero };
        __m256i odd[HOURS] = { _mm256_srli_epi64(boys, 32), zero, at, zero };
        philox(even, seed);
        philox(odd, seed);
        for (int h = 0; h < HOURS; h++) {
            __m256i word = _mm256_blend_epi32(even[h], _mm256_slli_epi64(odd[h], 32), 0xAA);
            _mm256_store_si256((void *)(s->word[h] + 8 * v), word);
        }
    }
}

/* --- one school ------------------------------------------------------------------------- */

static void school_init(school *s, uint32_t first_boy)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        s->boy[i] = first_boy + i;
        s->state[i] = i < ILL_FIRST ? ILL : i < BOYS ? SUSCEPTIBLE : IMMUNE;
    }
}

/* One hour of everyone, returns how many are ill after it. */
static int hour(uint32_t *restrict state, const uint32_t *restrict word, int vectors,
                int32_t infection, int32_t recovery)
{
    const __m256i never = _mm256_set1_epi32(INT32_MIN), one = _mm256_set1_epi32(1);
    __m256i limits = _mm256_insert_epi32(never, infection, SUSCEPTIBLE);
    limits = _mm256_insert_epi32(limits, recovery, ILL);
    __m256i count = _mm256_setzero_si256();
    for (int v = 0; v < vectors; v++) {
        __m256i was = _mm256_load_si256((const void *)(state + 8 * v));
        __m256i drawn = _mm256_load_si256((const void *)(word + 8 * v));
        __m256i happens = _mm256_cmpgt_epi32(_mm256_permutevar8x32_epi32(limits, was), drawn);
        __m256i now = _mm256_sub_epi32(was, happens);
        _mm256_store_si256((void *)(state + 8 * v), now);
        count = _mm256_sub_epi32(count, _mm256_cmpeq_epi32(now, one));
    }
    int lanes[8], ill = 0;
    _mm256_storeu_si256((void *)lanes, count);
    for (int k = 0; k < 8; k++)
        ill += lanes[k];
    return ill;
}

/* Moves the boys who are not immune together, returns how many vectors they fill. The lanes left
 * over in the last one get immune boys. */
static int compact(school *s, int vectors, const chances *c)
{
    int n = 0;
    for (int v = 0; v < vectors; v++) {
        __m256i boys = _mm256_load_si256((const void *)(s->boy + 8 * v));
        __m256i state = _mm256_load_si256((const void *)(s->state + 8 * v));
        __m256i can = _mm256_cmpgt_epi32(_mm256_set1_epi32(IMMUNE), state);
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(can));
        __m256i order = _mm256_load_si256((const void *)c->compress[mask]);
        _mm256_storeu_si256((void *)(s->boy + n), _mm256_permutevar8x32_epi32(boys, order));
        _mm256_storeu_si256((void *)(s->state + n), _mm256_permutevar8x32_epi32(state, order));
        n += __builtin_popcount(mask);
    }
    _mm256_storeu_si256((void *)(s->state + n), _mm256_set1_epi32(IMMUNE));
    return (n + 7) / 8;
}

/* A term of school k; ill[day] is how many are ill at its beginning. */
static void term(school *s, long k, const options *o, const chances *c, uint16_t *ill)
{
    int vectors = (BOYS + 7) / 8, now = ILL_FIRST;
    school_init(s, (uint32_t)k * BOYS);
    for (long step = 0; step < o->steps; step += HOURS) {
        if (step % DAY_HOURS == 0)
            ill[step / DAY_HOURS] = (uint16_t)now;
        if (now == 0 && !o->draw_all)
            continue;
        if (!o->draw_all)
            vectors = compact(s, vectors, c);
        draw(s, vectors, (uint32_t)(step / HOURS), (uint64_t)o->seed);
        for (int h = 0; h < HOURS && step + h < o->steps; h++)
            now = hour(s->state, s->word[h], vectors, c->infection[now], c->recovery);
    }
    if (o->steps % DAY_HOURS == 0)
        ill[o->steps / DAY_HOURS] = (uint16_t)now;
}

static void run(const options *o, const chances *c, uint16_t *ill, long days)
{
#pragma omp parallel num_threads((int)o->threads)
    {
        school s;
#pragma omp for schedule(static)
        for (long k = 0; k < o->schools; k++)
            term(&s, k, o, c, ill + k * days);
    }
}

/* --- results, main ---------------------------------------------------------------------- */

/* A line for each day on standard error; returns the root mean square distance of the mean from
 * the data. Sums of whole numbers: exact in any order. */
static double summarise(const options *o, const uint16_t *ill, long days)
{
    double squares = 0.0, n = (double)o->schools;
    for (long d = 0; d < days; d++) {
        uint64_t sum = 0, sum2 = 0, least = BOYS, most = 0;
        for (long k = 0; k < o->schools; k++) {
            uint64_t x = ill[k * days + d];
            sum += x;
            sum2 += x * x;
            least = x < least ? x : least;
            most = x > most ? x : most;
        }
        double mean = (double)sum / n, variance = (double)sum2 / n - mean * mean;
        fprintf(stderr, "day %2ld  mean %8.3f  min %3d  max %3d  variance %10.3f\n", d + 1, mean,
                (int)least, (int)most, variance);
        if (d < DATA_DAYS)
            squares += (mean - IN_BED[d]) * (mean - IN_BED[d]);
    }
    return sqrt(squares / (double)(days < DATA_DAYS ? days : DATA_DAYS));
}

static uint64_t checksum(const uint16_t *ill, long count)
{
    uint64_t h = 0xCBF29CE484222325U; /* FNV-1a */
    for (long i = 0; i < count; i++)
        h = (h ^ ill[i]) * 0x100000001B3U;
    return h;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool parse(options *o, int argc, char **argv)
{
    const struct {
        const char *name;
        long *value;
    } known[] = { { "--schools", &o->schools },
                  { "--steps", &o->steps },
                  { "--threads", &o->threads },
                  { "--seed", &o->seed },
                  { "--draw-all", &o->draw_all } };
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0, n = sizeof known / sizeof known[0];
        while (k < n && strcmp(argv[i], known[k].name) != 0)
            k++;
        if (k == n || i + 1 == argc)
            return false;
        *known[k].value = atol(argv[i + 1]);
    }
    return o->schools > 0 && o->schools < INT32_MAX / BOYS && o->steps > 0 &&
           o->steps < (DAYS_MAX - 1) * DAY_HOURS && o->threads > 0;
}

int main(int argc, char **argv)
{
    static chances c;
    options o = { .schools = 1000, .steps = 312, .threads = 1, .seed = 1978, .draw_all = 0 };
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: outbreak_omp [--schools N] [--steps HOURS] [--threads T] "
                        "[--seed K] [--draw-all 0|1]\n");
        return 2;
    }
    long days = o.steps / DAY_HOURS + 1, agents = o.schools * BOYS;
    uint16_t *ill = calloc((size_t)(o.schools * days), sizeof *ill);
    if (ill == NULL) {
        fprintf(stderr, "outbreak_omp: out of memory\n");
        return 1;
    }
    omp_set_dynamic(0);
    chances_init(&c);
    run(&o, &c, ill, days); /* warms caches, clocks and threads */
    double start = now_s();
    run(&o, &c, ill, days);
    double seconds = now_s() - start;
    double distance = summarise(&o, ill, days);
    printf("{\"program\": \"outbreak_omp\", \"agents\": %ld, \"steps\": %ld, \"threads\": %ld, "
           "\"seconds\": %.6f, \"agent_steps_per_s\": %.6g, \"rms_distance\": %.4f, "
           "\"check\": \"%016llx\"}\n",
           agents, o.steps, o.threads, seconds, (double)agents * (double)o.steps / seconds,
           distance, (unsigned long long)checksum(ill, o.schools * days));
    free(ill);
    return 0;
}
