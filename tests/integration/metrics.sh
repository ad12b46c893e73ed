#!/bin/sh
# metrics: a running job's numbers over HTTP, through a worker's death
. "$TOP/tests/support/check.sh"
jobs=$TOP/config/jobs
flock="$jobs/flock.toml --set birds=3000 --set run.key_groups=32 --steps 100000"
paced="--set run.pace=60 --set snapshot.every_steps=20"
is "a client to fetch with" "${CC:-gcc}" -std=c17 -D_GNU_SOURCE -o fetch "$TOP/tests/integration/fetch.c"

# address_of FILE: what was bound, from what the run says.
address_of()
{
    sed -n 's|^metrics at http://\(.*\)/metrics$|\1|p' "$1"
}

# value NAME[LABELS]: a sample as it stood when the page was fetched last.
value()
{
    awk -v key="$1" 'index($0, key " ") == 1 { print $NF }' page
}

# reaches NAME[LABELS] VALUE: fetched again, the sample is at least that.
reaches()
{
    ./fetch "$address" /metrics >page 2>/dev/null &&
        awk -v key="$1" -v least="$2" 'index($0, key " ") == 1 && $NF >= least { found = 1 }
            END { exit !found }' page
}

# fetch_both: the job's page and that of its key groups, one behind the other, into `both`.
fetch_both()
{
    ./fetch "$address" /metrics >page 2>/dev/null && ./fetch "$address" /metrics/key-groups >groups 2>/dev/null &&
        cat page groups >both
}

