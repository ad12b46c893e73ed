#include "coordinator/coord_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_BAR_MAX 24
#define LINE_BAR_MIN 6

void coord_samples_put(coord_samples *samples, coord_sample sample)
{
    if (samples->count > 0 && sample.step < samples->ring[(samples->count - 1) % COORD_LINE_SAMPLES].step)
        samples->count = 0; /* it went back: what was measured before is of other steps */
    if (samples->count == 0)
        samples->first = sample;
    samples->ring[samples->count % COORD_LINE_SAMPLES] = sample;
    samples->count++;
}

void coord_line_count(char *text, size_t size, double value)
{
    static const char *const units[] = { "", " k", " M", " G", " T" };
    int unit = 0;

    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(text, size, "%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
}

void coord_line_grouped(char *text, size_t size, uint64_t value)
{
    char digits[24];
    size_t count = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value), at = 0;

    for (size_t i = 0; i < count && at + 1 < size; i++) {
        if (i > 0 && (count - i) % 3 == 0 && at + 2 < size)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

static void line_left(char *text, size_t size, double seconds)
{
    if (seconds < 99.5)
        snprintf(text, size, "  %.0f s left", seconds);
    else if (seconds < 99.5 * 60)
        snprintf(text, size, "  %.0f min left", seconds / 60);
    else if (seconds < 99.5 * 3600)
        snprintf(text, size, "  %.0f h left", seconds / 3600);
    else
        snprintf(text, size, "  %.0f days left", seconds / 86400);
}

/* What follows the bar: the rate of the window, and (timed) the time left, from the window's steps or, while
 * no step has ended in it, from all of them. */
static void line_rates(char *text, size_t size, const coord_samples *s, uint64_t steps, bool timed)
{
    const coord_sample *last = &s->ring[(s->count - 1) % COORD_LINE_SAMPLES];
    const coord_sample *from =
        s->count <= COORD_LINE_SAMPLES ? &s->first : &s->ring[s->count % COORD_LINE_SAMPLES];
    double seconds = last->seconds - from->seconds;
    bool rows = last->rows > from->rows; /* else they are not known */
    char rate[32], left[32] = "";

    text[0] = '\0';
    if (seconds <= 0 || (!rows && last->step <= from->step))
        return;
    coord_line_count(rate, sizeof rate, (double)(rows ? last->rows - from->rows
                                                      : last->step - from->step) / seconds);
    if (last->step == from->step)
        from = &s->first;
    if (timed && last->step > from->step && last->step < steps)
        line_left(left, sizeof left, (last->seconds - from->seconds) /
                  (double)(last->step - from->step) * (double)(steps - last->step));
    snprintf(text, size, "  %s %s%s", rate, rows ? "row-steps/s" : "steps/s", left);
}

static size_t line_bar(char *to, uint32_t width, uint64_t step, uint64_t steps, bool utf8)
{
    const char *full = utf8 ? "\u2593" : "#", *empty = utf8 ? "\u2591" : "-";
    uint32_t filled = steps == 0 ? width : (uint32_t)((double)step / (double)steps * width);
    size_t at = 0;

    for (uint32_t i = 0; i < width; i++) {
        const char *mark = i < filled ? full : empty;

        memcpy(to + at, mark, strlen(mark));
        at += strlen(mark);
    }
    to[at] = '\0';
    return at;
}

size_t coord_line_format(char line[COORD_LINE_MAX], const coord_samples *samples, uint64_t steps,
                         coord_line_style style)
{
    const coord_sample *last = &samples->ring[(samples->count - 1) % COORD_LINE_SAMPLES];
    size_t noted = style.note == NULL ? 0 : strlen(style.note), used, width;
    char rates[96 + COORD_LINE_NOTE] = "", total[24];

    int digits = snprintf(total, sizeof total, "%llu", (unsigned long long)steps);
    used = (size_t)snprintf(line, COORD_LINE_MAX, "step %*llu/%s", digits,
                            (unsigned long long)last->step, total);
    line_rates(rates, sizeof rates, samples, steps, noted == 0);
    if (noted > 0 && (style.width == 0 || used + strlen(rates) + 2 + noted < style.width))
        snprintf(rates + strlen(rates), sizeof rates - strlen(rates), "  %s", style.note);
    /* One column stays free, because a full last column makes some terminals wrap. */
    width = used + strlen(rates);
    if (style.width > 0 && width + 2 + LINE_BAR_MIN < style.width) {
        size_t room = style.width - 1 - width - 2;

        used += (size_t)snprintf(line + used, COORD_LINE_MAX - used, "  ");
        used += line_bar(line + used, (uint32_t)(room < LINE_BAR_MAX ? room : LINE_BAR_MAX),
                         last->step, steps, style.utf8);
    }
    if (style.width == 0 || width < style.width)
        used += (size_t)snprintf(line + used, COORD_LINE_MAX - used, "%s", rates);
    if (style.width > 0 && used >= style.width && width >= style.width)
        used = style.width - 1;
    line[used] = '\0';
    return used;
}

void coord_line_closing(char *text, size_t size, uint64_t steps, double seconds, uint64_t row_steps)
{
    char rate[32] = "";

    if (row_steps > 0 && seconds > 0)
        coord_line_count(rate, sizeof rate, (double)row_steps / seconds);
    snprintf(text, size, "%" PRIu64 " step%s in %.1f s%s%s%s", steps, steps == 1 ? "" : "s", seconds,
             rate[0] == '\0' ? "" : ", ", rate, rate[0] == '\0' ? "" : " row-steps/s");
}

void coord_line_late(char *text, size_t size, double pace, uint64_t late_steps)
{
    if (pace <= 0)
        text[0] = '\0';
    else if (late_steps == 0)
        snprintf(text, size, ", no step late");
    else
        snprintf(text, size, ", %" PRIu64 " step%s late", late_steps, late_steps == 1 ? "" : "s");
}
