#!/bin/sh
# kills: any number of workers gives the same bits and files, through kill -9 of everybody
. "$TOP/tests/support/check.sh"

FLOCK=$TOP/config/jobs/flock.toml
SMALL="--set birds=3000 --set run.key_groups=60 --set operator.mood.every_steps=10"

# ---- the same bits on any number of workers ----
alike()
{
    job=$1
    shift
    "$WEIR" run "$TOP/config/jobs/$job.toml" "$@" --directory "one.$job" >"one.$job.out" 2>err
    for n in 1 2 3 5; do
        rm -rf runs
        "$WEIR" run "$TOP/config/jobs/$job.toml" "$@" --workers $n >out 2>err
        is "$job on $n workers: the same fingerprint" test "$(print_of out)" = "$(print_of "one.$job.out")"
        is "$job on $n workers: the same files" same_files "one.$job" "runs/$job"
    done
}
alike flock $SMALL --steps 40
alike melt --set cells=6 --steps 40
alike outbreak --set schools=50

# ---- recordings ----
"$WEIR" run "$FLOCK" $SMALL --steps 40 --directory one --fingerprints one.prints --fingerprint-streams >out 2>err
rm -rf runs
exits 0 "a recording of three workers" "$WEIR" run "$FLOCK" $SMALL --steps 40 --workers 3 \
    --fingerprints three.prints --fingerprint-streams
is "is that of one process, operators and all" cmp one.prints three.prints
exits 0 "and each verifies the other" "$WEIR" run "$FLOCK" $SMALL --steps 40 --workers 2 --verify one.prints
awk '$1 == 20 { $3 = "0000000000000000" substr($3, 17) } { print }' one.prints >bad.prints
exits 1 "a step that differs ends the run" "$WEIR" run "$FLOCK" $SMALL --steps 40 --workers 2 --verify bad.prints
holds "which is named, with the column" err 'step 20 differs from bad.prints: state "birds"'

# ---- kill -9 ----
# Random numbers of a seed, which is printed and repeats the choices (not the timing).
SEED=${WEIR_SEED:-$(date +%s)}
echo "seed $SEED"
KILLS=${WEIR_KILLS:-50}
[ "${WEIR_LONG:-0}" = 1 ] && KILLS=${WEIR_KILLS:-5000}
STEPS=600
TOUGH="--set fault_tolerance.max_restarts=100000 --set fault_tolerance.backoff_seconds=0.01"
LONGER="$SMALL --steps $STEPS --set run.pace=200 --set snapshot.every_steps=50 $TOUGH"
victim() # a process of the run: a worker, or sometimes the coordinator
{
    draw 4
    if [ "$DRAWN" = 0 ]; then
        echo $RUN
    else
        pgrep -P $RUN | sed -n "$((DRAWN % 3 + 1))p"
    fi
}
begin() # a run in the background, its process in RUN
{
    "$WEIR" run "$FLOCK" $LONGER --workers 3 --resume >out 2>err &
    RUN=$!
}
"$WEIR" run "$FLOCK" $SMALL --steps $STEPS --directory long >long.out 2>err
killed=0
rounds=0
while [ $killed -lt "$KILLS" ]; do
    rm -rf runs
    rounds=$((rounds + 1))
    begin
    wait_for 60 test -f runs/flock/state/endpoint
    while kill -0 $RUN 2>/dev/null; do
        draw 8
        sleep 0.$((DRAWN + 1))
        victim=$(victim)
        [ $killed -ge "$KILLS" ] || [ -z "$victim" ] && { sleep 0.2; continue; }
        kill -9 "$victim" 2>/dev/null && killed=$((killed + 1))
        if [ "$victim" = $RUN ]; then
            wait $RUN 2>/dev/null
            begin
        fi
    done
    wait $RUN
    code=$?
    if grep -q 'has ended; --fresh' err; then # killed when all was done
        code=0
        echo "done. fingerprint $(cat runs/flock/state/finished)" >out
    fi
    is "round $rounds of kills ends well" test $code -eq 0
    [ $code -eq 0 ] || tail -n 30 err runs/flock/state/*.log
    is "with the fingerprint of an undisturbed run" test "$(print_of out)" = "$(print_of long.out)"
    is "and its files, byte for byte" same_files long runs/flock
    exits 0 "and whole snapshots" "$WEIR" snapshot verify runs/flock/state
done
echo "killed $killed processes in $rounds runs"

# ---- frozen processes ----
rm -rf runs
LONGER="$LONGER --set run.pace=100"
begin
wait_for 60 test -f runs/flock/state/endpoint
wait_for 60 sh -c "$WEIR status flock | grep -q running"
frozen=$(pgrep -P $RUN | head -n 1)
kill -STOP "$frozen"
wait_for 60 sh -c "$WEIR status flock --json | grep -q '\"generation\":2'"
is "a frozen worker is replaced" test $? -eq 0
kill -CONT "$frozen" 2>/dev/null
wait $RUN
is "the run ends well" test $? -eq 0
is "with the same fingerprint" test "$(print_of out)" = "$(print_of long.out)"
is "and files" same_files long runs/flock

# ---- from another terminal ----
rm -rf runs
"$WEIR" run "$FLOCK" $SMALL --steps 1000000 --workers 2 >out 2>err &
RUN=$!
is "status answers" wait_for 60 sh -c "$WEIR status flock | grep -q running"
exits 0 "a snapshot is taken" "$WEIR" snapshot flock --label mine
exits 0 "and listed" "$WEIR" snapshots flock
holds "with its label" out mine
exits 0 "suspend" "$WEIR" suspend flock
is "is seen" wait_for 60 sh -c "$WEIR status flock | grep -qE 'suspended|paused'"
exits 0 "resume" "$WEIR" resume flock
exits 0 "drain" "$WEIR" drain flock
wait $RUN
is "ends the run" test $? -eq 0

# ---- a job's own error is no reason to try again ----
rm -rf runs
"$WEIR" run "$FLOCK" $SMALL --steps 50 --set job.dt=1000 --workers 3 >out 2>err
is "a step that fails fails the job" test $? -eq 1
is "and says where, once" sh -c "grep -E '^[^:]*flock.toml: step 0: state .*id [0-9]+ .*use a larger skin' err"
"$WEIR" run "$FLOCK" $SMALL --steps 50 --set job.dt=1000 2>alone
is "as one process does" test "$(tail -n 1 err)" = "$(tail -n 1 alone)"

