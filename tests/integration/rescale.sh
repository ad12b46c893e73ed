#!/bin/sh
# rescale: workers and owners of running jobs are changed; the bits and the files stay those of one process
. "$TOP/tests/support/check.sh"
jobs=$TOP/config/jobs
flock="$jobs/flock.toml --set birds=3000 --set run.key_groups=48 --set operator.mood.every_steps=10"
ended="--steps 600"
endless="--steps 1000000" # to be drained: however long commands take, it runs
paced="--set run.pace=60 --set snapshot.every_steps=20 --set fault_tolerance.backoff_seconds=0.01"

status_has() # JOB TEXT
{
    "$WEIR" status "$1" --json 2>/dev/null | grep -qF -- "$2"
}
members_are() # JOB N
{
    [ "$("$WEIR" status "$1" --json | grep -o '"member":true' | wc -l)" -eq "$2" ]
}
workers_are() # JOB N: members and spare ones
{
    [ "$("$WEIR" status "$1" --json | grep -o '"member":' | wc -l)" -eq "$2" ]
}
# begin DIRECTORY ARGUMENTS...: a run in the background, its process in RUN
begin()
{
    directory=$1
    shift
    "$WEIR" run "$@" --directory "$directory" >"out.$directory" 2>"err.$directory" &
    RUN=$!
    runs "$directory" 5
}
# runs DIRECTORY N: it does, from step N on; one that is gone on with is there before its members are.
runs()
{
    wait_for 60 has_step "$1" "$2" && wait_for 60 phase_is "$1" running || echo "not ok $1 does not run"
}
# ends_alike NAME DIRECTORY REFERENCE: the run in RUN ends well, with the bits and files of the reference
ends_alike()
{
    wait $RUN
    code=$?
    is "$1: ends well" test $code -eq 0
    [ $code -eq 0 ] || tail -n 20 "err.$2"
    is "$1: the same fingerprint" test "$(print_of "out.$2")" = "$(print_of "out.$3")"
    is "$1: the same files" same_files "$3" "$2"
}
FILES=mood.csv # that a run writes at its steps
# ends_drained NAME DIRECTORY ARGUMENTS...: the run in RUN is drained, wherever it is, and has the bits and the
# $FILES of one in one process to there. Its steps are recorded in prints.DIRECTORY.
ends_drained()
{
    what=$1
    directory=$2
    shift 2
    exits 0 "$what: is drained" "$WEIR" drain "$directory"
    wait $RUN
    is "$what: ends well" test $? -eq 0
    last=$(sed -nE 's/^drained after step ([0-9]+) .*/\1/p' "out.$directory")
    "$WEIR" run "$@" --steps "$last" --directory "$directory.one" --fingerprints one.prints >out 2>err
    is "$what: the same bits" test "$(tail -n 1 one.prints | cut -d' ' -f1,2)" = \
        "$(tail -n 1 "prints.$directory" | cut -d' ' -f1,2)"
    for file in $FILES; do
        is "$what: the same $file" cmp "$directory.one/$file" "$directory/$file"
    done
}
alone() # DIRECTORY ARGUMENTS...: undisturbed, in one process
{
    directory=$1
    shift
    "$WEIR" run "$@" --directory "$directory" >"out.$directory" 2>err || cat err
}
busy=
stop_busy()
{
    for pid in $busy; do
        kill -9 "$pid" 2>/dev/null
    done
    busy=
}
trap stop_busy EXIT

# ---- 2 -> 3 -> 1 -> 2 workers, with others in the way ----
alone one $flock $ended
for nothing in 1 2; do
    (while :; do :; done) &
    busy="$busy $!"
