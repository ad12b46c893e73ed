/* From points to pixels.
 *
 * Every sum is made in the order of the points or of the pixels, by one thread, and nothing but
 * + - * / and sqrt is used (and kern_log), so a picture has the same bytes everywhere. Colours are
 * mixed in squared sRGB values, near enough to linear light, so that overlapping dots glow instead
 * of turning grey. */
#include "operators/op_plot.h"
#include "operators/op_font.h"
#include "operators/op_number.h"
#include "kernels/kern_math.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PLOT_BINS 65536u     /* of the upper half of a float's bits: steps of 1/128 */
#define PLOT_BRIGHT 0.995    /* this share of the pixels that hold points is below full brightness */
#define PLOT_VALUE_CUT 0.02  /* of the values at each end share the last colour */
#define PLOT_FAINT 0.05f     /* below this part of full weight a pixel does not count as a value */
#define PLOT_DENSE 0.1       /* points per pixel from which values are averaged over neighbours */
#define PLOT_COLOURS 9
#define PLOT_TICKS_MAX 16 /* more than fit a range at any step */

typedef struct plot_rgb {
    float r, g, b; /* sRGB, 0..1 */
} plot_rgb;

static const plot_rgb plot_background = { 0.016f, 0.020f, 0.038f };
static const plot_rgb plot_ink = { 0.62f, 0.66f, 0.74f };

/* Our own palettes, chosen in OKLCH so that equal steps look equal: `density` rises evenly in
 * lightness from indigo to cream; `value` goes from blue by way of near-white to red, with a middle
 * that is only a little lighter than its ends, because there the lightness tells the density. */
static const plot_rgb plot_density[PLOT_COLOURS] = {
    { 0.082f, 0.024f, 0.251f }, { 0.216f, 0.071f, 0.486f }, { 0.435f, 0.118f, 0.608f },
    { 0.722f, 0.161f, 0.537f }, { 0.910f, 0.302f, 0.400f }, { 1.000f, 0.514f, 0.275f },
    { 1.000f, 0.741f, 0.349f }, { 0.988f, 0.878f, 0.463f }, { 0.988f, 0.976f, 0.761f },
};
static const plot_rgb plot_value[PLOT_COLOURS] = {
    { 0.285f, 0.425f, 0.936f }, { 0.203f, 0.589f, 0.938f }, { 0.178f, 0.734f, 0.910f },
    { 0.423f, 0.843f, 0.890f }, { 0.763f, 0.907f, 0.874f }, { 0.938f, 0.801f, 0.514f },
    { 0.987f, 0.644f, 0.262f }, { 0.978f, 0.460f, 0.186f }, { 0.916f, 0.235f, 0.247f },
};

/* ---- life ---- */

op_plot *op_plot_new(uint32_t width, uint32_t height)
{
    size_t pixels = (size_t)width * height;
    op_plot *plot = calloc(1, sizeof(*plot));

    assert(width >= OP_PLOT_SIZE_MIN && width <= OP_PLOT_SIZE_MAX);
    assert(height >= OP_PLOT_SIZE_MIN && height <= OP_PLOT_SIZE_MAX);
    if (plot == NULL)
        return NULL;
    plot->width = width;
    plot->height = height;
    plot->pixels = malloc(pixels * 3);
    plot->weight = malloc(pixels * sizeof(float));
    plot->value = malloc(pixels * sizeof(float));
    plot->spread[0] = malloc(pixels * sizeof(float));
    plot->spread[1] = malloc(pixels * sizeof(float));
    plot->line = malloc(((size_t)width + height + 2) * sizeof(double));
    plot->histogram = malloc(PLOT_BINS * sizeof(uint32_t));
    if (plot->pixels == NULL || plot->weight == NULL || plot->value == NULL ||
        plot->spread[0] == NULL || plot->spread[1] == NULL || plot->line == NULL ||
        plot->histogram == NULL)
        op_plot_free(&plot);
    return plot;
}

