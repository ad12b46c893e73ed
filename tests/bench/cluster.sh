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

# What one snapshot costs, in seconds, is what one each second costs of the speed: stretches of steps with one and
# with none, in turns, in one run. Two whole runs differ by more than that.
if chosen snapshot.cost; then
    compile bench_pairs
    for turn in $(seq "$runs"); do
        "$weir" run "$bench/flock_steps.toml" --quiet --fresh --workers 2 --threads 1 --steps 1000 \
            --directory "$work/cluster" --set state.birds.settle_every=19 --set state.birds.skin=0.02 \
            --set snapshot.every_steps=38 2>>"$work/cluster.err" | "$work/bench_pairs" 38 | member cost
    done >"$work/weir.snapshot.cost"
    tell snapshot.cost "$(awk "BEGIN { print 100 * $(median <"$work/weir.snapshot.cost") }")" \
        "% of the speed, one each second" 2 'v + 0 <= t + 0' "\"runs\": $runs"
fi

# The longest gap between two steps in each second, with a snapshot in each and with none: the median of
# either, and their difference in median steps.
steps_seen() # ARGUMENTS...
{
    "$weir" run "$bench/flock_steps.toml" --quiet --fresh --workers 2 --threads 1 --steps 400 \
        --directory "$work/cluster" "$@" 2>>"$work/cluster.err" | "$work/bench_steps" 20
}
if chosen snapshot.step; then
    compile bench_steps
    : >"$work/weir.snapshot.step"
    for turn in $(seq "$runs"); do
        with=$(steps_seen --set snapshot.every_seconds=1)
        without=$(steps_seen $NEVER)
        awk "BEGIN { print ($(echo "$with" | member longest) - $(echo "$without" | member longest)) / \
            $(echo "$without" | member step) }" >>"$work/weir.snapshot.step"
    done
    tell snapshot.step "$(median <"$work/weir.snapshot.step")" "median steps that the longest one is longer" 1 \
        'v + 0 <= t + 0' "\"runs\": $runs"
fi

# ---- how soon a live job's snapshot is durable ----

sample() # NAME: of the page of metrics that was fetched last; of several workers the largest
{
    sed -nE "s/^$1(\{[^}]*\})? ([-+0-9.eE]+)$/\2/p" "$work/page" | sort -g | tail -n 1
}
# write() and fdatasync() of so many bytes beside the job, in the same folder: seconds
plain_write() # BYTES
{
    LC_ALL=C dd if=/dev/zero of="$work/cluster/plain" bs=1M count="$1" iflag=count_bytes conv=fdatasync 2>&1 |
        sed -nE 's/.*copied, ([0-9.e-]+) s.*/\1/p'
    rm -f "$work/cluster/plain"
}
# The slowest worker's part, from what its tasks have kept to its synced file, and then the commit.
durable()
{
    rm -rf "$work/cluster"
    "$weir" run "$bench/flock.toml" --quiet --workers 2 --threads 1 --steps 100000 --metrics 0 \
        --directory "$work/cluster" --set snapshot.every_seconds=2 >/dev/null 2>>"$work/cluster.err" &
    runner=$! last=0 seen=0
    limit=$(($(date +%s) + 60))
    while [ "$(date +%s)" -lt $limit ] && [ "$seen" -lt $((3 * runs)) ]; do
        sleep 0.2
        address=$("$weir" status "$work/cluster" --json 2>/dev/null | sed -nE 's/.*"metrics":"([^"]+)".*/\1/p')
        [ -n "$address" ] && "$work/fetch" "$address" /metrics >"$work/page" 2>/dev/null || continue
        id=$(sample weir_snapshot_last_id)
        part=$(sample weir_worker_snapshot_duration_seconds_sum)
        count=$(sample weir_worker_snapshot_duration_seconds_count)
        [ -n "$id" ] && [ "$id" != "$last" ] && [ "${count:-0}" -ge 1 ] || continue
        last=$id seen=$((seen + 1))
        plain=$(plain_write "$(sample weir_snapshot_last_written_bytes)")
        awk "BEGIN { print ($part / $count + $(sample weir_snapshot_last_commit_seconds)) / $plain }"
    done
    kill -9 $runner
    wait $runner 2>/dev/null
}
if chosen snapshot.durable; then
    gcc -std=c17 -D_GNU_SOURCE -O2 -o "$work/fetch" "$bench/../integration/fetch.c" || exit 1
    durable >"$work/weir.snapshot.durable"
    [ -s "$work/weir.snapshot.durable" ] || echo 1e9 >"$work/weir.snapshot.durable" # none was seen: a miss
    tell snapshot.durable "$(median <"$work/weir.snapshot.durable")" "of write and fdatasync of the same bytes" \
        2 'v + 0 <= t + 0' "\"runs\": $(wc -l <"$work/weir.snapshot.durable")"
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