done
begin two $flock $paced $endless --workers 2 --fingerprints prints.two
wait_for 60 "$WEIR" rescale two --workers 3 --dry-run # what key groups hold is told each second
exits 0 "2 -> 3, a dry run" "$WEIR" rescale two --workers 3 --dry-run
holds "says what would be" out "would be: 2 workers -> 3, "
is "and nothing changes" workers_are two 2
exits 0 "2 -> 3" "$WEIR" rescale two --workers 3
holds "says what was" out "2 workers -> 3, "
is "three are members" members_are two 3
exits 0 "3 again" "$WEIR" rescale two --workers 3
holds "is nothing to be done" out "nothing to do: "
exits 0 "3 -> 1" "$WEIR" rescale two --workers 1 --json
holds "as JSON" out '"what":"rescale","phase":"","end":"done"'
is "one is left, and the others have gone" wait_for 60 workers_are two 1
exits 0 "1 -> 2, in many steps, a snapshot in between" "$WEIR" rescale two --workers 2 --budget 1KiB
is "took many steps" sh -c "sed -nE 's/.* in ([0-9]+) steps.*/\1/p' out | grep -qE '^[1-9][0-9]'"
exits 0 "what was done" "$WEIR" rescales two
is "three changes" test "$(grep -c ' rescale  *done ' out)" -eq 3
exits 0 "what was done, as JSON" "$WEIR" rescales two --json
holds "nothing runs" out '{"running":null,"rescales":[{"id":1,"what":"rescale"'
exits 0 "the workers" "$WEIR" workers two
is "are two" test "$(grep -c '^w' out)" -eq 3 # and the line above them
is "nobody was lost" status_has two '"restarts":0'
ends_drained "2 -> 3 -> 1 -> 2" two $flock
is "its own terminal told each change" test "$(grep -cE '^rescale: [123] workers? -> [123], .*; longest step [0-9]+ ms \(pace: 17 ms\), (none|[0-9]+) late$' err.two)" -eq 3
is "and in the end the longest step" grep -qE \
    '^[0-9,]+ steps in .*, 3 changes of workers with longest step [0-9]+ ms, (no step|1 step|[0-9]+ steps) late$' err.two
exits 0 "whole snapshots" "$WEIR" snapshot verify two/state
stop_busy

# ---- other jobs (melt's files are cut at snapshots) ----
begin melt "$jobs/melt.toml" --set cells=6 --set run.pace=40 --set snapshot.every_steps=1000 --workers 2 $endless \
    --fingerprints prints.melt
exits 0 "melt, 2 -> 3" "$WEIR" rescale melt --workers 3 --budget 4KiB
exits 0 "melt, 3 -> 1" "$WEIR" rescale melt --workers 1
FILES="thermo.csv atoms.h5"
ends_drained melt melt "$jobs/melt.toml" --set cells=6
begin outbreak "$jobs/outbreak.toml" --set schools=50 --set run.pace=60 --set snapshot.every_steps=10 --workers 2 $endless \
    --fingerprints prints.outbreak
exits 0 "outbreak, 2 -> 3" "$WEIR" rescale outbreak --workers 3 --budget 4KiB
exits 0 "outbreak, 3 -> 1" "$WEIR" rescale outbreak --workers 1
FILES=curve.csv
ends_drained outbreak outbreak "$jobs/outbreak.toml" --set schools=50

# ---- nothing but aggregates: no key group has neighbours, and rows meet in others' ----
cat >counts.toml <<'JOB'
[job]
name  = "counts"
seed  = 7
steps = 300
[state.boys]
columns.u32 = ["school"]
columns.u8  = ["ill", "immune"]
first       = "term"
next        = "boys"
[operator.term]
kind   = "population"
places = 300
size   = 20
place  = "school"
ill    = 3
[operator.schools]
kind = "aggregate"
in   = "boys"
by   = "school"
compute.boys = "count()"
compute.ill  = "sum(ill)"
[operator.all]
kind = "aggregate"
in   = "schools"
compute.boys = "sum(boys)"
compute.most = "max(ill)"
[sink.schools]
kind = "csv"
in   = "schools"
every_steps = 50
file = "schools.csv"
[sink.all]
kind = "csv"
in   = "all"
file = "all.csv"
[run]
key_groups = 16
JOB
begin counts counts.toml --set run.pace=40 --set snapshot.every_steps=10 --workers 2 $endless --fingerprints prints.counts
for workers in 7 1 3; do
    exits 0 "$workers workers for aggregates alone" "$WEIR" rescale counts --workers $workers --budget 4KiB
    is "are members" members_are counts $workers
done
FILES="schools.csv all.csv"
ends_drained "aggregates alone" counts counts.toml
FILES=mood.csv