void op_plot_free(op_plot **plot)
{
    op_plot *p = *plot;

    if (p == NULL)
        return;
    free(p->pixels);
    free(p->weight);
    free(p->value);
    free(p->spread[0]);
    free(p->spread[1]);
    free(p->line);
    free(p->histogram);
    free(p);
    *plot = NULL;
}

/* ---- the frame ---- */

static uint32_t plot_text_scale(const op_plot *plot)
{
    uint32_t least = plot->width < plot->height ? plot->width : plot->height;

    return least < 1200 ? 1 : least / 600;
}

/* A range of some width around what was asked for. */
static void plot_widen(double range[2])
{
    double room = fabs(range[0]) * 0.01 > 0.5 ? fabs(range[0]) * 0.01 : 0.5;

    if (range[1] > range[0])
        return;
    range[0] -= room;
    range[1] += room;
}

/* Where the frame lies: room for labels, then as large as fits. */
static void plot_lay_out(op_plot *plot)
{
    uint32_t t = plot_text_scale(plot);
    uint32_t beside = 7 * OP_FONT_ADVANCE * t, above = 2 * OP_FONT_HEIGHT * t;
    double wide = (double)(plot->width - beside - above / 2);
    double high = (double)(plot->height - 2 * above);
    const op_plot_view *v = &plot->view;

    plot->x_scale = wide / (v->x[1] - v->x[0]);
    plot->y_scale = high / (v->y[1] - v->y[0]);
    if (v->equal) {
        double least = plot->x_scale < plot->y_scale ? plot->x_scale : plot->y_scale;
        plot->x_scale = plot->y_scale = least;
    }
    uint32_t columns = (uint32_t)((v->x[1] - v->x[0]) * plot->x_scale + 0.5);
    uint32_t rows = (uint32_t)((v->y[1] - v->y[0]) * plot->y_scale + 0.5);
    columns = columns < 1 ? 1 : columns;
    rows = rows < 1 ? 1 : rows;
    plot->left = beside + ((uint32_t)wide - columns) / 2;
    plot->right = plot->left + columns;
    plot->top = above + ((uint32_t)high - rows) / 2;
    plot->bottom = plot->top + rows;
    assert(plot->right <= plot->width && plot->bottom <= plot->height);
}

/* Dots as large as their distance allows, from a sharp point to a disc. */
static void plot_choose_dot(op_plot *plot)
{
    const op_plot_view *v = &plot->view;
    double columns = plot->right - plot->left, rows = plot->bottom - plot->top;
    double points = v->points < 1 ? 1 : (double)v->points;
    double distance = sqrt(columns * rows / points), t = plot_text_scale(plot);
    double dot = 0.55 * distance;

    dot = dot < 1.5 ? 1.5 : dot > 3 * t ? 3 * t : dot;
    plot->dot = v->dot > 0 ? v->dot : dot;
    plot->smooth = v->smooth > 0 ? v->smooth : points > PLOT_DENSE * columns * rows ? 5 * t : 0;
}

void op_plot_begin(op_plot *plot, const op_plot_view *view)
{
    size_t size = (size_t)plot->width * plot->height * sizeof(float);

    plot->view = *view;
    plot_widen(plot->view.x);
    plot_widen(plot->view.y);
    plot_lay_out(plot);
    plot_choose_dot(plot);
    memset(plot->weight, 0, size);
    memset(plot->value, 0, size);
}

/* ---- points ---- */

static void plot_splat_row(float *restrict weight, float *restrict value, int first, int last,
                           float centre, float off2, float dot2, float v, float strength)
{
    for (int x = first; x < last; x++) {
        float dx = (float)x + 0.5f - centre;
        float near = 1 - (dx * dx + off2) / dot2;
        float w = near > 0 ? near * near * strength : 0;
        weight[x] += w;
        value[x] += w * v;
    }
}

