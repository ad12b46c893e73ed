#!/bin/sh
# history: owners change a hundred times with a history of 32 KiB, and all are killed meanwhile; the same bits and files
. "$TOP/tests/support/check.sh"

FLOCK="$TOP/config/jobs/flock.toml --set birds=300 --set run.key_groups=32 --set operator.mood.every_steps=1
       --set fault_tolerance.backoff_seconds=0.01 --set fault_tolerance.max_restarts=1000"
PACED="--set run.pace=100 --set snapshot.every_steps=40 --workers 2 --directory job"
MOVES=110
[ "${WEIR_LONG:-0}" = 1 ] && MOVES=600

state_of() # WHAT: a number of the job's
{
    "$WEIR" status job --json 2>/dev/null | sed -nE "s/.*\"$1\":([0-9]+),.*/\1/p"
}
runs() # it does, and nothing is being changed
{
    "$WEIR" status job --json 2>/dev/null | grep -q '"phase":"running",.*"rescale":null,'
}
coordinator() # [PLACE PASSES]: a coordinator in the background, its process in COORDINATOR; it is killed after passes there
{
    armed=${1:+$1=kill@$(($(passes $1) + $2))}
    WEIR_HISTORY_SIZE=32768 WEIR_FAILPOINTS_COUNTS=counts WEIR_FAILPOINTS=$armed \
        "$WEIR" coordinator $FLOCK $PACED --steps 1000000 >>out.job 2>>err.job &
    COORDINATOR=$!
    wait_for 60 runs_or_struck || echo "not ok the coordinator does not run"
}
runs_or_struck() # one that is to be killed may be before it is seen to run
{
    runs || { [ -n "$armed" ] && ! kill -0 $COORDINATOR 2>/dev/null; }
}
move() # TURN: two key groups, to one worker and back
{
    timeout 60 "$WEIR" move job --key-groups $(($1 / 2 % 30))-$(($1 / 2 % 30 + 1)) --to w$((2 - $1 % 2)) >>moves 2>&1
}
moved() # how many changes are done
{
    "$WEIR" rescales job --json | grep -o '"end":"done"' | wc -l
}

again() # [PLACE PASSES]: the coordinator is killed, and another one started
{
    kill -9 $COORDINATOR
    wait $COORDINATOR 2>/dev/null
    coordinator "$@"
}

: >counts
coordinator
turn=0
struck=0
while [ $turn -lt $MOVES ]; do
    turn=$((turn + 1))
    case $turn in
    30 | 31 | 90) again ;; # its workers live on, and have applied orders that are in no log any more
    35) again history_replace 1 ;;
    60) again log_tables 2 ;;
    65) again history_copy 15 ;;
    70) # a new generation
        kill -9 "$(pid_of job w2)"
        wait_for 60 sh -c "'$WEIR' status job --json | grep -q '\"phase\":\"running\",.*\"generation\":2,'" ||
            echo "not ok no new generation has begun"
        wait_for 60 runs
        ;;
    esac
    move $turn
    if ! kill -0 $COORDINATOR 2>/dev/null; then
        wait $COORDINATOR
        struck=$((struck + ($? == 137)))
        coordinator
    fi
done
is "coordinators were killed at the places of the history" test $struck -eq 3
is "the changes are done" test "$(moved)" -ge $((MOVES - 10))
is "they were folded" test "$(passes log_tables)" -ge $((MOVES / 4))
is "the history was replaced by a shorter one" test "$(passes history_replace)" -ge $((MOVES / 30))
is "it is not full" sh -c "'$WEIR' status job --json | grep -q '\"history_full\":false'"
exits 0 "the job is drained" "$WEIR" drain job
wait $COORDINATOR
is "it ends well" test $? -eq 0
last=$(sed -nE 's/^drained after step ([0-9]+) .*/\1/p' out.job)
"$WEIR" run $FLOCK --steps "${last:-1}" --directory one >out 2>err
is "a line for each step" test "$(wc -l <one/mood.csv)" -eq "$((last + 2))"
is "the same lines" cmp one/mood.csv job/mood.csv
exits 0 "whole snapshots" "$WEIR" snapshot verify job/state/store

# ---- one that is too small for a rescale ----
rm -rf job
WEIR_HISTORY_SIZE=16384 "$WEIR" run $FLOCK $PACED --steps 1200 >out.small 2>err.small &
RUN=$!
wait_for 60 runs || echo "not ok the job does not run"
exits 1 "a change that does not fit is refused" "$WEIR" rescale job --workers 3 --budget 1
holds "and it is said why" err "the history has no room for it: it may need"
taken=$(state_of snapshots_taken)
taken_more()
{
    [ "$(state_of snapshots_taken)" -gt "${taken:-0}" ]
}
is "snapshots are taken all the same" wait_for 60 taken_more
exits 0 "a small change fits" "$WEIR" move job --key-groups 3 --to w2
wait $RUN
is "the job ends well" test $? -eq 0