# Of a sample in $1: its family in `name`, its labels in `label`.
sample='function sample(  parts, n, i, pair) {
    split("", label)
    name = $0; sub(/[{ ].*/, "", name)
    if (index($0, "{") == 0)
        return
    n = split(substr($0, index($0, "{") + 1, length($0) - index($0, "{") - length($NF) - 2), parts, ",")
    for (i = 1; i <= n; i++) {
        split(parts[i], pair, "=")
        gsub(/"/, "", pair[2])
        label[pair[1]] = pair[2]
    }
}'

# ---- what is refused ----
exits 2 "--metrics without workers" "$WEIR" run $flock --metrics 0
holds "is said so" err "go with --workers"
exits 2 "no address" "$WEIR" run $flock --workers 1 --metrics there:80
holds "is said so" err "expected PORT or A.B.C.D:PORT"
is "and nothing was begun" test ! -e runs

# ---- a running job ----
"$WEIR" run $flock $paced --workers 2 --metrics 0 >out.long 2>err.long &
runner=$!
is "it says where" wait_for 60 grep -q '^metrics at http://127\.0\.0\.1:[0-9]*/metrics$' err.long
address=$(address_of err.long)
is "the step moves" wait_for 60 reaches weir_step 5
is "and again" wait_for 60 reaches weir_step "$(($(value weir_step) + 5))"
for worker in w1 w2; do
    is "$worker tells its rows" wait_for 60 reaches "weir_worker_row_steps_total{worker=\"$worker\"}" 3000
    is "$worker tells its operators" wait_for 60 \
        reaches "weir_operator_calls_total{worker=\"$worker\",operator=\"fly\",role=\"operator\",kind=\"boids\"}" 30
    is "$worker has written parts" wait_for 60 \
        reaches "weir_worker_snapshot_duration_seconds_count{worker=\"$worker\"}" 2
done
is "frames go both ways" sh -c '[ "$(grep -c "^weir_channel_frames_sent_total{worker=\"w[12]\",peer=\"w[12]\"} [1-9]" page)" = 2 ]'
is "snapshots are counted" wait_for 60 reaches weir_snapshots_taken_total 2
is "and measured" wait_for 60 reaches weir_snapshot_duration_seconds_count 2
is "their size, too" wait_for 60 reaches weir_snapshot_last_size_bytes 1000
is "two workers are here" test "$(value 'weir_workers{state="here"}')" = 2
is "nothing was refused as damaged" test "$(value 'weir_rejected_messages_total{reason="field"}')" = 0
exits 2 "another path" ./fetch "$address" /
exits 2 "and one below it" ./fetch "$address" /metrics/key-group
exits 0 "status" "$WEIR" status flock
holds "says where" out "http://$address/metrics"
exits 0 "status as JSON" "$WEIR" status flock --json
holds "says where, too" out "\"metrics\":\"$address\""
exits 1 "a second run at the same port" "$WEIR" run $flock --workers 1 --directory other --metrics "$address"
holds "is refused" err "cannot listen at $address"
is "key groups have a page" fetch_both
is "and are on no other" sh -c '! grep -q "key_group=" page'
sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' both >names
is "each is described" awk 'NR == FNR { text = text $0; next }
    !index(text, "`" $1 "`") && !index(text, "`" $1 "{") { print $1; missing = 1 }
    END { exit missing }' "$TOP/coordinator/README.md" names

# ---- standing still, the workers' rows are whole steps' rows ----
# rows_are_whole: all of the 3000 birds of as many steps as were begun, whichever thread ran them (unless a
# worker was lost meanwhile: what it had done of a step is done again).
rows_are_whole()
{
    ./fetch "$address" /metrics >page 2>/dev/null &&
        awk '/^weir_worker_row_steps_total/ { rows += $NF }
            /^weir_operator_rows_out_total.*operator="birds"/ { made += $NF }
            /^weir_step / { step = $NF }
            /^weir_restarts_total / { lost = $NF }
            END { exit !(lost > 0 || rows >= 3000 * step && rows % 3000 == 0 && made == rows) }' page
}
is "suspend" "$WEIR" suspend flock
is "no row is missing" wait_for 60 rows_are_whole

# calls_are_whole TILES: each tile's birds flew once at each step and entered it once, before step 0 each of 32
# sources ran, and each call was a task of its own. A bird is 8 bytes of key and 6 columns of 4.
calls_are_whole()
{
    ./fetch "$address" /metrics >page 2>/dev/null &&
        awk -v tiles="$1" "$sample"'
            /^#/ { next }
            { sample(); total[name "," label["operator"]] += $NF }
            name == "weir_operator_duration_seconds_count" && label["role"] != "sink" { tasks += $NF }
            END {
                steps = total["weir_step,"] + 1
                exit !(total["weir_restarts_total,"] > 0 ||
                    total["weir_operator_calls_total,fly"] == tiles * steps &&
                    total["weir_operator_duration_seconds_count,fly"] == tiles * steps &&
                    total["weir_operator_duration_seconds_count,birds"] == tiles * (steps + 1) &&
                    total["weir_operator_duration_seconds_count,hatch"] == 32 &&
                    total["weir_operator_bytes_in_total,fly"] == 32 * 3000 * steps &&
                    total["weir_operator_bytes_out_total,fly"] == 32 * 3000 * steps &&
                    total["weir_key_group_task_duration_seconds_count,"] == tasks)
            }' page
}
tiles=$("$WEIR" check ${flock% --steps *} | sed -nE 's/^ *([0-9]+) key groups: the tiles of sky.*/\1/p')
is "no call is missing" wait_for 60 calls_are_whole "$tiles"

# groups_are_whole: each of 32 key groups once on each line, all of the birds in them (with where they settled, 12
# bytes more), and what its worker says to have.
groups_are_whole()
{
    fetch_both &&
        awk "$sample"'
            /^#/ { next }
            { sample() }
            name == "weir_key_group_rows" { rows += $NF; of[label["worker"]] += $NF; seen[label["key_group"]]++ }
            name == "weir_key_group_bytes" { bytes += $NF }
            name == "weir_key_group_step_cost_seconds" { costs++; cost += $NF }
            name == "weir_worker_state_rows" { told[label["worker"]] = $NF }
            END {
                for (group in seen) {
                    groups++
                    if (group + 0 > 31 || seen[group] != 1)
                        exit 1
                }
                for (worker in told)
                    if (told[worker] != of[worker])
                        exit 1
                exit !(groups == 32 && costs == 32 && cost > 0 && rows == 3000 && bytes == 44 * 3000)
            }' both
}
is "no key group is missing" wait_for 60 groups_are_whole

# channels_are_whole: what one has sent the other one has received, and each frame has waited once.
channels_are_whole()
{
    ./fetch "$address" /metrics >page 2>/dev/null &&
        awk "$sample"'
            /^#/ { next }
            { sample(); at = name "," label["worker"] "," label["peer"]; value[at] = $NF; pairs[label["worker"] "," label["peer"]] = 1 }
            name == "weir_channel_sent_bytes_total" { channels++ }
            function of(name, from, to) { return value["weir_channel_" name "," from "," to] }
            END {
                for (k = 1; k <= 2; k++) {
                    from = "w" k; to = "w" 3 - k
                    frames = of("frames_sent_total", from, to) - of("frames_resent_total", from, to)
                    if (frames <= 0 || frames != of("frames_received_total", to, from) ||
                        frames != of("wait_seconds_count", from, to) ||
                        of("sent_bytes_total", from, to) <= 0 ||
                        of("sent_bytes_total", from, to) != of("received_bytes_total", to, from))
                        exit value["weir_restarts_total,,"] == 0
                }
                exit channels != 2
            }' page
}
is "no frame is missing" wait_for 60 channels_are_whole

# histograms_are_right: buckets ascend and do not shrink, the last is the count, and the sum is what so many of such
# lengths can add up to; a snapshot's phases are all of its time.
histograms_are_right()
{
    fetch_both &&
        awk "$sample"'
            /^#/ { next }
            { sample(); series = $0; sub(/ [^ ]*$/, "", series); sub(/,le="[^"]*"/, "", series); sub(/[{]le="[^"]*"}/, "", series) }
            name == "weir_snapshot_phase_duration_seconds_sum" { phases += $NF }
            name == "weir_snapshot_duration_seconds_sum" { snapshots = $NF }
            sub(/_bucket/, "", series) {
                infinite = label["le"] == "+Inf"
                if (series in count && ($NF < count[series] || !infinite && label["le"] + 0 <= bound[series]))
                    exit wrong = 1
                least[series] += ($NF - count[series]) * bound[series]
                most[series] += $NF == count[series] + 0 ? 0 : infinite ? 1e300 : ($NF - count[series]) * label["le"]
                count[series] = $NF
                bound[series] = label["le"] + 0
                ended[series] = infinite
                next
            }
            sub(/_count/, "", series) && series in count { counts++; if (!ended[series] || $NF != count[series]) exit wrong = 1 }
            sub(/_sum/, "", series) && series in count {
                sums++
                if ($NF > most[series] * (1 + 1e-9) || $NF < least[series] * (1 - 1e-9))
                    exit wrong = 1
            }
            END {
                difference = phases - snapshots
                exit !(!wrong && counts > 20 && counts == sums && snapshots > 0 && difference < 1e-6 && difference > -1e-6)
            }' both
}
is "histograms add up" histograms_are_right
is "resume" "$WEIR" resume flock
if command -v promtool >/dev/null 2>&1; then
    is "promtool finds nothing" promtool check metrics <page
    is "nor of key groups" promtool check metrics <groups
