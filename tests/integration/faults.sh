#!/bin/sh
# faults: what a job does about failures: none, retry, snapshot; how often, and who is named
. "$TOP/tests/support/check.sh"

FLOCK=$TOP/config/jobs/flock.toml
JOB="--set birds=1500 --set operator.mood.every_steps=10 --steps 120 --set snapshot.every_steps=10"
SHIM=$(dirname "$WEIR")/../tests/shim_disk.so

"$WEIR" run "$FLOCK" $JOB --directory one >one.out 2>err
REFERENCE=$(print_of one.out)

# begin FOLDER OPTION...: a run in the background, at 30 steps a second.
begin()
{
    folder=$1
    shift
    "$WEIR" run "$FLOCK" $JOB --set run.pace=30 --workers 2 --directory "$folder" "$@" >"$folder.out" 2>"$folder.err" &
    RUNNER=$!
}

# ---- none ----
begin none --set fault_tolerance.mode=none
wait_for 60 has_step none 20
kill -9 "$(pid_of none w2)"
wait $RUNNER
is "none: a lost worker fails the job" test $? -eq 1
holds "it is named, with its log" none.err "worker w2 was lost: the job has mode = \"none\"; "
holds "which is this one" none.err "none/state/worker-2.log"
is "no snapshot was gone back to" sh -c '! grep -q "back to" none.err'

# ---- retry: a worker ----
begin retry --set fault_tolerance.mode=retry
wait_for 60 has_step retry 20
kill -9 "$(pid_of retry w2)"
runner_ends "retry: a lost worker is replaced" retry
holds "from the last snapshot" retry.err "a worker was lost; back to snapshot"

# ---- retry: a task. The first write to the sink's file is its head, the second step 0's row. ----
failing() # SETTINGS JOB OPTION...: a run in which calls fail as the shim's settings say; its code in CODE
{
    rm -rf runs counts
    mkdir runs
    : >counts
    settings=$1
    shift
    CODE=0
    env SHIM_DISK_FOLDER="$PWD/runs" SHIM_DISK_COUNTS="$PWD/counts" SHIM_DISK_ERROR=ENOSPC $settings \
        LD_PRELOAD="$SHIM" timeout 60 "$WEIR" run "$@" --workers 2 >out 2>err || CODE=$?
}
shimmed() # FAILURES OPTION...: writes to mood.csv fail so often, from the third on
{
    failures=$1
    shift
    failing "SHIM_DISK_FILE=mood.csv SHIM_DISK_FAIL=3 SHIM_DISK_TIMES=$failures" "$FLOCK" $JOB \
        --set fault_tolerance.backoff_seconds=0.02 "$@"
}
shimmed 3 --set fault_tolerance.mode=retry
is "retry: a task that fails three times: the run ends well" test $CODE -eq 0
is "it did fail" test "$(od -An -t u8 -j 8 -N 8 counts | tr -d ' ')" = 3
is "no worker was lost" sh -c '! grep -q "was lost" err'
holds "nor is a restart counted" err "0 restarts"
is "the same fingerprint" same_print "$REFERENCE" runs/flock/state
is "the same files" same_files one runs/flock
shimmed 4 --set fault_tolerance.mode=retry
is "one that fails four times fails the job" test $CODE -eq 1
holds "which is told, with its reason" err "mood.csv: No space left on device (tried 4 times)"
shimmed 1 --set fault_tolerance.mode=none
is "none: a task that fails once fails the job" test $CODE -eq 1
holds "which is told" err "mood.csv: No space left on device"
shimmed 1
is "snapshot: a task that fails once: the run ends well" test $CODE -eq 0
holds "after a restart" err "1 restart"
is "with the same files" same_files one runs/flock

