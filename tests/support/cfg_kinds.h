/* Kinds for the tests of the job-file reader: option tables like those of the real ones, and no
 * behaviour. `probe` has an option of every type. */
#ifndef CFG_KINDS_H
#define CFG_KINDS_H

#include "dataflow/df_draft.h"

static weir_status kinds_process(weir_task *task)
{
    (void)task;
    return WEIR_OK;
}

#define KIND(symbol, text, what, inputs_, out_, struct_, table)                                    \
    static const weir_operator symbol = {                                                          \
        .api_version = WEIR_API_VERSION,                                                           \
        .name = text,                                                                              \
        .help = "for tests",                                                                       \
        .role = what,                                                                              \
        .inputs = inputs_,                                                                         \
        .outputs = { out_ },                                                                       \
        .options_size = sizeof(struct_),                                                           \
        .options = table,                                                                          \
        .process = kinds_process,                                                                  \
    }
#define IN                                                                                         \
    {                                                                                              \
        {                                                                                          \
            "in", WEIR_FORWARD, NULL                                                               \
        }                                                                                          \
    }
#define AT(struct_, field) offsetof(struct_, field)

typedef struct kinds_uniform {
    uint64_t rows;
    double speed[2];
} kinds_uniform;

static const weir_option uniform_options[] = {
    { "rows", "how many", WEIR_U64, "1", NULL, ">= 1", NULL, AT(kinds_uniform, rows) },
    { "speed", "least and most", WEIR_RANGE, "length/time", "[0.0, 1.0]", ">= 0", NULL,
      AT(kinds_uniform, speed) },
    { 0 },
};
KIND(kind_uniform, "uniform", WEIR_SOURCE, { { 0 } }, "out", kinds_uniform, uniform_options);

typedef struct kinds_boids {
    double radius, separation_radius, scale, steer, collision, match, speed[2], wall_distance,
        wall_steer;
} kinds_boids;

#define BOIDS(name, default_, range)                                                               \
    {                                                                                              \
#name, "a number", WEIR_F64, "length", default_, range, NULL, AT(kinds_boids, name)        \
    }
static const weir_option boids_options[] = {
    BOIDS(radius, NULL, "> 0"),
    BOIDS(separation_radius, NULL, "> 0"),
    BOIDS(scale, "1", NULL),
    BOIDS(steer, "0.0", NULL),
    BOIDS(collision, "0.0", NULL),
    BOIDS(match, "0.0", NULL),
    { "speed", "least and most", WEIR_RANGE, "length/time", "[0.5, 1.0]", ">= 0", NULL,
      AT(kinds_boids, speed) },
    BOIDS(wall_distance, "0", ">= 0"),
    BOIDS(wall_steer, "0", ">= 0"),
    { 0 },
};
KIND(kind_boids, "boids", WEIR_PHASE, IN, "out", kinds_boids, boids_options);

typedef struct kinds_aggregate {
    const char *by;
    weir_computes compute;
} kinds_aggregate;

static const weir_option aggregate_options[] = {
    { "by", "groups", WEIR_COLUMN, NULL, "", NULL, NULL, AT(kinds_aggregate, by) },
    { "compute", "columns", WEIR_COMPUTE, NULL, NULL, NULL, NULL, AT(kinds_aggregate, compute) },
    { 0 },
};
KIND(kind_aggregate, "aggregate", WEIR_AGGREGATE, IN, "out", kinds_aggregate, aggregate_options);

typedef struct kinds_lattice {
    uint32_t lattice, cells;
    double temperature;
} kinds_lattice;

static const weir_option lattice_options[] = {
    { "lattice", "its form", WEIR_CHOICE, NULL, "fcc", NULL, "sc|bcc|fcc",
      AT(kinds_lattice, lattice) },
    { "cells", "per edge", WEIR_U32, "1", NULL, ">= 1", NULL, AT(kinds_lattice, cells) },
    { "temperature", "of the velocities", WEIR_F64, "energy", "0", ">= 0", NULL,
      AT(kinds_lattice, temperature) },
    { 0 },
};
KIND(kind_lattice, "lattice", WEIR_SOURCE, { { 0 } }, "out", kinds_lattice, lattice_options);

