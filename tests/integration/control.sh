#!/bin/sh
# control: runs with workers, from another terminal, kills of either side, coordinators that come back
. "$TOP/tests/support/check.sh"
jobs=$TOP/config/jobs
flock="$jobs/flock.toml --set birds=3000 --set run.key_groups=32 --steps 240"
paced="--set run.pace=40 --set snapshot.every_steps=10"

# ---- the same bits as in one process ----
exits 0 "in one process" "$WEIR" run $flock --directory one --quiet
"$WEIR" run $flock --directory one 2>/dev/null >one.out
for workers in 1 2 3; do
    exits 0 "with $workers workers" "$WEIR" run $flock --workers $workers --directory with$workers
    is "the same fingerprint" test "$(print_of out)" = "$(print_of one.out)"
    is "the same file" cmp one/mood.csv with$workers/mood.csv
done
exits 0 "again, for it has ended" "$WEIR" run $flock --workers 2 --directory with2 --json
for member in '"status":"done"' '"step":240' '"workers":2' '"restarts":0' '"error":null' \
    "\"fingerprint\":\"$(print_of one.out)\""; do
    holds "JSON with $member" out "$member"
done
exits 0 "a job that prints" "$WEIR" run "$jobs/outbreak.toml" --set schools=5 --quiet
mv out printed
exits 0 "prints the same with workers" "$WEIR" run "$jobs/outbreak.toml" --set schools=5 --workers 2 --quiet
is "to standard output" cmp out printed

# ---- what does not go together ----
exits 2 "--resume alone" "$WEIR" run $flock --resume
exits 2 "--warmup" "$WEIR" run $flock --workers 2 --warmup 3
exits 2 "--resume of what has ended" "$WEIR" run $flock --workers 2 --directory with2 --resume
holds "is said so" err "has ended; --fresh begins anew; it was done at step "
exits 2 "a path that is too long" "$WEIR" run $flock --workers 2 \
    --state "$(printf 'very-long-%.0s' $(seq 20))/$(printf 'very-long-%.0s' $(seq 20))"

# ---- another terminal ----
long="$jobs/flock.toml --set birds=3000 --set run.key_groups=32 --steps 100000 $paced"
"$WEIR" run $long --workers 2 --directory runs/flock >out.long 2>err.long &
runner=$!
is "it runs" wait_for 60 has_step flock 10
exits 0 "status by name" "$WEIR" status flock
holds "tells the step" out "/100000"
holds "and the workers" out "w2 "
exits 0 "status by folder" "$WEIR" status runs/flock --json
exits 0 "a snapshot by hand" "$WEIR" snapshot flock --label before
exits 0 "the list of snapshots" "$WEIR" snapshots flock
holds "has its label" out "before"
exits 0 "suspend" "$WEIR" suspend flock
is "it stands still" wait_for 60 phase_is flock paused
exits 0 "resume" "$WEIR" resume flock
exits 0 "list" "$WEIR" list
holds "names it" out "flock  running"
exits 0 "list --json" "$WEIR" list --json
holds "one object" out '{"jobs":[{"job":"flock",'
exits 0 "logs" "$WEIR" logs flock

# ---- a log does not grow without end ----
echo "said before" >>runs/flock/state/worker-1.log
head -c 4300000 /dev/zero | tr '\0' 'x' >>runs/flock/state/worker-1.log
is "a long log is begun anew" wait_for 60 test -e runs/flock/state/worker-1.log.old
echo "said after" >>runs/flock/state/worker-1.log
is "it is not long" test "$(wc -c <runs/flock/state/worker-1.log)" -lt 1000000
exits 0 "logs has both" "$WEIR" logs flock
is "in their order" sh -c "grep -aoE 'said (before|after)' out | tr '\n' ' ' | grep -q '^said before said after'"

