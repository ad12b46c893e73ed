/* Deliberate faults, for tests only: each leaves one rule of PROTOCOL.md out, and the simulator must
 * notice. A production process runs with none. MUTANT(bit, name, what is left out). */
#ifndef PROTO_MUTANTS_H
#define PROTO_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

#define PROTO_MUTANTS(X) \
    X(0, nogate, "a grant is applied before the history that it names (rule 2)") \
    X(1, nopromise, "a worker obeys an older incarnation after its report (rule 3)") \
    X(2, early, "a halo is sent before the grant reaches its step (rule 1)") \
    X(3, nofloor, "an input is placed below the event floor (rule 4)") \
    X(4, sendfirst, "an order is sent before it is synced (rule 2)") \
    X(5, stalegrant, "a grant of another generation is applied (rule 5)") \
    X(6, minattach, "the grant after a restart is the smallest of the reports (rule 3)") \
    X(7, reject, "data for what the receiver does not own yet is refused (rule 2)") \
    X(8, noackwait, "grants begin before every member has installed (rule 5)") \
    X(9, sameinc, "a coordinator does not raise its incarnation (rule 3)") \
    X(10, once, "prepared is sent once (rule 11)") \
    X(11, nolock, "a sink is opened while its old writer lives (rule 18)") \
    X(12, voidinput, "inputs of older generations are void (rule 4)") \
    X(13, orderlate, "an order is placed at a step that was granted (rule 6)") \
    X(14, earlycommit, "a snapshot is committed without the last member (rule 11)") \
    X(15, takeover, "a state is taken over although a snapshot refers to it (rule 10)") \
    X(16, nogendata, "data of an older generation is accepted (rule 5)") \
    X(17, stalepart, "a prepared of an older generation counts (rule 19)") \
    X(18, norelease, "a barrier is ordered before the last was released (rule 11)") \
    X(19, noexempt, "credit also limits frames at the low-water mark (rule 8)") \
    X(20, nocredit, "a sender ignores credit (rule 8)") \
    X(21, earlycredit, "credit is returned on receipt (rule 8)") \
    X(22, markfirst, "marks overtake the rows before them (rule 7)") \
    X(23, markworker, "arrival is counted by worker (rule 7)") \
    X(24, markrows, "marks go only to workers that got rows (rule 7)") \
    X(25, noresend, "lost frames are not sent again (rule 9)") \
    X(26, norepeat, "repeated frames are not recognised (rule 9)") \
    X(27, partsync, "prepared is sent before the part is durable (rule 11)") \
    X(28, sinksync, "prepared is sent before the sinks are synced (rule 18)") \
    X(29, logsync, "orders are acknowledged before they are synced (rule 2)") \
    X(30, noceiling, "grants run past the synced ceiling (rule 4)") \
    X(31, noclient, "an input that is sent again is applied again (rule 4)") \
    X(32, noadmit, "key groups move to a member that has not installed (rule 5)") \
    X(33, earlyleave, "a member leaves before the states that it gave away have arrived (rule 20)") \
    X(34, oldchannel, "a place that is filled again goes on with the old channel (rule 9)") \
    X(35, withdraw, "an abort forgets changes of owners that were ordered (rule 20)") \
    X(36, forget, "a coordinator that starts again forgets the rescale that ran (rule 20)") \
    X(37, twopending, "a key group changes its owner again while the last change is under way (rule 1)") \
    X(38, keeppart, "a member leaves while a snapshot may still need its part (rule 11)") \
    X(39, partless, "a key group moves at a barrier to a member that has no part in it (rule 12)") \
    X(40, bothparts, "the old owner captures a key group at the step of its move too (rule 12)") \
    X(41, headstays, "a return to an older snapshot leaves the head where it was (rule 16)") \
    X(42, olddropped, "inputs behind the snapshot that is returned to stay (rule 16)") \
    X(43, foldearly, "changes of members and owners are folded before all members have applied them (rule 2)") \
    X(44, halfpart, "a part counts when its last piece has come, before it is durable (rule 15)") \
    X(45, noagain, "a piece that was lost is not asked for again (rule 15)") \
    X(46, refusedspare, "a generation takes workers that may not have key groups (hints)") \
    X(47, refusedtarget, "a generation takes a rescale's newcomer that was refused meanwhile (hints)") \
    X(48, refusedmove, "a rescale gives key groups to a worker that may not have more (hints)") \
    X(49, refusedheir, "a generation gives what a lost worker had to one that may not have more (hints)")

typedef enum proto_mutant {
#define PROTO_MUTANT_ENUM(bit, name, help) PROTO_MUTANT_##name = bit,
    PROTO_MUTANTS(PROTO_MUTANT_ENUM)
    PROTO_MUTANT_COUNT
} proto_mutant;

/* `mutants` is a set of bits. */
static inline bool proto_mutant_on(uint64_t mutants, proto_mutant mutant)
{
    return (mutants >> mutant & 1) != 0;
}

#endif