# ---- retry: a sink that asks for room before it writes. The first time is for the file, the second for step 0. ----
sed -e '/^\[sink.mood\]/,/^file/ { s/"csv"/"hdf5"/; s/mood.csv/mood.h5/ }' "$FLOCK" >rows.toml
rows() # FAILURES OPTION...
{
    failures=$1
    shift
    failing "SHIM_DISK_FILE=.mood.h5.part SHIM_DISK_CALL=fallocate SHIM_DISK_FAIL=2 SHIM_DISK_TIMES=$failures" \
        rows.toml $JOB --set snapshot.every_steps=100000 --set fault_tolerance.backoff_seconds=0.02 "$@"
}
rows 0
is "hdf5: the run ends well" test $CODE -eq 0
cp runs/flock/mood.h5 whole.h5
rows 3 --set fault_tolerance.mode=retry
is "hdf5, retry: no room for a step, three times: the run ends well" test $CODE -eq 0
is "it did fail" test "$(od -An -t u8 -j 8 -N 8 counts | tr -d ' ')" = 3
holds "no restart is counted" err "0 restarts"
is "with the same file" cmp whole.h5 runs/flock/mood.h5
rows 4 --set fault_tolerance.mode=retry
is "hdf5: no room four times fails the job" test $CODE -eq 1
holds "which is told, with its reason" err "mood.h5: No space left on device (tried 4 times)"
rows 1
is "hdf5, snapshot: no room once: the run ends well" test $CODE -eq 0
holds "after a restart" err "1 restart"
is "with the same file" cmp whole.h5 runs/flock/mood.h5

# ---- max_restarts ----
begin often --set fault_tolerance.max_restarts=2 --set snapshot.every_steps=100000
for generation in 1 2 3; do
    wait_for 60 says often "\"phase\":\"running\",.*\"generation\":$generation,"
    kill -9 "$(pid_of often w1)"
done
wait $RUNNER
is "a worker that is lost again and again fails the job" test $? -eq 1
holds "it is said how often, and who" often.err \
    "worker w1 was lost: after 2 restarts without a new snapshot, and max_restarts is 2; "
holds "and where to look" often.err "often/state/worker-1.log"
begin spaced --set fault_tolerance.max_restarts=1 --set run.pace=10
newest=0
newer() # than the one that was seen last
{
    seen=$("$WEIR" status spaced --json | sed -nE 's/.*"snapshot":([0-9]+),.*/\1/p')
    [ "${seen:-0}" -gt "${newest:-0}" ]
}
for loss in 1 2 3; do
    wait_for 60 newer
    kill -9 "$(pid_of spaced w1)"
    is "loss $loss is got over" wait_for 60 says spaced "\"phase\":\"running\",.*\"restarts\":$loss,"
    newest=$("$WEIR" status spaced --json | sed -nE 's/.*"base":([0-9]+),.*/\1/p') # one since then may be there already
done
runner_ends "losses with snapshots between them" spaced

# ---- a job that stands still: a task that does not end, once ----
cat >stuck.c <<'C'
#include "dataflow/weir/operator.h"

#include <sys/syscall.h>
#include <unistd.h>

static weir_status stuck_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_pass(plan, 0, 0);
    return WEIR_OK;
}

static weir_status stuck_process(weir_task *task)
{
    /* A worker's first thread would fall silent, which is another failure. */
    if (task->step >= 40 && syscall(SYS_gettid) != getpid() && unlink("stick") == 0)
        pause();
    return weir_output_like(task, 0, 0) == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };
const weir_operator stuck_kind = {
    .api_version = WEIR_API_VERSION, .name = "stuck", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(int), .plan = stuck_plan, .process = stuck_process,
};
C
is "a kind that blocks" "${CC:-gcc}" -std=c17 -D_GNU_SOURCE -fPIC -shared -I"$TOP" -o stuck.so stuck.c
dots stuck 80 hold 0.5 >stuck.toml
cat >>stuck.toml <<'JOB'
[operator.hold]
kind = "./stuck.so:stuck_kind"
in   = "walk"

[snapshot]
every_steps = 10

[fault_tolerance]
stall_seconds = 8
JOB
exits 0 "in one process" "$WEIR" run stuck.toml --workers 1 --directory smooth
REFERENCE=$(print_of out)
touch stick
"$WEIR" run stuck.toml --workers 2 --directory stuck >stuck.out 2>stuck.err &
RUNNER=$!
is "it is said what is waited for" wait_for 60 says stuck '"behind":"step [0-9]+: tasks of its own are not done"'
exits 0 "status" "$WEIR" status stuck
holds "says it, too" out "tasks of its own are not done"
wait $RUNNER
is "a job that stood still ends well" test $? -eq 0
is "who was behind is said" grep -qE "no step was done for 8 s; farthest behind is w[12]: step [0-9]+: " stuck.err
is "with the same fingerprint" test "$(print_of stuck.out)" = "$REFERENCE"
