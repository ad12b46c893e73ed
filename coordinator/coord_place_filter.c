/* Which workers may have units at all: the hints, each a hard filter, and samples that are too old. */
#include "coordinator/coord_place_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool sample_is_fresh(const coord_place_input *in, const coord_place_worker *w)
{
    return w->sampled_us != 0 && (w->sampled_us >= in->now_us || in->now_us - w->sampled_us <= in->stale_us);
}

static bool label_fits(const char *pattern, const char *label)
{
    size_t len = strlen(pattern);

    if (len > 0 && pattern[len - 1] == '*')
        return strncmp(pattern, label, len - 1) == 0;
    return strcmp(pattern, label) == 0;
}

static bool label_is_wanted(const df_placement *hints, const char *label)
{
    for (uint32_t i = 0; i < hints->label_count; i++)
        if (label_fits(hints->labels[i].text, label))
            return true;
    return hints->label_count == 0;
}

/* "12.5 GiB". */
const char *place_bytes_text(uint64_t bytes, char text[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)bytes;
    uint32_t u = 0;

    while (value >= 1024 && u < 6) {
        value /= 1024;
        u++;
    }
    snprintf(text, 32, u > 0 && value < 100 ? "%.1f %s" : "%.0f %s", value, units[u]);
    return text;
}

/* What does not change while it runs: who is refused by these keeps nothing, either. */
static bool refused_for_good(const df_placement *hints, const coord_place_worker *w, char text[160])
{
    if (w->leaving)
        snprintf(text, 160, "it leaves");
    else if (!label_is_wanted(hints, w->label))
        snprintf(text, 160, "its label is none of those in [placement] label");
    else if (w->priority < hints->priority)
        snprintf(text, 160, "its priority is %u, at least %u is asked for", w->priority, hints->priority);
    else if (w->compute_capability < hints->min_compute_capability && w->compute_capability == 0)
        snprintf(text, 160, "it has no CUDA device, compute capability %u.%u is asked for",
                 hints->min_compute_capability / 10, hints->min_compute_capability % 10);
    else if (w->compute_capability < hints->min_compute_capability)
        snprintf(text, 160, "its compute capability is %u.%u, at least %u.%u is asked for",
                 w->compute_capability / 10, w->compute_capability % 10,
                 hints->min_compute_capability / 10, hints->min_compute_capability % 10);
    else
        return false;
    return true;
}

static bool refused_for_memory(const coord_place_input *in, const coord_place_worker *w, char text[160])
{
    uint64_t least = in->hints->min_free_bytes, left;
    char have[32], reserved[32], want[32];

    if (least == 0)
        return false;
    left = w->free_bytes > w->reserved_bytes ? w->free_bytes - w->reserved_bytes : 0;
    if (w->sampled_us == 0)
        snprintf(text, 160, "it has not told its free memory yet");
    else if (!sample_is_fresh(in, w))
        snprintf(text, 160, "it told its free memory %.1f s ago, which is too long",
                 1e-6 * (double)(in->now_us - w->sampled_us));
    else if (left >= least)
        return false;
    else if (w->reserved_bytes == 0)
        snprintf(text, 160, "it has %s free, %s are to stay free", place_bytes_text(w->free_bytes, have),
                 place_bytes_text(least, want));
    else
        snprintf(text, 160, "it has %s free, of which %s are promised, %s are to stay free",
                 place_bytes_text(w->free_bytes, have), place_bytes_text(w->reserved_bytes, reserved),
                 place_bytes_text(least, want));
    return true;
}

bool coord_place_refusal(const coord_place_input *input, uint32_t worker, char text[160])
{
    const coord_place_worker *w = &input->workers[worker];

    assert(worker < input->worker_count);
    return refused_for_good(input->hints, w, text) || refused_for_memory(input, w, text);
}

void place_judge(place *p)
{
    char text[160];

    for (uint32_t r = 0; r < p->worker_count; r++) {
        place_worker *w = &p->workers[r];
        uint64_t least = p->in->hints->min_free_bytes;

        w->stays = !refused_for_good(p->in->hints, w->given, text);
        w->takes = w->stays && !refused_for_memory(p->in, w->given, text);
        w->room = UINT64_MAX;
        if (w->takes && least > 0)
            w->room = w->given->free_bytes - w->given->reserved_bytes - least;
    }
}

bool place_sample_is_fresh(const place *p, uint32_t worker)
{
    return sample_is_fresh(p->in, p->workers[worker].given);
}

/* ---- telling ---- */

typedef struct reasons {
    char text[256];
    size_t used;
    uint32_t left; /* out, for want of room */
} reasons;

static void reasons_add(reasons *list, const char *label, const char *why)
{
    char one[256];
    int len = snprintf(one, sizeof one, "%s%.64s: %s", list->used > 0 ? "; " : "", label, why);

    if (list->left == 0 && len > 0 && list->used + (size_t)len < sizeof list->text - 48) {
        memcpy(list->text + list->used, one, (size_t)len + 1);
        list->used += (size_t)len;
    } else {
        list->left++;
    }
}

static df_status reasons_fail(const reasons *list, const char *what, df_error *err)
{
    if (list->left > 0)
        return df_fail(err, DF_EINVAL, "%s: %s; and %u more", what, list->text, list->left);
    return df_fail(err, DF_EINVAL, "%s: %s", what, list->used == 0 ? "there is none" : list->text);
}

