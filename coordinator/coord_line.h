/* The progress line as text: what is measured of a run, and how it is told. No clock, no terminal:
 * the caller gives both. */
#ifndef COORD_LINE_H
#define COORD_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COORD_LINE_SAMPLES 64
#define COORD_LINE_MAX 512 /* bytes of a line */
#define COORD_LINE_NOTE 96 /* of a note in it, the final zero included */

/* Where a run was at some time. */
typedef struct coord_sample {
    double seconds;
    uint64_t step, rows; /* rows: row-steps so far; always 0: they are not known, steps are told */
} coord_sample;

/* The last samples: rates are of this window. Zeroed: empty. */
typedef struct coord_samples {
    uint32_t count; /* of all samples put, since the run went back last */
    coord_sample first, ring[COORD_LINE_SAMPLES];
} coord_samples;

typedef struct coord_line_style {
    uint32_t width; /* columns of the terminal; 0: no limit and no bar */
    bool utf8;
    const char *note; /* told instead of the time left, if there is room; "" or null: nothing */
} coord_line_style;

void coord_samples_put(coord_samples *samples, coord_sample sample);
/* "step 372/600  ▓▓▓░░  14.6 M row-steps/s  15 s left", never wider than the terminal. Returns the
 * length in bytes. */
size_t coord_line_format(char line[COORD_LINE_MAX], const coord_samples *samples, uint64_t steps,
                         coord_line_style style);
/* "600 steps in 12.6 s, 47.5 M row-steps/s"; without a rate if no row was advanced, so that there is none. */
void coord_line_closing(char *text, size_t size, uint64_t steps, double seconds, uint64_t row_steps);
/* ", no step late", ", 2 steps late"; "" if there is no pace. */
void coord_line_late(char *text, size_t size, double pace, uint64_t late_steps);
/* "14.6 M", "812 k", "31.0": three digits. */
void coord_line_count(char *text, size_t size, double value);
/* "1,000,000" */
void coord_line_grouped(char *text, size_t size, uint64_t value);

#endif