# ---- suspended: a change begins, is done when the job goes on, and can be taken back before ----
begin still $flock $paced $endless --workers 2 --fingerprints prints.still
wait_for 60 "$WEIR" rescale still --workers 3 --dry-run # what key groups hold is told
exits 0 "suspended" "$WEIR" suspend still
exits 0 "2 -> 3 meanwhile" "$WEIR" rescale still --workers 3 --detach
is "is begun" wait_for 60 sh -c "'$WEIR' status still --json | grep -q '\"rescale\":{\"id\":[1-9]'"
exits 0 "taken back" "$WEIR" rescale still --abort --detach
exits 0 "resumed" "$WEIR" resume still
is "two are left" wait_for 60 workers_are still 2
is "it says so" wait_for 60 sh -c "'$WEIR' rescales still | grep -q ' aborted '"
exits 0 "suspended again" "$WEIR" suspend still
exits 0 "2 -> 3 again" "$WEIR" rescale still --workers 3 --detach
is "is begun" wait_for 60 sh -c "'$WEIR' status still --json | grep -q '\"rescale\":{\"id\":[1-9]'"
exits 0 "resumed again" "$WEIR" resume still
is "is done" wait_for 60 sh -c "'$WEIR' rescales still | grep -q ' rescale  *done '"
is "three are members" members_are still 3
is "nobody was lost" status_has still '"restarts":0'
ends_drained "suspended" still $flock

# ---- a job without sinks: who gathers the fingerprints stays ----
alone bare "$TOP/tests/bench/tiny.toml" --steps 400 --fingerprints bare.one.prints
begin bare.two "$TOP/tests/bench/tiny.toml" --steps 400 --set run.pace=25 --workers 2 --fingerprints bare.prints
for to in w1 w2 w1 w2; do
    "$WEIR" move bare.two --key-groups 0-1 --to $to >out 2>err
done
exits 0 "2 -> 1 without sinks" "$WEIR" rescale bare.two --workers 1
exits 0 "1 -> 2 without sinks" "$WEIR" rescale bare.two --workers 2
exits 0 "2 -> 1 without sinks, again" "$WEIR" rescale bare.two --workers 1
wait $RUN
is "ends well" test $? -eq 0
is "its fingerprint is told" test "$(print_of out.bare.two)" = "$(print_of out.bare)"
is "and recorded" cmp bare.one.prints bare.prints

# ---- aborted; a second one ----
many="$jobs/flock.toml --set birds=3000 --set run.key_groups=256 --set operator.mood.every_steps=10"
slow="--set run.pace=20 --set snapshot.every_steps=7 --set fault_tolerance.backoff_seconds=0.01"
begin back $many $slow $endless --workers 2 --fingerprints prints.back
exits 0 "one that takes long" "$WEIR" rescale back --workers 3 --budget 1 --detach
holds "goes on by itself" out "rescale has begun"
is "status tells it" wait_for 60 sh -c "'$WEIR' status back | grep -qE '^  rescale: moving, [0-9]+ of [0-9]+ key groups'"
is "and so does its JSON" status_has back '"rescale":{"id":1,"what":"rescale","phase":"'
exits 1 "a second one" "$WEIR" rebalance back
holds "is refused" err "a rescale runs since "
exits 0 "is aborted" "$WEIR" rescale back --abort
holds "and says so" out "all key groups are where they were"
is "two members are left" members_are back 2
is "and nobody else" wait_for 60 workers_are back 2
exits 1 "nothing is left to abort" "$WEIR" rescale back --abort
holds "is said" err "nothing is being changed"
exits 0 "what was done" "$WEIR" rescales back
holds "has it" out " aborted "
is "status tells of none" status_has back '"rescale":null'

# ---- the other verbs ----
exits 0 "one more" "$WEIR" rescale back --workers 3
exits 0 "key groups 3 to 5 to w1" "$WEIR" move back --key-groups 3-5 --to w1
exits 0 "they are there already" "$WEIR" move back --key-groups 3-5 --to w1
holds "which is said" out "nothing to do: "
exits 0 "one key group to w2, a dry run" "$WEIR" move back --key-groups 3 --to w2 --dry-run --json
holds "as JSON" out '"what":"move"'
holds "it is one" out '"key_groups":1,'
exits 0 "many to one" "$WEIR" move back --key-groups 0-140 --to w2
exits 0 "balanced again" "$WEIR" rebalance back
sinks=$(for w in w1 w2 w3; do "$WEIR" drain-worker back $w --dry-run >out 2>err || echo $w; done)
is "one has the sinks" test "${#sinks}" -eq 2
exits 1 "which stay" "$WEIR" drain-worker back "$sinks"
holds "as is said" err "$sinks runs the sinks, which stay where they are"
other=$(echo w1 w2 w3 | tr ' ' '\n' | grep -v "^$sinks\$" | tail -n 1)
exits 0 "another one is drained" "$WEIR" drain-worker back "$other"
is "and leaves" wait_for 60 workers_are back 2
exits 0 "the workers as JSON" "$WEIR" workers back --json
is "are without it" sh -c "! grep -q '\"label\":\"$other\"' out"
exits 0 "the changes" "$WEIR" rescales back
for what in rescale move rebalance drain-worker; do
    is "$what is among them" grep -qE " $what +done " out