static void why_not(const place *p, uint32_t unit, const place_worker *w, char why[160])
{
    char room[32], bytes[32];

    if (!coord_place_refusal(p->in, w->place, why))
        snprintf(why, 160, "it can take %s more, key group %u has %s", place_bytes_text(w->room, room),
                 unit, place_bytes_text(p->in->units[unit].bytes, bytes));
}

df_status place_nobody(const place *p, uint32_t unit, df_error *err)
{
    reasons list = { 0 };
    char why[160];

    for (uint32_t r = 0; r < p->worker_count; r++) {
        const place_worker *w = &p->workers[r];

        why_not(p, unit, w, why);
        reasons_add(&list, w->given->label, why);
    }
    return reasons_fail(&list, "no worker may have it", err);
}

/* ---- choosing ---- */

typedef struct pick_candidate {
    const coord_place_worker *given;
    uint32_t place, count;
    double weight;
    bool fresh;
} pick_candidate;

static int candidate_compare(const void *a, const void *b)
{
    const pick_candidate *one = a, *two = b;
    double one_load = one->given->load + one->given->reserved_load;
    double two_load = two->given->load + two->given->reserved_load;

    if ((one->count > 0) != (two->count > 0))
        return one->count > 0 ? -1 : 1;
    if (one->count > 0 && one->weight != two->weight)
        return one->weight > two->weight ? -1 : 1;
    if (one->given->priority != two->given->priority)
        return one->given->priority > two->given->priority ? -1 : 1;
    if (one->fresh != two->fresh)
        return one->fresh ? -1 : 1;
    if (one->fresh && one_load != two_load)
        return one_load < two_load ? -1 : 1;
    return one->given->id < two->given->id ? -1 : one->given->id > two->given->id;
}

static int place_compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;

    return (one > two) - (one < two);
}

/* Who must have memory free to be given any: who owns nothing yet. */
static bool may_be_picked(const place *p, const place_worker *w)
{
    return w->stays && (w->count > 0 || w->takes || p->unit_count == 0);
}

static uint32_t candidates_list(const place *p, pick_candidate *list)
{
    uint32_t count = 0;

    for (uint32_t r = 0; r < p->worker_count; r++) {
        const place_worker *w = &p->workers[r];

        if (may_be_picked(p, w))
            list[count++] = (pick_candidate){ w->given, w->place, w->count, w->load,
                                              place_sample_is_fresh(p, r) };
    }
    qsort(list, count, sizeof *list, candidate_compare);
    return count;
}

static int label_compare(const void *a, const void *b)
{
    const place_worker *one = *(const place_worker *const *)a, *two = *(const place_worker *const *)b;
    int order = strcmp(one->given->label, two->given->label);

    return order != 0 ? order : (one->given->id > two->given->id) - (one->given->id < two->given->id);
}

/* The reasons are in the order of labels: ids are drawn. */
static df_status too_few(const place *p, uint32_t count, uint32_t found, df_error *err)
{
    const place_worker **workers = calloc((size_t)p->worker_count + 1, sizeof *workers);
    reasons list = { 0 };
    char what[96], why[160];

    if (workers == NULL)
        return df_fail(err, DF_ENOMEM, "placement: out of memory");
    for (uint32_t r = 0; r < p->worker_count; r++)
        workers[r] = &p->workers[r];
    qsort(workers, p->worker_count, sizeof *workers, label_compare);
    for (uint32_t r = 0; r < p->worker_count; r++)
        if (!may_be_picked(p, workers[r]) && coord_place_refusal(p->in, workers[r]->place, why))
            reasons_add(&list, workers[r]->given->label, why);
    free(workers);
    if (list.used == 0 && list.left == 0)
        return df_fail(err, DF_EINVAL, "%u workers are asked for, %u are there", count, found);
    snprintf(what, sizeof what, "%u workers are asked for, %u may have key groups", count, found);
    return reasons_fail(&list, what, err);
}

df_status coord_place_pick(const coord_place_input *input, uint32_t count, uint32_t *places,
                           df_error *err)
{
    pick_candidate *list = NULL;
    uint32_t found;
    place *p;
    df_status s = place_new(&p, input, err);

    if (s != DF_OK)
        return s;
    list = calloc((size_t)input->worker_count + 1, sizeof *list);
    if (list == NULL) {
        s = df_fail(err, DF_ENOMEM, "placement: out of memory");
        goto out;
    }
    found = candidates_list(p, list);
    if (found < count) {
        s = too_few(p, count, found, err);
        goto out;
    }
    for (uint32_t i = 0; i < count; i++)
        places[i] = list[i].place;
    qsort(places, count, sizeof *places, place_compare);
out:
    free(list);
    place_free(&p);
    return s;
}

void coord_place_reserve(coord_place_worker *workers, const coord_place_input *input,
                         const uint32_t *after)
{
    place_scale scale = place_scale_of(input->units, input->unit_count);
    double total = 0, threads = 0;

    for (uint32_t u = 0; u < input->unit_count; u++)
        total += place_weight(&scale, &input->units[u]);
    for (uint32_t w = 0; w < input->worker_count; w++)
        threads += workers[w].leaving ? 0 : workers[w].threads;
    for (uint32_t u = 0; u < input->unit_count; u++) {
        coord_place_worker *to = &workers[after[u]];

        if (after[u] == input->units[u].owner)
            continue;
        to->reserved_bytes += input->units[u].bytes;
        to->reserved_load += place_weight(&scale, &input->units[u]) / total * threads / to->threads;
    }
}
