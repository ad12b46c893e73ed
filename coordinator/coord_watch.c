#include "coordinator/coord_watch.h"

#include <inttypes.h>
#include <string.h>

#define WATCH_LINE 384u

static void watch_say(const coord_watch *w, const char *line)
{
    if (w->progress != NULL)
        coord_progress_say(w->progress, line);
}

/* "52 ms"; of a job with a pace "52 ms (pace: 50 ms), none late". */
static void step_text(const coord_watch *w, const coord_rescale_row *r, char text[96])
{
    if (w->pace <= 0)
        snprintf(text, 96, "%.0f ms", r->longest_ms);
    else if (r->late_steps == 0)
        snprintf(text, 96, "%.0f ms (pace: %.0f ms), none late", r->longest_ms, 1e3 / w->pace);
    else
        snprintf(text, 96, "%.0f ms (pace: %.0f ms), %" PRIu64 " late", r->longest_ms, 1e3 / w->pace, r->late_steps);
}

/* ---- going back ---- */

static void watch_returns(coord_watch *w, const coord_status *s)
{
    bool lost = s->restarts > w->restarts, asked = s->restores > w->restores;
    const char *why = asked ? "as asked" : w->ran ? "a worker was lost" : "its workers are gone";
    char line[256];

    w->restarts = s->restarts;
    w->restores = s->restores;
    if (!lost && !asked)
        return;
    if (s->base != 0)
        snprintf(line, sizeof line, "%s; back to snapshot %" PRIu64 ", step %" PRIu64, why, s->base, s->base_step);
    else
        snprintf(line, sizeof line, "%s; back to the beginning", why);
    watch_say(w, line);
}

/* ---- changes of workers ---- */

static void rescale_end(coord_watch *w, const coord_rescale_row *r)
{
    char line[WATCH_LINE], step[96];

    w->changed++;
    if (r->longest_ms > w->longest_ms)
        w->longest_ms = r->longest_ms;
    step_text(w, r, step);
    if (strcmp(r->end, "done") != 0)
        snprintf(line, sizeof line, "%s %s%s%s", r->what, r->end, r->why[0] == '\0' ? "" : ": ", r->why);
    else if (r->key_groups == 0 && r->from == r->to)
        snprintf(line, sizeof line, "%s: nothing to do: %s", r->what, r->why);
    else
        snprintf(line, sizeof line, "%s: %u worker%s -> %u, %u key group%s; longest step %s", r->what, r->from,
                 r->from == 1 ? "" : "s", r->to, r->key_groups, r->key_groups == 1 ? "" : "s", step);
    watch_say(w, line);
}

static void watch_rescales(coord_watch *w, const coord_status *s)
{
    if (s->rescales > w->rescales)
        rescale_end(w, &s->rescaled);
    w->rescales = s->rescales;
}

/* ---- the progress line ---- */

static void watch_note(const coord_watch *w, const coord_status *s)
{
    const coord_rescale_row *r = &s->rescale;
    char note[COORD_LINE_NOTE] = "";

    if (strcmp(s->phase, "paused") == 0)
        snprintf(note, sizeof note, "suspended");
    else if (s->waiting[0] != '\0')
        snprintf(note, sizeof note, "waiting for %.80s", s->waiting);
    else if (r->id != 0)
        snprintf(note, sizeof note, "%s %u/%u key groups, longest step %.0f ms", r->what, r->key_groups_done,
                 r->key_groups, r->longest_ms);
    else if (r->what[0] != '\0')
        snprintf(note, sizeof note, "%s: %s", r->what, r->phase);
    if (w->progress != NULL)
        coord_progress_note(w->progress, note);
}

/* ---- the whole ---- */

void coord_watch_init(coord_watch *watch, coord_progress *progress, double pace, bool fresh)
{
    *watch = (coord_watch){ .progress = progress, .pace = pace, .begun = fresh };
}

void coord_watch_take(coord_watch *watch, const coord_status *status)
{
    if (!watch->begun) {
        watch->restarts = status->restarts;
        watch->restores = status->restores;
        watch->rescales = status->rescales;
        watch->begun = true;
    }
    watch_returns(watch, status);
    watch_rescales(watch, status);
    watch_note(watch, status);
    watch->late_steps = status->late_steps;
    watch->ran |= strcmp(status->phase, "running") == 0;
}

void coord_watch_text(const coord_watch *watch, char text[COORD_WATCH_TEXT])
{
    char changed[COORD_WATCH_TEXT / 2 + 16] = "", late[COORD_WATCH_TEXT / 2 - 16];

    if (watch->changed > 0)
        snprintf(changed, sizeof changed, ", %u change%s of workers with longest step %.0f ms", watch->changed,
                 watch->changed == 1 ? "" : "s", watch->longest_ms);
    coord_line_late(late, sizeof late, watch->pace, watch->late_steps);
    snprintf(text, COORD_WATCH_TEXT, "%s%s", changed, late);
}
