/* A picture of points: where they are, how dense they lie, and the mean of a value there.
 *
 * Points are splatted with soft edges onto two planes (weight, weight * value), so that a million of
 * them give a smooth picture and a hundred give discs; brightness is the weight, hue the mean value.
 * The result depends on the points and their order only: the same rows give the same pixels.
 *
 * Life: op_plot_new once; per picture op_plot_begin, op_plot_add for every point, op_plot_finish;
 * then `pixels` holds the picture. Nothing is allocated after op_plot_new. */
#ifndef OP_PLOT_H
#define OP_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum op_plot_scale { OP_PLOT_LINEAR, OP_PLOT_SQRT, OP_PLOT_LOG } op_plot_scale;

/* What one picture shows. */
typedef struct op_plot_view {
    double x[2], y[2];     /* least and greatest in the frame; y grows upwards */
    bool equal;            /* one unit is as long in x as in y */
    bool coloured;         /* points have a value */
    double value[2];       /* at the ends of the colours; equal: found from the points */
    op_plot_scale scale;   /* from weight to brightness */
    uint64_t points;       /* how many will be added, about: sets the size of a dot */
    double dot;            /* radius in pixels; 0: from `points` */
    double smooth;         /* pixels over which the value is averaged; 0: from `points` */
    const char *title, *x_name, *y_name, *value_name; /* ASCII; borrowed until op_plot_finish */
} op_plot_view;

typedef struct op_plot {
    uint32_t width, height;
    uint8_t *pixels; /* [height][width][3], sRGB */
    /* private */
    op_plot_view view;
    uint32_t left, top, right, bottom; /* the frame: pixels [left, right) x [top, bottom) */
    double x_scale, y_scale;           /* pixels per unit */
    double dot, smooth;
    float *weight, *value, *spread[2]; /* [height][width]; value is weight * value */
    double *line;                      /* [width + height + 2]: running sums */
    uint32_t *histogram;               /* [OP_PLOT_BINS] */
} op_plot;

#define OP_PLOT_SIZE_MIN 64
#define OP_PLOT_SIZE_MAX 8192

/* Null: no memory. */
op_plot *op_plot_new(uint32_t width, uint32_t height);
void op_plot_free(op_plot **plot);
void op_plot_begin(op_plot *plot, const op_plot_view *view);
/* `strength` 1 for a usual point, less for a faint one. Points that are not finite or outside are
 * left out. */
void op_plot_add(op_plot *plot, double x, double y, double value, double strength);
void op_plot_finish(op_plot *plot);

#endif