done

# ---- what is refused ----
refused() # CODE TEXT COMMAND...
{
    exits "$1" "weir $(echo "$3 $4 $5 ${6:-} ${7:-}" | tr -s ' ') is refused" "$WEIR" "$3" "$4" "$5" ${6:-} ${7:-}
    holds "saying why" err "$2"
}
refused 2 "one of --workers N and --abort" rescale back --json
refused 2 "one of --workers N and --abort" rescale back --abort --workers 2
refused 2 "--workers" rescale back --workers 0
refused 2 "--workers" rescale back --workers 1001
refused 1 "on one machine there may be 64 workers" rescale back --workers 1000
is "and nobody was started for it" workers_are back 2
for budget in 0 -3 3MB x 99999999999TiB; do
    refused 2 "--budget: expected a size, like 64MiB" rescale back --workers 3 "--budget=$budget"
done
refused 1 'there is no worker "w9": weir workers lists them' drain-worker back w9
refused 1 'there is no worker "nobody"' move back --key-groups 1-2 --to=nobody
refused 1 "key groups 40 to 256: the job has 0 to 255" move back --key-groups 40-256 --to=w1
for groups in 3-1 x 1- -1 1-2-3 99999999999; do
    refused 2 "--key-groups: expected a number or a range, like 12-40" move back "--key-groups=$groups" --to w1
done
refused 2 "--key-groups A-B and --to WORKER are needed" move back --to=w1
refused 2 "nowhere: no such job file or folder" rescale nowhere --workers 2
exits 0 "suspended" "$WEIR" suspend back
exits 0 "resumed" "$WEIR" resume back
ends_drained "aborted, moved, balanced, drained" back $many
refused 1 "" rescale back --workers 2
exits 0 "what was changed of a run that has ended" "$WEIR" rescales back
is "is told from its state" grep -qE " drain-worker +done " out
exits 0 "as JSON, too" "$WEIR" rescales back --json
holds "with no change that runs" out '{"running":null,"rescales":[{"id":1,'
printf '{"rescales":[{' >back/state/rescales
exits 1 "a damaged one" "$WEIR" rescales back
holds "is said to be so" err "weir rescales: "
rm back/state/rescales
exits 0 "none" "$WEIR" rescales back
holds "is no change" out "nothing was changed"

# ---- few rows, many workers; key groups without rows; a hot one ----
few="$jobs/flock.toml --set birds=20 --set run.key_groups=64 --set operator.mood.every_steps=10"
begin few $few --set run.pace=30 --set snapshot.every_steps=10 --workers 1 $endless --fingerprints prints.few
for workers in 7 13 2; do
    exits 0 "$workers workers for 20 birds" "$WEIR" rescale few --workers $workers
    is "are members" members_are few $workers
done
ends_drained "few birds" few $few
hot="$jobs/flock.toml --set birds=500 --set edge=0.06 --set run.key_groups=64 --set operator.mood.every_steps=10"
begin hot $hot --set run.pace=40 --set snapshot.every_steps=10 --workers 2 $endless --fingerprints prints.hot
exits 0 "one hot key group, 2 -> 3" "$WEIR" rescale hot --workers 3
exits 0 "balanced" "$WEIR" rebalance hot
exits 0 "3 -> 1" "$WEIR" rescale hot --workers 1
ends_drained "one hot key group" hot $hot

# ---- everything is killed; other numbers of workers go on ----
for workers in 1 3; do
    begin lost$workers $flock $ended $paced --workers 2
    exits 0 "2 -> 4 before all are lost" "$WEIR" rescale lost$workers --workers 4
    wait_for 60 has_step lost$workers 150
    kill -9 $RUN
    wait $RUN 2>/dev/null
    begin lost$workers $flock $ended $paced --workers $workers --resume
    is "$workers workers go on" members_are lost$workers $workers
    exits 0 "and become two" "$WEIR" rescale lost$workers --workers 2
    ends_alike "resumed with $workers" lost$workers one