static int plot_clamp(double x, uint32_t low, uint32_t high)
{
    return (int)(x < (double)low ? (double)low : x > (double)high ? (double)high : x);
}

void op_plot_add(op_plot *plot, double x, double y, double value, double strength)
{
    double px = (double)plot->left + (x - plot->view.x[0]) * plot->x_scale;
    double py = (double)plot->bottom - (y - plot->view.y[0]) * plot->y_scale;
    float dot2 = (float)(plot->dot * plot->dot);
    int first_x, last_x, first_y, last_y;

    if (!isfinite(px) || !isfinite(py) || !isfinite(value) || !isfinite(strength))
        return;
    first_x = plot_clamp(px - plot->dot, plot->left, plot->right);
    last_x = plot_clamp(px + plot->dot + 1, plot->left, plot->right);
    first_y = plot_clamp(py - plot->dot, plot->top, plot->bottom);
    last_y = plot_clamp(py + plot->dot + 1, plot->top, plot->bottom);
    for (int row = first_y; row < last_y; row++) {
        float dy = (float)((double)row + 0.5 - py);
        size_t at = (size_t)row * plot->width;
        plot_splat_row(plot->weight + at, plot->value + at, first_x, last_x, (float)px, dy * dy,
                       dot2, (float)value, (float)strength);
    }
}

/* ---- quantiles ---- */

/* Floats in ascending order as integers. */
static uint32_t plot_bin(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return bits >> 16;
}

static float plot_bin_start(uint32_t bin)
{
    uint32_t bits = bin << 16;
    float value;

    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The value below which `share` of those in the histogram lie; 0 if there is none. */
static float plot_quantile(const uint32_t *histogram, double share)
{
    uint64_t total = 0, below = 0;
    uint32_t bin = 0;

    for (uint32_t i = 0; i < PLOT_BINS; i++)
        total += histogram[i];
    if (total == 0)
        return 0;
    for (; bin + 1 < PLOT_BINS; bin++) {
        below += histogram[bin];
        if ((double)below >= share * (double)total && below > 0)
            break;
    }
    return plot_bin_start(bin);
}

/* The weight of full brightness. */
static float plot_full_weight(op_plot *plot)
{
    memset(plot->histogram, 0, PLOT_BINS * sizeof(uint32_t));
    for (uint32_t y = plot->top; y < plot->bottom; y++)
        for (uint32_t x = plot->left; x < plot->right; x++) {
            float w = plot->weight[(size_t)y * plot->width + x];
            if (w > 0)
                plot->histogram[plot_bin(w)]++;
        }
    return plot_quantile(plot->histogram, PLOT_BRIGHT);
}

/* ---- the mean value ---- */

/* out[i] = sum of in[i - r .. i + r] along a line of `count` values `stride` apart; ends cut off. */
static void plot_box(const float *in, float *out, size_t stride, uint32_t count, uint32_t r,
                     double *sums)
{
    sums[0] = 0;
    for (uint32_t i = 0; i < count; i++)
        sums[i + 1] = sums[i] + (double)in[i * stride];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = i < r ? 0 : i - r, high = i + r + 1 > count ? count : i + r + 1;
        out[i * stride] = (float)(sums[high] - sums[low]);
    }
}

/* Two boxes in each direction: nearly a cone. */
static void plot_blur(op_plot *plot, float *plane, uint32_t r)
{
    uint32_t columns = plot->right - plot->left, rows = plot->bottom - plot->top;

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t y = plot->top; y < plot->bottom; y++) {
            float *line = plane + (size_t)y * plot->width + plot->left;
            plot_box(line, line, 1, columns, r, plot->line);
        }
        for (uint32_t x = plot->left; x < plot->right; x++) {
            float *line = plane + (size_t)plot->top * plot->width + x;
            plot_box(line, line, plot->width, rows, r, plot->line);
        }
    }
}