# ---- one of another version ----
later=$(dirname "$WEIR")/../tests/weir-later
exits 1 "a worker of another version" "$later" worker --join "$(head -n 1 runs/flock/state/endpoint)"
holds "is told so" err "it speaks version 1 of the protocol, and we version 2; all that work together must be of one release"
is "and so is the coordinator" wait_for 60 grep -q "somebody is refused: it speaks version 2 of the protocol, and we version 1" err.long
exits 1 "a command of another version" "$later" status flock
holds "is told so" err "it speaks version 1 of the protocol"
# ---- one whose library is of other sources: what it computes may have other bits ----
source=$("$WEIR" version --json | sed -E 's/.*"source": *"([0-9a-f]{32})".*/\1/')
# replace_library FOLDER: in the copy of the program there, in one go, as an installation does it
replace_library()
{
    find "$1/lib" -name libweir.so | while read -r library; do
        LC_ALL=C sed "s/$source/0123456789abcdef0123456789abcdef/" "$library" >"$library.new" && mv "$library.new" "$library"
    done
}
mkdir other inplace
cp -r "$(dirname "$WEIR")" "$(dirname "$WEIR")/../lib" other
cp -r other/* inplace
replace_library other
exits 0 "another release" other/bin/weir version
holds "says which" out "source 01234567"
exits 1 "a worker of it" other/bin/weir worker --join "$(head -n 1 runs/flock/state/endpoint)"
holds "is told" err "libweir.so here is of other sources than the coordinator's (weir version: source 01234567, there $(echo "$source" | cut -c1-8))"
is "the job goes on" wait_for 60 phase_is flock running
exits 1 "a second run on the same state" "$WEIR" run $long --workers 2 --directory runs/flock
holds "is refused" err "another coordinator runs this job"
kill -STOP $runner
exits 1 "one that is frozen" "$WEIR" status flock
kill -CONT $runner
holds "does not answer; nobody is refused at a local socket" err "no coordinator answers"
exits 0 "drain" "$WEIR" drain flock
wait $runner
is "ends the run" test $? -eq 0
is "and says so" grep -q "drained after step" out.long
exits 0 "nobody is there any more, but how it ended is" "$WEIR" status flock
holds "in words" out "flock  drained"
exits 0 "and in JSON" "$WEIR" status flock --json
holds "its phase" out '"phase":"drained"'
exits 0 "and with --watch" "$WEIR" status flock --watch
holds "in a line" out "flock  drained"
exits 0 "list has it, too" "$WEIR" list
holds "with its end" out "flock  drained"
exits 0 "list --json as well" "$WEIR" list --json
holds "in one object" out '"phase":"drained"'
exits 1 "a command to it" "$WEIR" suspend flock
holds "has nobody to go to" err "no coordinator runs"
cp runs/flock/state/ended ended.kept
echo '{}' >runs/flock/state/ended
exits 1 "an end that makes no sense" "$WEIR" status flock
rm runs/flock/state/ended
exits 1 "without one" "$WEIR" status flock
holds "nothing is known" err "no coordinator runs"
exits 0 "list says so" "$WEIR" list
holds "of that job" out "flock  does not run"
cp ended.kept runs/flock/state/ended
exits 0 "the snapshots are whole" "$WEIR" snapshot verify runs/flock/state

# ---- weir is replaced while a job runs ----
replaced="$jobs/flock.toml --set birds=3000 --set run.key_groups=32 $paced --workers 2 --directory replaced"
inplace/bin/weir run $replaced --steps 100000 >out.replaced 2>err.replaced &
runner=$!
is "it runs" wait_for 60 has_step replaced 3
replace_library inplace
exits 1 "a worker of the new one is not taken" "$WEIR" rescale replaced --workers 3
holds "and the command says why" err "a worker cannot be started; worker-3.log says why: libweir.so here is of other sources"
is "the job goes on" wait_for 60 has_step replaced $((step + 3))
is "from a snapshot" wait_for 60 says replaced '"snapshot_step":[1-9]'
kill -9 $runner
wait $runner 2>/dev/null
exits 2 "one that shall end earlier" "$WEIR" run $replaced --steps 1 --resume
holds "is told where the run is" err "the job is to end before, at step 1"
at=$(grep -oE 'is at step [0-9]+' err | cut -d' ' -f4)
exits 0 "the new one goes on with it" inplace/bin/weir run $replaced --steps "$at" --resume
is "to the end" test -n "$(print_of out)"
holds "and says that bits may be others" err "is from another release of weir (source $(echo "$source" | cut -c1-8), this is 01234567)"

# ---- workers that the job names ----
cat "$jobs/flock.toml" - >named.toml <<'JOB'

[worker.left]
threads = 1

[worker.right]
backend = "cpu"
threads = 3
JOB
named="named.toml --set birds=3000 --set run.key_groups=32 --steps 100000 --set run.pace=40"
tasks_of() # LABEL: how many threads its process has
{
    ls "/proc/$(pid_of named "$1")/task" | wc -l
}
"$WEIR" run $named --workers 3 --directory named >out.named 2>err.named &
runner=$!
wait_for 60 has_step named 3
for label in left right w3; do
    is "the worker $label is there" wait_for 60 says named "\"label\":\"$label\",[^}]*\"cores\":[1-9][0-9]*,\"memory_bytes\":[1-9][0-9]*,\"devices\":\[\]"
done
two_more() { [ "$(tasks_of right)" -eq $(($(tasks_of left) + 2)) ]; } # beside those that come and go
is "one has two threads more than the other" wait_for 60 two_more
kill -9 "$(pid_of named right)"
is "a worker that is started again has the same name" wait_for 60 says named '"generation":2,.*"label":"right"'
exits 0 "cancel" "$WEIR" cancel named
wait $runner
exits 2 "a device that is not there" "$WEIR" run named.toml --set 'worker.right.backend="cuda:0"' --workers 2 --directory none
holds "is refused" err 'named.toml: worker "right": backend = "cuda:0": this build has no CUDA back end'
is "and nothing was begun" test ! -e none
exits 2 "in one process, too" "$WEIR" run named.toml --set 'worker.right.backend="cuda:0"'
{ cat named.toml; printf '\n[worker.gpu]\nbackend = "cuda:1"\n'; } >gpu.toml
exits 2 "one that the file asks for" "$WEIR" run gpu.toml
is "is refused with its place" grep -qE '^gpu\.toml:[0-9]+:1: worker "gpu": backend = "cuda:1": this build' err
cp err err2
exits 0 "check says that the file is right" "$WEIR" check gpu.toml
is "and warns, word for word" sh -c 'sed 1d err | cmp - err2'
holds "that it is refused" err "warning: weir run refuses this job here:"
exits 0 "in JSON, too" "$WEIR" check gpu.toml --json
holds "as a warning" out '"ok":true,"error_count":0,"errors":[],"warnings":[{"line":'

# ---- a worker is killed ----
"$WEIR" run $flock $paced --workers 2 --directory killed >out.killed 2>err.killed &
runner=$!
for loss in 1 2; do
    wait_for 60 has_step killed $((35 * loss))
    kill -9 "$(pid_of killed w$loss)"
    is "it goes on without w$loss" wait_for 60 says killed "\"phase\":\"running\",.*\"restarts\":$loss,"
done
wait $runner
is "a run whose workers were killed" test $? -eq 0
is "has the same fingerprint" test "$(print_of out.killed)" = "$(print_of one.out)"
is "and the same file" cmp one/mood.csv killed/mood.csv
is "and tells it" grep -q "a worker was lost; back to snapshot" err.killed

# ---- everything is killed, and another number of workers goes on ----
"$WEIR" run $flock $paced --workers 2 --directory lost >out.lost 2>&1 &
runner=$!
wait_for 60 has_step lost 45
worker=$(pid_of lost w1)
kill -9 $runner
wait $runner 2>/dev/null
is "workers die with the run" wait_for 60 sh -c "! kill -0 $worker"
exits 2 "a new run" "$WEIR" run $flock $paced --workers 2 --directory lost
holds "says how to go on" err "--resume goes on with it, --fresh removes it"
exits 0 "with 3 workers, --resume" "$WEIR" run $flock $paced --workers 3 --directory lost --resume
is "the same fingerprint" test "$(print_of out)" = "$(print_of one.out)"
is "the same file" cmp one/mood.csv lost/mood.csv

# ---- a coordinator is killed, and started again; its workers live on ----
"$WEIR" coordinator $flock $paced --workers 2 --directory back >out.back 2>err.back &
runner=$!
for step in 20 45 70; do
    wait_for 60 has_step back $step
    kill -9 $runner
    wait $runner 2>/dev/null
    "$WEIR" coordinator $flock $paced --workers 2 --directory back >out.back 2>err.back &
    runner=$!
done
wait_for 60 has_step back 80
is "no generation was lost" wait_for 60 sh -c "'$WEIR' status back --json | grep -q '\"generation\":1,\"incarnation\":4,'"
wait $runner
is "the job ends well" test $? -eq 0
is "with the same fingerprint" test "$(print_of out.back)" = "$(print_of one.out)"
is "and the same file" cmp one/mood.csv back/mood.csv
exits 2 "the same command again" "$WEIR" coordinator $flock $paced --workers 2 --directory back
holds "says that it has ended" err "has ended; --fresh begins anew"

# ---- a job that waits for its workers: a drain is refused, and not taken and forgotten ----
"$WEIR" coordinator $flock --directory empty >out.empty 2>err.empty &
runner=$!
wait_for 60 grep -q "^workers join with" err.empty
exits 1 "a drain before there are workers" "$WEIR" drain empty
holds "is refused" err "refused: not now"
exits 0 "cancel" "$WEIR" cancel empty
wait $runner

# ---- a coordinator that is killed and not started again: its workers do not stay for ever ----
"$WEIR" coordinator $flock $paced --directory alone >out.alone 2>err.alone &
runner=$!
wait_for 60 test -s alone/state/endpoint
"$WEIR" worker --join "$(head -n 1 alone/state/endpoint)" --patience 3 2>err.orphan &
orphan=$!
wait_for 60 has_step alone 5
kill -9 $runner
wait $runner 2>/dev/null
wait $orphan
is "a worker ends with 1" test $? -eq 1
is "and says why" grep -q "no coordinator has been there for 3 s" err.orphan

# ---- Ctrl-C ----
"$WEIR" run $flock $paced --workers 2 --directory stopped >out.stopped 2>err.stopped &
runner=$!
wait_for 60 has_step stopped 20
kill -INT $runner
wait $runner
is "Ctrl-C ends with 130" test $? -eq 130
is "and says so" grep -q "cancelled after step" err.stopped
is "the file is a beginning of the whole one" sh -c \
    'cmp -n "$(stat -c %s stopped/mood.csv)" one/mood.csv stopped/mood.csv'

# ---- a job that fails ----
exits 1 "a step that fails" "$WEIR" run "$jobs/melt.toml" --set cells=8 --set job.dt=1e30 --workers 2
holds "is told once, with its place" err "melt.toml: step 0: state \"atoms\": id "
is "and no snapshot is gone back to" sh -c '! grep -q "a worker was lost" err'
