#!/bin/sh
# history: owners change some hundred times with a history of 32 KiB, and all are killed meanwhile; the same bits and files
. "$TOP/tests/support/check.sh"

FLOCK="$TOP/config/jobs/flock.toml --set birds=300 --set run.key_groups=32 --set operator.mood.every_steps=10
       --set fault_tolerance.backoff_seconds=0.01 --set fault_tolerance.max_restarts=1000"
STEPS=6000
PACED="--set run.pace=200 --set snapshot.every_steps=100 --steps $STEPS --workers 2 --directory job"

passes() # NAME: how often the place was passed, by all processes
{
    WEIR_FAILPOINTS_COUNTS=counts "$WEIR" failpoints --json |
        sed -nE "s/.*\"name\":\"$1\"[^}]*\"passes\":([0-9]+).*/\1/p"
}
pid_of() # LABEL: the process of a worker
{
    "$WEIR" status job --json | sed -nE "s/.*\"label\":\"$1\",[^}]*\"pid\":([0-9]+).*/\1/p"
}
state_of() # WHAT: a number of the job's
{
    "$WEIR" status job --json 2>/dev/null | sed -nE "s/.*\"$1\":([0-9]+),.*/\1/p"
}
runs() # it does, and nothing is being changed
{
    "$WEIR" status job --json 2>/dev/null | grep -q '"phase":"running",.*"rescale":null,'
}
coordinator()
{
    WEIR_HISTORY_SIZE=32768 WEIR_FAILPOINTS_COUNTS=counts "$WEIR" coordinator $FLOCK $PACED >>out.job 2>>err.job &
    COORDINATOR=$!
    wait_for 60 runs || echo "not ok the coordinator does not run"
}
move() # TURN: a few key groups, to one and back
{
    timeout 20 "$WEIR" move job --key-groups $(($1 / 2 % 30))-$(($1 / 2 % 30 + 1)) --to w$((2 - $1 % 2)) >>moves 2>&1
}
moved() # how many changes are done
{
    "$WEIR" rescales job --json | grep -o '"end":"done"' | wc -l
}

"$WEIR" run $FLOCK --steps $STEPS --directory one >one.out 2>err
coordinator
turn=0
killed=0
while [ $turn -lt 240 ]; do
    turn=$((turn + 1))
    case $turn in
    60 | 61 | 90 | 150) # its workers live on, and have applied orders that are in no log any more
        kill -9 $COORDINATOR
        wait $COORDINATOR 2>/dev/null
        coordinator
        killed=$((killed + 1))
        ;;
    120) # a new generation
        kill -9 "$(pid_of w2)"
        wait_for 20 sh -c "'$WEIR' status job --json | grep -q '\"generation\":2,.*\"phase\":\"running\"'"
        wait_for 20 runs
        ;;
    esac
    move $turn
    [ "$(state_of step)" -lt $((STEPS - 300)) ] || break
done
is "coordinators were killed" test $killed -ge 3
is "a hundred changes are done" test "$(moved)" -ge 100
is "they were folded" test "$(passes log_tables)" -ge 30
is "the history was replaced by a shorter one" test "$(passes history_replace)" -ge 5
is "it is not full" sh -c "'$WEIR' status job --json | grep -q '\"history_full\":false'"
is "snapshots are taken" test "$(state_of snapshots_taken)" -ge 1
wait $COORDINATOR
is "the job ends well" test $? -eq 0
is "the same fingerprint" sh -c "cat out.job job/state/finished 2>/dev/null | grep -q '$(print_of one.out)'"
is "the same files" same_files one job
exits 0 "whole snapshots" "$WEIR" snapshot verify job/state/store

# ---- one that is too small for a rescale ----
rm -rf job
WEIR_HISTORY_SIZE=16384 "$WEIR" run $FLOCK $PACED --steps 1200 >out 2>err.job &
RUN=$!
wait_for 60 runs || echo "not ok the job does not run"
exits 1 "a change that does not fit is refused" "$WEIR" rescale job --workers 3 --budget 1
holds "and it is said why" err "the history has no room for it: it may need"
taken=$(state_of snapshots_taken)
is "snapshots are taken all the same" wait_for 20 sh -c "
    [ \"\$('$WEIR' status job --json | sed -nE 's/.*\"snapshots_taken\":([0-9]+),.*/\1/p')\" -gt ${taken:-0} ]"
exits 0 "a small change fits" "$WEIR" move job --key-groups 3 --to w2
wait $RUN
is "the job ends well" test $? -eq 0