/* spread[1] becomes the mean value around each pixel. */
static void plot_mean(op_plot *plot)
{
    size_t pixels = (size_t)plot->width * plot->height;
    uint32_t r = (uint32_t)(plot->smooth + 0.5);

    memcpy(plot->spread[0], plot->weight, pixels * sizeof(float));
    memcpy(plot->spread[1], plot->value, pixels * sizeof(float));
    if (r > 0) {
        plot_blur(plot, plot->spread[0], r);
        plot_blur(plot, plot->spread[1], r);
    }
    for (size_t i = 0; i < pixels; i++)
        plot->spread[1][i] = plot->spread[0][i] > 0 ? plot->spread[1][i] / plot->spread[0][i] : 0;
}

/* The values at the ends of the colours, where the view leaves them open. */
static void plot_find_values(op_plot *plot, float full)
{
    double *range = plot->view.value;

    if (range[0] < range[1])
        return;
    memset(plot->histogram, 0, PLOT_BINS * sizeof(uint32_t));
    for (uint32_t y = plot->top; y < plot->bottom; y++)
        for (uint32_t x = plot->left; x < plot->right; x++) {
            size_t i = (size_t)y * plot->width + x;
            if (plot->weight[i] > PLOT_FAINT * full)
                plot->histogram[plot_bin(plot->spread[1][i])]++;
        }
    range[0] = (double)plot_quantile(plot->histogram, PLOT_VALUE_CUT);
    range[1] = (double)plot_quantile(plot->histogram, 1 - PLOT_VALUE_CUT);
    plot_widen(range);
}

/* ---- colours ---- */

static plot_rgb plot_palette(const plot_rgb *palette, float t)
{
    float at = (t > 0 ? t < 1 ? t : 1 : 0) * (PLOT_COLOURS - 1);
    int i = at < PLOT_COLOURS - 2 ? (int)at : PLOT_COLOURS - 2;
    float f = at - (float)i;
    plot_rgb a = palette[i], b = palette[i + 1];

    return (plot_rgb){ a.r + f * (b.r - a.r), a.g + f * (b.g - a.g), a.b + f * (b.b - a.b) };
}

static float plot_mix_one(float under, float over, float alpha)
{
    return sqrtf(under * under + alpha * (over * over - under * under));
}

static uint8_t plot_byte(float x)
{
    return (uint8_t)(x * 255 + 0.5f);
}

/* Draw a colour over a pixel. */
static void plot_paint(op_plot *plot, uint32_t x, uint32_t y, plot_rgb colour, float alpha)
{
    uint8_t *p = plot->pixels + ((size_t)y * plot->width + x) * 3;

    if (x >= plot->width || y >= plot->height)
        return;
    p[0] = plot_byte(plot_mix_one((float)p[0] / 255, colour.r, alpha));
    p[1] = plot_byte(plot_mix_one((float)p[1] / 255, colour.g, alpha));
    p[2] = plot_byte(plot_mix_one((float)p[2] / 255, colour.b, alpha));
}

static float plot_brightness(const op_plot *plot, float share)
{
    if (!(share < 1))
        return 1;
    if (plot->view.scale == OP_PLOT_LOG)
        return (float)(kern_log(1 + 99 * (double)share) / kern_log(100));
    return plot->view.scale == OP_PLOT_SQRT ? sqrtf(share) : share;
}

static void plot_shade(op_plot *plot, float full)
{
    const double *range = plot->view.value;

    for (uint32_t y = plot->top; y < plot->bottom; y++)
        for (uint32_t x = plot->left; x < plot->right; x++) {
            size_t i = (size_t)y * plot->width + x;
            if (!(plot->weight[i] > 0))
                continue;
            float b = plot_brightness(plot, plot->weight[i] / full);
            float t = b;
            if (plot->view.coloured)
                t = (float)(((double)plot->spread[1][i] - range[0]) / (range[1] - range[0]));
            plot_paint(plot, x, y, plot_palette(plot->view.coloured ? plot_value : plot_density, t),
                       plot->view.coloured ? b : b * 8 < 1 ? b * 8 : 1);
        }
}