else
    echo "skip promtool is not here"
fi

# ---- a worker dies: the other one's counters go on where they were ----
rows=$(value 'weir_worker_row_steps_total{worker="w1"}')
kill -9 "$("$WEIR" status flock --json | sed -nE 's/.*"label":"w2",[^}]*"pid":([0-9]+).*/\1/p')"
is "the restart is counted" wait_for 60 reaches weir_restarts_total 1
is "both are here again" wait_for 60 reaches 'weir_workers{state="here"}' 2
is "the new one tells its numbers" wait_for 60 reaches 'weir_worker_tasks_total{worker="w2"}' 1
is "it has loaded once" wait_for 60 reaches 'weir_worker_restore_duration_seconds_count{worker="w2"}' 1
is "the other one twice" wait_for 60 reaches 'weir_worker_restore_duration_seconds_count{worker="w1"}' 2
is "whose rows did not begin anew" test "$(value 'weir_worker_row_steps_total{worker="w1"}')" -ge "$rows"
is "and there is one of each" test "$(grep -c '^weir_worker_tasks_total' page)" = 2
is "in a new generation" test "$(value weir_generation)" -ge 2
is "drain" "$WEIR" drain flock
wait $runner
is "ends the run" test $? -eq 0
exits 1 "and the page is gone" ./fetch "$address" /metrics

# ---- a column whose bytes did not change writes nothing ----
# Between two times that birds settle, their keys and where they settled stay as they are: 20 of a row's 44 bytes.
# unchanged_is_kept: each part has written or kept all 44 of its rows, and of those that were kept each 20. (What
# is left of an old part that is mostly of no use is written anew, so not each snapshot keeps them.)
unchanged_is_kept()
{
    ./fetch "$address" /metrics >page 2>/dev/null &&
        awk '{ split($1, name, /[{}]/) }
            name[1] == "weir_worker_snapshot_raw_bytes_total" { raw[name[2]] = $NF }
            name[1] == "weir_worker_snapshot_kept_bytes_total" { kept[name[2]] = $NF }
            name[1] == "weir_worker_snapshot_duration_seconds_count" { parts[name[2]] = $NF }
            END {
                for (worker in parts) {
                    if (parts[worker] < 2)
                        exit 1
                    of_worker = (raw[worker] + kept[worker]) / 44 / parts[worker]
                    if (kept[worker] < 20 * of_worker || kept[worker] % (20 * of_worker) != 0)
                        exit 1
                    rows += of_worker
                }
                exit rows != 3000
            }' page
}
"$WEIR" run "$jobs/flock.toml" --set birds=3000 --set run.key_groups=32 --set skin=0.2 --steps 170 --set run.pace=25 \
    --set snapshot.every_steps=20 --workers 2 --metrics 0 --directory kept >out.kept 2>err.kept &
runner=$!
is "a run of birds that settle once" wait_for 60 grep -q '^metrics at ' err.kept
address=$(address_of err.kept)
is "what did not change is not written" wait_for 60 unchanged_is_kept
wait $runner
is "which ends well" test $? -eq 0
