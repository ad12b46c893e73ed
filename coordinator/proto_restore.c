/* Returning to an older snapshot (rule 16). The decision is a record of the log, and from then on it is
 * carried out whatever happens: the head of the store is moved, and the next generation begins from it.
 * A crash in between does both again; a crash after it finds the head, and so stays in its line.
 *
 *   the record is synced -> the store's head is moved -> the generation's record -> installed
 *
 * What the history holds behind the snapshot is dropped: barriers and owner changes are void with the
 * generation that made them, a drain and the job's end are forgotten, and inputs become void unless they
 * are to be kept. Numbers are never used again, so no snapshot takes the place of a dropped one. */
#include "coordinator/proto_coord_private.h"

#include <stdlib.h>

static void inputs_drop(proto_coord *c, uint64_t step)
{
    for (uint32_t i = c->order_gone; i < c->order_count; i++) {
        proto_order_record *o = coord_order_get(c, i);

        if (o->kind != PROTO_ORDER_INPUT || o->step < step || MUTANT(c, olddropped))
            continue;
        o->kind = PROTO_ORDER_VOID;
        free((void *)(uintptr_t)o->payload.data);
        o->payload = (proto_bytes){ 0 };
    }
}

static void restore_note(proto_coord *c, proto_head to, bool keep_inputs, uint64_t at)
{
    c->restoring = COORD_RESTORING_ASKED;
    c->restore_to = to;
    c->restore_at = at;
    c->final_step = c->plan->step_count;
    c->end = c->ending = PROTO_END_NOT;
    c->failing_us = 0;
    c->stats.failed = false;
    if (!keep_inputs)
        inputs_drop(c, to.step);
}

void coord_restore_recover(proto_coord *c, const proto_record *r)
{
    restore_note(c, (proto_head){ r->snapshot, r->step }, r->number != 0, 0);
}

void proto_coord_return(proto_coord *c, proto_head to, bool keep_inputs)
{
    proto_record record = { .kind = PROTO_RECORD_RESTORE, .number = keep_inputs,
                            .snapshot = to.attempt, .step = to.step };

    restore_note(c, to, keep_inputs, coord_append(c, &record));
}

/* A commit that is being made may become the head, and remove the snapshot that is asked for; and before
 * the head of an earlier return is where it should be, nobody knows what is in its line. */
bool coord_restore_waits(const proto_coord *c)
{
    return c->attempt.committing || c->restoring == COORD_RESTORING_ASKED ||
           c->restoring == COORD_RESTORING_MADE;
}

uint8_t coord_restore(proto_coord *c, const proto_command *command, proto_head *to)
{
    if (!c->env.find(c->env.user, command->first, to))
        return PROTO_ANSWER_REFUSED;
    proto_coord_return(c, *to, command->second != 0);
    c->restarts = 0;
    coord_fence_until(c, c->now_us);
    return PROTO_ANSWER_OK;
}

bool coord_restore_advance(proto_coord *c)
{
    if (c->restoring == COORD_RESTORING_ASKED && c->restore_at <= c->synced) {
        c->restoring = COORD_RESTORING_MADE;
        if (!MUTANT(c, headstays)) {
            c->env.restore(c->env.user, c->restore_to.attempt);
        } else {
            c->head = c->restore_to;
            c->restoring = COORD_RESTORING_DONE;
        }
    }
    return c->restoring == COORD_RESTORING_NOT || c->restoring == COORD_RESTORING_DONE;
}

/* A head that could not be moved may have been: the process ends, and the log has it done again. */
void proto_coord_restored(proto_coord *c, uint64_t now_us, uint64_t snapshot, bool ok)
{
    if (c->restoring != COORD_RESTORING_MADE || snapshot != c->restore_to.attempt)
        return;
    if (!ok) {
        c->env.stop(c->env.user);
        return;
    }
    c->head = c->restore_to;
    c->restoring = COORD_RESTORING_DONE;
    proto_coord_tick(c, now_us);
}