static void plot_clear(op_plot *plot)
{
    uint8_t rgb[3] = { plot_byte(plot_background.r), plot_byte(plot_background.g),
                       plot_byte(plot_background.b) };

    for (size_t i = 0; i < (size_t)plot->width * plot->height; i++)
        memcpy(plot->pixels + 3 * i, rgb, 3);
}

/* ---- labels ---- */

static uint32_t plot_text_width(const op_plot *plot, const char *text)
{
    return (uint32_t)strlen(text) * OP_FONT_ADVANCE * plot_text_scale(plot);
}

/* (x, y) is the upper left corner. */
static void plot_text(op_plot *plot, uint32_t x, uint32_t y, const char *text, float alpha)
{
    uint32_t t = plot_text_scale(plot);

    for (; *text != '\0'; text++, x += OP_FONT_ADVANCE * t)
        for (uint32_t dy = 0; dy < OP_FONT_HEIGHT * t; dy++)
            for (uint32_t dx = 0; dx < OP_FONT_WIDTH * t; dx++)
                if (op_font_pixel(*text, dx / t, dy / t))
                    plot_paint(plot, x + dx, y + dy, plot_ink, alpha);
}

static void plot_fill(op_plot *plot, uint32_t x, uint32_t y, uint32_t columns, uint32_t rows,
                      float alpha)
{
    for (uint32_t dy = 0; dy < rows; dy++)
        for (uint32_t dx = 0; dx < columns; dx++)
            plot_paint(plot, x + dx, y + dy, plot_ink, alpha);
}

/* The distance of ticks: digit * 10^power, digit 1, 2 or 5, about five of them in the range. */
typedef struct plot_step {
    int digit, power;
    double value;
} plot_step;

static plot_step plot_ticks(double range)
{
    static const int digits[] = { 1, 2, 5 };
    plot_step step = { 1, 0, 1 };
    double unit = 1, wanted = range / 5;

    for (; unit > wanted && step.power > -DBL_MAX_10_EXP; step.power--)
        unit /= 10;
    for (; unit * 10 <= wanted && step.power < DBL_MAX_10_EXP; step.power++)
        unit *= 10;
    for (int i = 0; i < 3; i++)
        if (unit * digits[i] <= wanted * 1.001)
            step.digit = digits[i];
    step.value = unit * step.digit;
    return step;
}

/* The i-th multiple of a step, rounded once, so that its text is short. */
static void plot_tick_text(char *text, const plot_step *step, int64_t i)
{
    double value = (double)(i * step->digit), power = 1;

    for (int k = 0; k < abs(step->power); k++)
        power *= 10;
    value = step->power < 0 ? value / power : value * power;
    *op_number_f64(text, value) = '\0';
}

/* A tick's number is left out where the axis' name stands. */
static void plot_x_ticks(op_plot *plot)
{
    const double *range = plot->view.x;
    plot_step step = plot_ticks(range[1] - range[0]);
    uint32_t t = plot_text_scale(plot);
    char text[OP_NUMBER_MAX + 1];

    for (int64_t i = (int64_t)ceil(range[0] / step.value), end = i + PLOT_TICKS_MAX;
         i < end && (double)i * step.value <= range[1]; i++) {
        uint32_t x = plot->left + (uint32_t)(((double)i * step.value - range[0]) * plot->x_scale);
        plot_tick_text(text, &step, i);
        plot_fill(plot, x, plot->bottom, t, 3 * t, 0.5f);
        uint32_t half = (plot_text_width(plot, text) - t) / 2;
        if (x + half + 2 * t < plot->right - plot_text_width(plot, plot->view.x_name))
            plot_text(plot, x - half, plot->bottom + 5 * t, text, 0.7f);
    }
}

