# Sourced by tests/bench/run: what it costs to change the workers of a running job.
#
# A million birds, 2 -> 3 -> 1 -> 2 workers of one thread, all on one processor, so that the power to compute is
# the same for each number of them. A step is measured from outside: from one line of the recording to the next.

BIRDS=${BENCH_BIRDS:-1000000}
WINDOW=8               # steps that a key group may be ahead of another: a job's usual one
CALM=${BENCH_CALM:-12} # seconds between two changes; what is before one is compared with what is during it
job_rescale() # WORKERS ARGUMENTS...: in the background, its process in runner
{
    workers=$1
    shift
    taskset -c 0 "$weir" run "$bench/flock.toml" --quiet --workers "$workers" --threads 1 --steps 1000000 \
        --set birds="$BIRDS" --set run.window="$WINDOW" --directory "$work/cluster" \
        --set snapshot.every_seconds=1000000 "$@" \
        >/dev/null 2>>"$work/cluster.err" &
    runner=$!
    beyond 10
}
beyond() # STEP: wait until the run is there
{
    limit=$(($(date +%s) + 120))
    while [ "$(date +%s)" -lt $limit ] && ! [ "$(status_member step || echo 0)" -ge "$1" ] 2>/dev/null; do
        sleep 0.1
    done
}
end_rescale()
{
    "$weir" cancel "$work/cluster" >>"$work/cluster.err" 2>&1
    wait $runner
    [ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null
    [ -z "${watcher:-}" ] || wait "$watcher" 2>/dev/null
    watcher=
}
watch() # WHAT OF...: into build/bench/WHAT
{
    "$root/build/release/tests/bench/bench_watch" "$@" >"$work/$1" &
    watcher=$!
}
last_rescale() # MEMBER: of the newest that has ended
{
    "$weir" rescales "$work/cluster" --json | sed 's/{"id"/\n{"id"/g' | member "$1"
}
state_bytes() # of all workers
{
    "$weir" workers "$work/cluster" --json | grep -oE '"state_bytes":[0-9]+' | awk -F: '{ n += $2 } END { print n }'
}
# steps_of FROM TO COLUMN: the longest step that ended between, in ms, and the median; 1: of the clock, 3: of the
# processor, which it had for itself if nobody else wanted it
steps_of()
{
    awk -v from="$1" -v to="$2" -v c="$3" \
        'NR > 1 && $1 > from && $1 <= to { print 1000 * ($c - last) } { last = $c }' "$work/steps" | sort -g |
        awk '{ v[NR] = $1 } END { if (NR > 0) print v[NR], v[int((NR + 1) / 2)] }'
}
# excess FROM TO COLUMN: the most, in ms, by which a step between was longer than the median of those of its kind
# in the calm time before. At every EVERY-th step birds settle, which takes more than twice as long, rescale or
# not: so steps with the same remainder are compared. And the sum of what that step, the one before and the one
# after it were longer.
excess()
{
    awk -v from="$1" -v to="$2" -v c="$3" -v calm="$CALM" -v every="$every" '
        function median(kind, n, i, j, x) {
            n = count[kind]
            for (i = 2; i <= n; i++) {
                x = gap[kind, i]
                for (j = i - 1; j > 0 && gap[kind, j] > x; j--)
                    gap[kind, j + 1] = gap[kind, j]
                gap[kind, j + 1] = x
            }
            return gap[kind, int((n + 1) / 2)]
        }
        NR > 1 && $1 > from - calm && $1 <= from { gap[$2 % every, ++count[$2 % every]] = 1000 * ($c - last) }
        NR > 1 && $1 > from && $1 <= to { during[++steps] = 1000 * ($c - last); kind[steps] = $2 % every }
        { last = $c }
        END {
            for (k = 0; k < every; k++)
                usual[k] = median(k)
            for (i = 1; i <= steps; i++) {
                if (count[kind[i]] == 0) # none of its kind was in the calm time
                    continue
                longer[i] = during[i] - usual[kind[i]]
                if (at == 0 || longer[i] > longer[at])
                    at = i
            }
            print longer[at], longer[at - 1] + longer[at] + longer[at + 1]
        }' "$work/steps"
}
# change WORKERS SHARE: a rescale of that share at least. Lines that begin with WORKERS in rescale.steps and, of the processor's
# time, in rescale.used: longest during, longest before, excess; in rescale.calm: the excess in as long a time before, which
# is what the machine does to the figure; in rescale.bytes: moved over least.
change()
{
    sleep "$CALM"
    all=$(state_bytes)
    from=$(date +%s.%N)
    "$weir" rescale "$work/cluster" --workers "$1" >>"$work/cluster.err" 2>&1
    to=$(date +%s.%N)
    earlier=$(awk "BEGIN { printf \"%.6f\", 2 * $from - $to }")
    for column in 1 3; do
        set -- "$1" "$2" "$(steps_of "$from" "$to" $column | cut -d' ' -f1)" \
            "$(steps_of "$earlier" "$from" $column | cut -d' ' -f1)" "$(excess "$from" "$to" $column | cut -d' ' -f1)"
        [ $column = 1 ] && echo "$1 $3 $4 $5" >>"$work/rescale.steps" || echo "$1 $3 $4 $5" >>"$work/rescale.used"
    done
    echo "$1 $(excess "$earlier" "$from" 1 | cut -d' ' -f1)" >>"$work/rescale.calm"
    echo "$1 $(awk "BEGIN { print $(last_rescale bytes) / ($2 * $all) }")" >>"$work/rescale.bytes"
}
# worst EXPRESSION FILE: of awk's fields; the median of the runs of each change (field 1), and the greatest of these
worst()
{
    awk "{ print \$1, $1 }" "$2" | sort -k1,1 -k2,2g | awk '
        function end() { if (n > 0 && (most == "" || v[int((n + 1) / 2)] > most)) most = v[int((n + 1) / 2)] }
        $1 != kind { end(); n = 0; kind = $1 }
        { v[++n] = $2 + 0 }
        END { end(); print most }'
}
if chosen rescale.longest_step || chosen rescale.bytes || chosen rescale.vs_restart || chosen rescale.memory ||
    chosen rescale.bandwidth || chosen rescale.late; then
    root=$PWD
    make --no-print-directory build/release/tests/bench/bench_watch >>"$work/build.log" 2>&1 || exit 1
    every=$("$weir" check "$bench/flock.toml" | sed -nE 's/.*they settle every ([0-9]+) steps.*/\1/p')
    every=${every:-1}
fi

# rescales SUFFIX: 2 -> 3 -> 1 -> 2 workers, as many times as there are runs, and the figures of the steps meanwhile. The job
# goes on.
rescales()
{
    rm -rf "$work/cluster" "$work/prints" "$work"/rescale.steps "$work"/rescale.used "$work"/rescale.calm \
        "$work"/rescale.bytes
    job_rescale 2 --fingerprints "$work/prints"
    watch steps "$work/prints" $runner
    for turn in $(seq "$runs"); do
        change 3 "1/3"
        change 1 "2/3"
        change 2 "1/2"
    done
    tell "rescale.longest_step$1" "$(worst '$2 / $3' "$work/rescale.steps")" \
        "of the longest in the same time before" 1.5 'v + 0 <= t + 0' \
        "\"of the processor's time\": $(worst '$2 / $3' "$work/rescale.used")"
    tell "rescale.longest_step.more$1" "$(worst '$4' "$work/rescale.steps")" \
        "ms more than the median before of such steps" 10 'v + 0 <= t + 0' \
        "\"of the processor's time\": $(worst '$4' "$work/rescale.used"), \"without a rescale\": $(worst '$2' "$work/rescale.calm")"
}
# restart SUFFIX: the usual way: a snapshot, an end, a start at the new size; over the excess of the rescales before.
restart()
{
    : >"$work/rescale.pauses"
    for turn in $(seq "$runs"); do
        sleep 3
        "$weir" snapshot "$work/cluster" >>"$work/cluster.err" 2>&1
        kill -9 $runner
        wait $runner 2>/dev/null
        set -- "$1" $(tail -n 1 "$work/steps")
        job_rescale 3 --fingerprints "$work/prints" --resume
        beyond $(($3 + 3))
        awk -v at="$2" -v last="$3" '$1 > at && $2 > last { print "pause", $1 - at; exit }' "$work/steps" >>"$work/rescale.pauses"
    done
    tell "rescale.vs_restart$1" "$(awk -v pause="$(worst '$2' "$work/rescale.pauses")" -v e="$(worst '$4' "$work/rescale.steps")" \
        'BEGIN { print 1000 * pause / (e < 0.1 ? 0.1 : e) }')" "of the longest step's excess" 100 'v + 0 >= t + 0' \
        "\"pause in ms\": $(worst '1000 * $2' "$work/rescale.pauses"), \"excess in ms\": $(worst '$4' "$work/rescale.steps")"
}
if chosen rescale.longest_step || chosen rescale.bytes || chosen rescale.vs_restart; then
    rescales ""
    tell rescale.bytes "$(worst '$2' "$work/rescale.bytes")" "of the least that must move" 1.05 'v + 0 <= t + 0'
    restart ""
    end_rescale
fi
# The same of steps that are run one after the other: with a window of 8 threads run key groups ahead, so that work
# of a step is done in the time of others, and steps differ by a tenth of a second with or without a rescale.
if chosen rescale.longest_step || chosen rescale.vs_restart; then
    WINDOW=1
    rescales .window1
    restart .window1
    end_rescale
    WINDOW=8
fi

# What a run at a pace shows of it: ten steps a second of a small flock, of which none should be late.
if chosen rescale.late; then
    rm -rf "$work/cluster"
    million=$BIRDS
    BIRDS=$((BIRDS / 10))
    job_rescale 2 --set run.pace=10
    for n in 3 1 2; do
        sleep 3
        "$weir" rescale "$work/cluster" --workers $n >>"$work/cluster.err" 2>&1
    done
    all=$("$weir" rescales "$work/cluster" --json)
    late=$(echo "$all" | grep -oE '"late_steps":[0-9]+' | awk -F: '{ n += $2 } END { print n }')
    longest=$(echo "$all" | grep -oE '"longest_step_ms":[0-9.]+' | awk -F: '$2 > most { most = $2 } END { print most }')
    end_rescale
    BIRDS=$million
    tell rescale.late "$late" "late steps in three rescales" 0 'v + 0 <= t + 0' \
        "\"longest step in ms\": $longest, \"pace in ms\": 100"
fi

if chosen rescale.memory; then # a process more has a program and a heap of its own: from 2 to 2 by way of a move
    rm -rf "$work/cluster"
    job_rescale 2
    sleep "$CALM"
    watch memory $runner
    sleep 3
    from=$(date +%s.%N)
    "$weir" move "$work/cluster" --key-groups 0-127 --to w2 >>"$work/cluster.err" 2>&1
    "$weir" rebalance "$work/cluster" >>"$work/cluster.err" 2>&1
    to=$(date +%s.%N)
    end_rescale
    before=$(awk -v from="$from" '$1 < from && $2 > most { most = $2 } END { print most }' "$work/memory")
    during=$(awk -v from="$from" -v to="$to" '$1 >= from && $1 <= to && $2 > most { most = $2 } END { print most }' \
        "$work/memory")
    tell rescale.memory "$(awk "BEGIN { print 100 * ($during / $before - 1) }")" "% more" 10 'v + 0 <= t + 0'
fi

# Half of all that there is moves, at one step: how much longer do that step and its neighbours take? Beside two
# processes that do nothing but move as many bytes in the same way, on the one processor, too. The birds are ten times
# slower than elsewhere, so that none settle meanwhile: each step is like the others.
moved_bytes() # of all channels, as workers have told last
{
    "$work/fetch" "$("$weir" status "$work/cluster" --json | sed -nE 's/.*"metrics" *: *"([^"]+)".*/\1/p')" /metrics |
        awk '/^weir_channel_moved_bytes_total/ { n += $2 } END { printf "%d", n }'
}
rate() # BYTES MS RATE: over another rate, in GB/s
{
    awk "BEGIN { e = $2; if (e < 0.1) e = 0.1; print 1e-6 * $1 / e / $3 }"
}
if chosen rescale.bandwidth; then
    gcc -O2 -D_GNU_SOURCE -I. -o "$work/bench_net" "$bench/bench_net.c" build/release/app/coordinator/coord_net*.o \
        build/release/app/coordinator/coord_ring.o \
        build/release/app/coordinator/coord_keys.o build/release/app/coordinator/coord_allowed.o \
        build/release/app/coordinator/proto_codec.o -Lbuild/release/lib -lweir -lzmq \
        -Wl,-rpath,"$PWD/build/release/lib" || exit 1
    gcc -O2 -D_GNU_SOURCE -o "$work/fetch" tests/integration/fetch.c || exit 1
    rm -rf "$work/cluster" "$work/prints"
    BIRDS=$((4 * BIRDS))
    WINDOW=1
    every=1
    job_rescale 2 --fingerprints "$work/prints" --metrics 0 --set job.dt=0.00005 --set state.birds.settle_every=190
    watch steps "$work/prints" $runner
    for target in w2 w1; do # one of them has them already
        sleep "$CALM"
        from=$(date +%s.%N)
        "$weir" move "$work/cluster" --key-groups 0-127 --to $target --budget 1TiB >>"$work/cluster.err" 2>&1
        to=$(date +%s.%N)
        states=$(last_rescale bytes)
        [ "${states:-0}" -gt 0 ] && break
    done
    sleep 3 # until the workers have told
    moved=$(moved_bytes)
    set -- $(excess "$from" "$to" 1) $(excess "$from" "$to" 3)
    end_rescale
    taskset -c 0 "$work/bench_net" moved "$moved" >"$work/rescale.bare"
    bare=$(grep '"net.moved.again"' "$work/rescale.bare" | member value) # the faster of the two
    new=$(grep '"net.moved"' "$work/rescale.bare" | member value)
    hot=$(taskset -c 0 "$work/bench_net" | sed -nE 's/.*"net.ipc.throughput".*"value": ([0-9.]+).*/\1/p')
    tell rescale.bandwidth "$(rate "$moved" "$2" "$bare")" "of the bare transport" 0.8 'v + 0 >= t + 0' \
        "$(printf '"of the processor'"'"'s time": %.4g, "bytes": %d, "of them states": %d, "ms": %.4g, "bare": %.4g, "of new memory": %.4g, "its rate": %.4g, "of frames in a cache": %.4g, "their rate": %.4g' \
            "$(rate "$moved" "$4" "$bare")" "$moved" "$states" "$2" "$bare" "$(rate "$moved" "$2" "$new")" "$new" \
            "$(rate "$moved" "$2" "$hot")" "$hot")"
fi