done

# ---- a coordinator is killed in the middle, and another one goes on ----
coordinate() # DIRECTORY ARGUMENTS...
{
    directory=$1
    shift
    "$WEIR" coordinator $many $slow --steps 500 --directory "$directory" "$@" >"out.$directory" \
        2>"err.$directory" &
    RUN=$!
    runs "$directory" 5
}
alone many $many --steps 500
coordinate again --workers 2
"$WEIR" rescale again --workers 3 --budget 1 >follow.out 2>follow.err & # a long way
FOLLOW=$!
is "is begun" wait_for 60 sh -c "'$WEIR' status again | grep -qE 'rescale: moving, ([2-9]|[1-9][0-9]) '"
kill -9 $RUN
wait $RUN 2>/dev/null
wait $FOLLOW
is "who waited for it" test $? -eq 1
holds "is told that it is not over" follow.err "the rescale has begun, weir rescales tells what comes of it: "
coordinate again --workers 2
is "is gone on with" wait_for 60 sh -c "'$WEIR' rescales again | grep -q ' done .*begun before the coordinator was started again'"
is "three are members" members_are again 3
is "no step was repeated" status_has again '"generation":1,"incarnation":2,"restarts":0'
exits 0 "back to two" "$WEIR" rescale again --workers 2
is "and the third leaves" wait_for 60 workers_are again 2
ends_alike "a coordinator killed in the middle" again many

# ---- workers that join ----
coordinate joined --workers 1
"$WEIR" worker --join "$(head -n 1 joined/state/endpoint)" --label guest >guest.log 2>&1 &
guest=$!
is "a guest is there, and spare" wait_for 60 sh -c "'$WEIR' status joined | grep -qE '^  guest .* spare'"
exits 0 "1 -> 2 takes it" "$WEIR" rescale joined --workers 2
is "and starts nobody" workers_are joined 2
is "it owns key groups" sh -c "'$WEIR' status joined | grep -qE '^  guest .* key groups'"
exits 0 "it is drained" "$WEIR" drain-worker joined guest
is "and leaves" wait_for 60 workers_are joined 1
wait $guest
is "with success" test $? -eq 0
ends_alike "a guest" joined many
"$WEIR" coordinator $many $slow $endless --directory none --workers 0 >out.none 2>err.none &
RUN=$!
wait_for 60 test -f none/state/endpoint
exits 1 "no worker yet" "$WEIR" rescale none --workers 1
holds "so it does not run" err "the job is not running: it waits for "
"$WEIR" worker --join "$(head -n 1 none/state/endpoint)" >guest.log 2>&1 &
wait_for 60 has_step none 5
exits 1 "a coordinator that starts none" "$WEIR" rescale none --workers 2
holds "says so" err "1 worker is missing, and this coordinator starts none: weir worker --join"
"$WEIR" cancel none
wait $RUN
is "its run is cancelled" test $? -ne 0

# ---- workers that do not come ----
WEIR_FAILPOINTS=worker_assign=stop@3+ WEIR_FAILPOINTS_COUNTS=$PWD/assigned \
    "$WEIR" run $many $slow $endless --workers 2 --directory late --fingerprints prints.late >out.late 2>err.late &
RUN=$!
wait_for 60 has_step late 5
exits 0 "a third that does not come" "$WEIR" rescale late --workers 3 --detach
is "is awaited" wait_for 60 sh -c "'$WEIR' status late | grep -q '  rescale: waiting for 1 worker,'"
is "in a process" wait_for 60 sh -c "[ \"\$(pgrep -c -P $RUN)\" = 3 ]"
exits 0 "nobody waits longer" "$WEIR" rescale late --abort
is "it leaves" wait_for 60 sh -c "[ \"\$(pgrep -c -P $RUN)\" = 2 ]"
if [ "${WEIR_LONG:-0}" = 1 ]; then
    exits 1 "nobody comes for a minute" "$WEIR" rescale late --workers 3
    holds "which is said" err "2 of 3 workers have come"
    is "it leaves" wait_for 60 sh -c "[ \"\$(pgrep -c -P $RUN)\" = 2 ]"
fi
ends_drained "a worker that does not come" late $many