typedef struct kinds_lj {
    double epsilon, sigma, cutoff;
} kinds_lj;

static const weir_option lj_options[] = {
    { "epsilon", "depth", WEIR_F64, "energy", "1", "> 0", NULL, AT(kinds_lj, epsilon) },
    { "sigma", "width", WEIR_F64, "length", "1", "> 0", NULL, AT(kinds_lj, sigma) },
    { "cutoff", "reach", WEIR_F64, "length", "2.5", "> 0", NULL, AT(kinds_lj, cutoff) },
    { 0 },
};
KIND(kind_lj, "lennard_jones", WEIR_PHASE, IN, "out", kinds_lj, lj_options);

typedef struct kinds_integrate {
    uint32_t scheme;
    double mass;
} kinds_integrate;

static const weir_option integrate_options[] = {
    { "scheme", "how", WEIR_CHOICE, NULL, "velocity_verlet", NULL, "euler|velocity_verlet",
      AT(kinds_integrate, scheme) },
    { "mass", "of a row", WEIR_F64, "mass", "1", "> 0", NULL, AT(kinds_integrate, mass) },
    { 0 },
};
KIND(kind_integrate, "integrate", WEIR_PHASE, IN, "now", kinds_integrate, integrate_options);
KIND(kind_thermo, "thermo", WEIR_AGGREGATE, IN, "out", char, NULL);

typedef struct kinds_population {
    uint32_t places, size, ill;
    const char *place;
} kinds_population;

static const weir_option population_options[] = {
    { "places", "how many", WEIR_U32, "1", NULL, ">= 1", NULL, AT(kinds_population, places) },
    { "size", "of each", WEIR_U32, "1", NULL, ">= 1", NULL, AT(kinds_population, size) },
    { "place", "column of the place", WEIR_COLUMN, NULL, NULL, NULL, NULL,
      AT(kinds_population, place) },
    { "ill", "at first", WEIR_U32, "1", "0", NULL, NULL, AT(kinds_population, ill) },
    { 0 },
};
KIND(kind_population, "population", WEIR_SOURCE, { { 0 } }, "out", kinds_population,
     population_options);

typedef struct kinds_sir {
    const char *place;
    double infection, recovery;
} kinds_sir;

static const weir_option sir_options[] = {
    { "place", "column of the place", WEIR_COLUMN, NULL, NULL, NULL, NULL, AT(kinds_sir, place) },
    { "infection", "rate", WEIR_F64, "1/time", NULL, ">= 0", NULL, AT(kinds_sir, infection) },
    { "recovery", "rate", WEIR_F64, "1/time", NULL, ">= 0", NULL, AT(kinds_sir, recovery) },
    { 0 },
};
static const weir_operator kind_sir = {
    .api_version = WEIR_API_VERSION,
    .name = "sir",
    .help = "for tests",
    .role = WEIR_PHASE,
    .inputs = { { "agents", WEIR_FORWARD, NULL }, { "places", WEIR_LOOKUP, NULL } },
    .outputs = { "out" },
    .options_size = sizeof(kinds_sir),
    .options = sir_options,
    .process = kinds_process,
};

typedef struct kinds_compare {
    const char *file, *on, *column;
} kinds_compare;

static const weir_option compare_options[] = {
    { "file", "the data", WEIR_FILE_IN, NULL, NULL, NULL, NULL, AT(kinds_compare, file) },
    { "on", "joined by", WEIR_COLUMN, NULL, "time", NULL, NULL, AT(kinds_compare, on) },
    { "column", "compared", WEIR_COLUMN, NULL, NULL, NULL, NULL, AT(kinds_compare, column) },
    { 0 },
};
KIND(kind_compare, "compare", WEIR_PHASE, IN, "out", kinds_compare, compare_options);

typedef struct kinds_sink {
    const char *file, *colour;
    weir_names columns;
    uint32_t width;
} kinds_sink;

