#include "coordinator/coord_scale.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define SCALE_GAIN 0.05 /* a rebalance that brings the busiest worker less is not worth it */

void coord_scale_changed(coord_scale *scale, uint64_t now_us)
{
    *scale = (coord_scale){ .begun = true, .changed_us = now_us };
}

/* Seconds until something may be decided again; 0: now. */
static double pause_left(coord_scale *scale, uint64_t now_us, double pause_seconds)
{
    double since;

    if (!scale->begun)
        coord_scale_changed(scale, now_us);
    since = now_us > scale->changed_us ? 1e-6 * (double)(now_us - scale->changed_us) : 0;
    return since < pause_seconds ? pause_seconds - since : 0;
}

/* Count samples that call for the same. Returns whether they are enough. */
static bool agree(coord_scale *scale, int32_t wanted, double shown)
{
    if (wanted != scale->wanted) {
        scale->wanted = wanted;
        scale->agreed = 0;
        scale->sum = 0;
    }
    scale->agreed++;
    scale->sum += shown;
    return scale->agreed >= COORD_SCALE_SAMPLES;
}

/* Workers with which a load of `work` busy workers is at most at `target`. */
static uint32_t workers_for(double work, double target, const df_scaling *rules)
{
    double count = ceil(work / target - 1e-9);

    return count < rules->min ? rules->min : count > rules->max ? rules->max : (uint32_t)count;
}

/* Above the target: as many more as bring it there. Below: as many less as leave it well below. */
static uint32_t workers_wanted(const df_scaling *rules, uint32_t workers, double utilisation)
{
    double target = rules->target_utilisation, work = utilisation * workers;
    uint32_t count;

    if (workers < rules->min)
        return rules->min;
    if (workers > rules->max)
        return rules->max;
    if (utilisation > target * (1 + COORD_SCALE_BAND))
        return workers_for(work, target, rules);
    count = workers_for(work, target * (1 - COORD_SCALE_BAND), rules);
    return count < workers ? count : workers;
}

/* A number of workers that the rules do not allow is changed at once. */
static bool outside(const df_scaling *rules, uint32_t workers)
{
    return workers < rules->min || workers > rules->max;
}

static void say(coord_scale_decision *d, const df_scaling *rules, const coord_scale_sample *sample,
                double utilisation, const char *rest)
{
    snprintf(d->text, sizeof d->text, "%u worker%s %.0f %% busy, the target is %.0f %%: %s", sample->workers,
             sample->workers == 1 ? " is" : "s are", 100 * utilisation,
             100 * rules->target_utilisation, rest);
}

static void decide(coord_scale *scale, const df_scaling *rules, const coord_scale_sample *sample,
                   coord_scale_decision *d)
{
    bool high = sample->utilisation > rules->target_utilisation * (1 + COORD_SCALE_BAND);
    uint32_t wanted = workers_wanted(rules, sample->workers, sample->utilisation);
    bool enough = agree(scale, (wanted > sample->workers) - (wanted < sample->workers),
                        sample->utilisation);
    double mean = scale->sum / scale->agreed;
    char rest[96];

    if (wanted == sample->workers) {
        snprintf(rest, sizeof rest, high && wanted == rules->max ? "as it is, max = %u" : "as it is",
                 rules->max);
        say(d, rules, sample, mean, rest);
        return;
    }
    if (!enough && !outside(rules, sample->workers)) {
        say(d, rules, sample, mean, "waiting whether it lasts");
        return;
    }
    wanted = workers_wanted(rules, sample->workers, mean);
    d->change = (int32_t)wanted - (int32_t)sample->workers;
    snprintf(rest, sizeof rest, d->change > 0 ? "%d more" : "%d less", d->change > 0 ? d->change : -d->change);
    if (outside(rules, sample->workers))
        snprintf(d->text, sizeof d->text, "%u worker%s, %u to %u are allowed: %s", sample->workers,
                 sample->workers == 1 ? "" : "s", rules->min, rules->max, rest);
    else
        say(d, rules, sample, mean, rest);
    coord_scale_changed(scale, sample->now_us);
}

void coord_scale_step(coord_scale *scale, const df_scaling *rules, const coord_scale_sample *sample,
                      coord_scale_decision *d)
{
    double pause = pause_left(scale, sample->now_us, rules->cool_down_seconds);

    assert(sample->workers > 0 && rules->min <= rules->max && rules->target_utilisation > 0);
    *d = (coord_scale_decision){ 0 };
    if (sample->busy) {
        snprintf(d->text, sizeof d->text, "a change is under way");
        (void)agree(scale, 0, 0);
    } else if (sample->fresh < sample->workers && !outside(rules, sample->workers)) {
        snprintf(d->text, sizeof d->text, "the load of %u of %u workers is not known",
                 sample->workers - sample->fresh, sample->workers);
        (void)agree(scale, 0, 0);
    } else if (pause > 0 && !outside(rules, sample->workers)) {
        char rest[48];

        snprintf(rest, sizeof rest, "cooling down for %.0f s", ceil(pause));
        say(d, rules, sample, sample->utilisation, rest);
    } else {
        decide(scale, rules, sample, d);
    }
}

bool coord_scale_balance(coord_scale *scale, const coord_balance_sample *sample, char text[192])
{
    double pause = pause_left(scale, sample->now_us, 1e-6 * COORD_BALANCE_PAUSE_US);
    bool helps = sample->busiest > 1 + COORD_BALANCE_START &&
                 sample->busiest - sample->could_be >= SCALE_GAIN;
    const char *rest = "not again so soon";

    if (sample->busy) {
        snprintf(text, 192, "a change is under way");
        (void)agree(scale, 0, 0);
        return false;
    }
    if (!helps) {
        (void)agree(scale, 0, 0);
        rest = sample->busiest > 1 + COORD_BALANCE_START ? "no move would help" : "even enough";
    } else if (pause == 0) {
        rest = agree(scale, 1, sample->busiest) ? "rebalancing" : "waiting whether it lasts";
    }
    snprintf(text, 192, "the busiest worker has %.2f times its share, it could be %.2f: %s",
             sample->busiest, sample->could_be, rest);
    if (!helps || pause > 0 || scale->agreed < COORD_SCALE_SAMPLES)
        return false;
    coord_scale_changed(scale, sample->now_us);
    return true;
}
