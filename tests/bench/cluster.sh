# Sourced by tests/bench/run: what workers, snapshots and recovery cost.
#
# The speed of a run is of the steps between a short one and a long one, so that starting, the last
# snapshot and ending count on neither side.

# cluster JOB WORKERS THREADS STEPS ARGUMENTS...: seconds of a whole run
cluster()
{
    job=$1 workers=$2 threads=$3 steps=$4
    shift 4
    "$weir" run "$bench/$job.toml" --json --quiet --fresh --workers "$workers" --threads "$threads" \
        --steps "$steps" --directory "$work/cluster" "$@" 2>>"$work/cluster.err" | member seconds
}
# speed_cluster ROWS SHORT LONG JOB WORKERS THREADS ARGUMENTS...: row-steps per second
speed_cluster()
{
    rows=$1 short=$2 long=$3 job=$4 workers=$5 threads=$6
    shift 6
    begin=$(cluster "$job" "$workers" "$threads" "$short" "$@")
    end=$(cluster "$job" "$workers" "$threads" "$long" "$@")
    awk "BEGIN { print $rows * ($long - $short) / ($end - $begin) }"
}
NEVER="--set snapshot.every_seconds=1000000"

compare distributed.flock 0.95 "of one worker with two threads" \
    "speed_cluster 1000000 20 120 flock 2 1 $NEVER" "speed_cluster 1000000 20 120 flock 1 2 $NEVER"
compare distributed.melt 0.95 "of one worker with two threads" \
    "speed_cluster 1000188 20 60 melt 2 1 $NEVER --set cells=63" \
    "speed_cluster 1000188 20 60 melt 1 2 $NEVER --set cells=63"

if chosen snapshot.cost; then
    : >"$work/weir.snapshot.cost"
    : >"$work/other.snapshot.cost"
    for turn in $(seq "$runs"); do
        speed_cluster 1000000 20 220 flock 2 1 --set snapshot.every_seconds=1 >>"$work/weir.snapshot.cost"
        speed_cluster 1000000 20 220 flock 2 1 $NEVER >>"$work/other.snapshot.cost"
    done
    tell snapshot.cost "$(awk "BEGIN { print 100 * (1 - $(median <"$work/weir.snapshot.cost") / \
        $(median <"$work/other.snapshot.cost")) }")" "% of the speed, one each second" 2 'v + 0 <= t + 0' \
        "\"runs\": $runs"
fi

if chosen step.minimum; then
    for turn in $(seq "$runs"); do
        speed_cluster 1 1000 21000 tiny 2 1 $NEVER
    done >"$work/steps"
    tell step.minimum "$(median <"$work/steps")" "steps/s" 10000 'v + 0 >= t + 0' "\"runs\": $runs"
fi

# ---- recovery ----

status_member() # NAME: of the status of the run below
{
    "$weir" status "$work/cluster" --json 2>/dev/null | member "$1"
}
until_step() # STEP GENERATION: seconds of the clock when the job is beyond that step in that generation
{
    limit=$(($(date +%s) + 60))
    while [ "$(date +%s)" -lt $limit ]; do
        line=$("$weir" status "$work/cluster" --json 2>/dev/null)
        now=$(date +%s.%N)
        echo "$line" | grep -q '"phase":"running"' &&
            [ "$(echo "$line" | member generation)" -ge "$2" ] &&
            [ "$(echo "$line" | member step)" -gt "$1" ] && break
    done
    echo "$now"
}
begin_run() # ARGUMENTS...: two workers, in the background, until it has a snapshot
{
    rm -rf "$work/cluster"
    "$weir" run "$bench/flock.toml" --quiet --workers 2 --threads 1 --steps 100000 \
        --directory "$work/cluster" --set snapshot.every_seconds=2 "$@" >/dev/null 2>>"$work/cluster.err" &
    runner=$!
    limit=$(($(date +%s) + 60))
    while [ "$(date +%s)" -lt $limit ] && [ "$(status_member snapshot || echo 0)" -lt 1 ] 2>/dev/null ||
        [ -z "$(status_member snapshot)" ]; do
        sleep 0.05
    done
}
# A worker is hit; how long until the first step of the next generation is done?
recover() # SIGNAL
{
    begin_run
    victim=$(pgrep -P $runner | tail -n 1)
    begin=$(date +%s.%N)
    kill "-$1" "$victim"
    end=$(until_step "$(status_member snapshot_step)" 2)
    kill -9 $runner
    wait $runner 2>/dev/null
    kill -9 "$victim" 2>/dev/null
    awk "BEGIN { print $end - $begin }"
}
restore()
{
    begin_run
    kill -9 $runner
    wait $runner 2>/dev/null
    sleep 1 # its workers end with it; what is measured is the new command
    begin=$(date +%s.%N)
    "$weir" run "$bench/flock.toml" --quiet --workers 2 --threads 1 --steps 100000 --resume \
        --directory "$work/cluster" --set snapshot.every_seconds=2 >/dev/null 2>>"$work/cluster.err" &
    runner=$!
    end=$(until_step "$(status_member snapshot_step)" 1)
    kill -9 $runner
    wait $runner 2>/dev/null
    awk "BEGIN { print $end - $begin }"
}
if chosen recovery.kill; then
    for turn in $(seq "$runs"); do recover KILL; done >"$work/recovery"
    tell recovery.kill "$(median <"$work/recovery")" "s to the first step" 1 'v + 0 <= t + 0' "\"runs\": $runs"
fi
if chosen recovery.silent; then
    for turn in $(seq "$runs"); do recover STOP; done >"$work/recovery"
    tell recovery.silent "$(median <"$work/recovery")" "s to the first step, 2 of them the timeout" 3 \
        'v + 0 <= t + 0' "\"runs\": $runs"
fi
if chosen restore.time; then
    for turn in $(seq "$runs"); do restore; done >"$work/recovery"
    tell restore.time "$(median <"$work/recovery")" "s from the command to the first step" 0.5 \
        'v + 0 <= t + 0' "\"runs\": $runs"
fi