static const weir_option file_options[] = {
    { "file", "where to", WEIR_FILE_OUT, NULL, NULL, NULL, NULL, AT(kinds_sink, file) },
    { "columns", "which; all if absent", WEIR_COLUMNS, NULL, "", NULL, NULL,
      AT(kinds_sink, columns) },
    { 0 },
};
static const weir_option png_options[] = {
    { "file", "where to", WEIR_FILE_OUT, NULL, NULL, NULL, NULL, AT(kinds_sink, file) },
    { "plot", "two columns", WEIR_COLUMNS, NULL, NULL, NULL, NULL, AT(kinds_sink, columns) },
    { "colour", "a third", WEIR_COLUMN, NULL, "", NULL, NULL, AT(kinds_sink, colour) },
    { "width", "of the picture", WEIR_U32, "pixels", "1200", "16..16384", NULL,
      AT(kinds_sink, width) },
    { 0 },
};
KIND(kind_csv, "csv", WEIR_SINK, IN, NULL, kinds_sink, file_options);
KIND(kind_hdf5, "hdf5", WEIR_SINK, IN, NULL, kinds_sink, file_options);
KIND(kind_png, "png", WEIR_SINK, IN, NULL, kinds_sink, png_options);
KIND(kind_print, "print", WEIR_SINK, IN, NULL, char, NULL);
KIND(kind_csv_source, "csv", WEIR_SOURCE, { { 0 } }, "out", kinds_compare, compare_options);

typedef struct kinds_probe {
    double number, small;
    float single;
    int32_t whole;
    int64_t wide;
    uint32_t count;
    uint64_t key;
    uint8_t byte;
    bool flag;
    uint32_t choice;
    double range[2];
    const char *text, *column;
    weir_names columns;
    weir_computes set;
} kinds_probe;

#define PROBE(name, type, default_, range, choices)                                                \
    {                                                                                              \
#name, "a probe", type, NULL, default_, range, choices, AT(kinds_probe, name)              \
    }
static const weir_option probe_options[] = {
    PROBE(number, WEIR_F64, "0.5", NULL, NULL),
    PROBE(small, WEIR_F64, "0.5", "0..1", NULL),
    PROBE(single, WEIR_F32, "0.25", NULL, NULL),
    PROBE(whole, WEIR_I32, "-7", NULL, NULL),
    PROBE(wide, WEIR_I64, "-9007199254740993", NULL, NULL),
    PROBE(count, WEIR_U32, "3", ">= 1, < 100", NULL),
    PROBE(key, WEIR_U64, "18446744073709551615", NULL, NULL),
    PROBE(byte, WEIR_U8, "255", NULL, NULL),
    PROBE(flag, WEIR_BOOL, "true", NULL, NULL),
    PROBE(choice, WEIR_CHOICE, "two", NULL, "one|two|three"),
    PROBE(range, WEIR_RANGE, "[-1, 1]", NULL, NULL),
    PROBE(text, WEIR_TEXT, "a default", NULL, NULL),
    PROBE(column, WEIR_COLUMN, "", NULL, NULL),
    PROBE(columns, WEIR_COLUMNS, "[\"x\", \"y\"]", NULL, NULL),
    PROBE(set, WEIR_COMPUTE, "", NULL, NULL),
    { 0 },
};
KIND(kind_probe, "probe", WEIR_PHASE, IN, "out", kinds_probe, probe_options);

static const weir_operator *const kinds_list[] = {
    &kind_uniform, &kind_boids,     &kind_aggregate,  &kind_lattice,
    &kind_lj,      &kind_integrate, &kind_thermo,     &kind_population,
    &kind_sir,     &kind_compare,   &kind_csv_source, &kind_csv,
    &kind_hdf5,    &kind_png,       &kind_print,      &kind_probe,
};
static const df_kinds test_kinds = { sizeof kinds_list / sizeof *kinds_list, kinds_list };

#undef KIND
#undef IN
#undef AT
#undef BOIDS
#undef PROBE
#endif