static void plot_y_ticks(op_plot *plot)
{
    const double *range = plot->view.y;
    plot_step step = plot_ticks(range[1] - range[0]);
    uint32_t t = plot_text_scale(plot);
    char text[OP_NUMBER_MAX + 1];

    for (int64_t i = (int64_t)ceil(range[0] / step.value), end = i + PLOT_TICKS_MAX;
         i < end && (double)i * step.value <= range[1]; i++) {
        uint32_t y = plot->bottom - (uint32_t)(((double)i * step.value - range[0]) * plot->y_scale);
        plot_tick_text(text, &step, i);
        plot_fill(plot, plot->left - 3 * t, y, 3 * t, t, 0.5f);
        if (y - 3 * t > plot->top + OP_FONT_HEIGHT * t)
            plot_text(plot, plot->left - 4 * t - plot_text_width(plot, text), y - 3 * t, text, 0.7f);
    }
}

/* A value to three digits. */
static void plot_value_text(char *text, double value)
{
    double unit = 1, size = fabs(value);

    for (int i = 0; i < 300 && size < 100 && size > 0; i++, size *= 10)
        unit *= 10;
    for (int i = 0; i < 300 && size >= 1000; i++, size /= 10)
        unit /= 10;
    *op_number_f32(text, (float)(rint(value * unit) / unit)) = '\0';
}

/* Name, least value, colours, greatest value: above the frame, at its right end. */
static void plot_legend(op_plot *plot)
{
    uint32_t t = plot_text_scale(plot), bar = 80 * t, x = plot->right, y = plot->top - 12 * t;
    char low[OP_NUMBER_MAX + 1], high[OP_NUMBER_MAX + 1];

    plot_value_text(low, plot->view.value[0]);
    plot_value_text(high, plot->view.value[1]);
    x -= plot_text_width(plot, high);
    plot_text(plot, x, y, high, 0.7f);
    x -= bar + 3 * t;
    for (uint32_t i = 0; i < bar; i++)
        for (uint32_t k = 0; k < 7 * t; k++)
            plot_paint(plot, x + i, y + k, plot_palette(plot_value, (float)i / (float)bar), 1);
    x -= plot_text_width(plot, low) + 3 * t;
    plot_text(plot, x, y, low, 0.7f);
    x -= plot_text_width(plot, plot->view.value_name) + 8 * t;
    plot_text(plot, x, y, plot->view.value_name, 1);
}

static void plot_labels(op_plot *plot)
{
    uint32_t t = plot_text_scale(plot), columns = plot->right - plot->left;
    uint32_t rows = plot->bottom - plot->top;

    plot_fill(plot, plot->left - t, plot->top - t, columns + 2 * t, t, 0.15f);
    plot_fill(plot, plot->left - t, plot->bottom, columns + 2 * t, t, 0.15f);
    plot_fill(plot, plot->left - t, plot->top, t, rows, 0.15f);
    plot_fill(plot, plot->right, plot->top, t, rows, 0.15f);
    plot_x_ticks(plot);
    plot_y_ticks(plot);
    plot_text(plot, plot->left, plot->top - 12 * t, plot->view.title, 1);
    plot_text(plot, plot->right - plot_text_width(plot, plot->view.x_name), plot->bottom + 5 * t,
              plot->view.x_name, 1);
    plot_text(plot, plot->left - 4 * t - plot_text_width(plot, plot->view.y_name), plot->top,
              plot->view.y_name, 1);
    if (plot->view.coloured)
        plot_legend(plot);
}

void op_plot_finish(op_plot *plot)
{
    float full = plot_full_weight(plot);

    plot_clear(plot);
    if (plot->view.coloured) {
        plot_mean(plot);
        plot_find_values(plot, full);
    }
    plot_shade(plot, full);
    plot_labels(plot);
}
