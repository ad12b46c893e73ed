#!/bin/sh
# restore: back to an older snapshot, of a job that runs, was killed, has ended, or is damaged
. "$TOP/tests/support/check.sh"

JOB="$TOP/config/jobs/flock.toml --set birds=1500 --set operator.mood.every_steps=10 --steps 400
     --set run.pace=60 --set snapshot.every_steps=10 --set snapshot.retain=50
     --set fault_tolerance.backoff_seconds=0.01"

"$WEIR" run $JOB --set run.pace=unlimited --directory one --fingerprints one.prints >one.out 2>err
REFERENCE=$(print_of one.out)

# choose FOLDER N: the N-th of its snapshots, in BACK, and its step, in STEP. Where a barrier falls depends
# on timing, so they have no certain numbers.
choose()
{
    "$WEIR" snapshots "$1" --json | tr '{' '\n' |
        sed -nE 's/.*"snapshot":([0-9]+),.*"step":([0-9]+),.*/\1 \2/p' | sed -n "$2p" >chosen
    read -r BACK STEP <chosen
}
has_snapshots() # FOLDER N
{
    [ "$("$WEIR" snapshots "$1" --json | tr '{' '\n' | grep -c '"step":')" -ge "$2" ]
}
# head_below FOLDER STEP: the newest snapshot is of a step below that.
head_below()
{
    head=$("$WEIR" status "$1" --json | sed -nE 's/.*"snapshot_step":([0-9]+).*/\1/p')
    [ "${head:-$2}" -lt "$2" ]
}
# begin FOLDER OPTION...: a run in the background, slow enough for what is to be done meanwhile; again: one that goes on with it.
begin()
{
    folder=$1
    shift
    "$WEIR" run $JOB --workers 2 --directory "$folder" "$@" >"$folder.out" 2>"$folder.err" &
    RUNNER=$!
}
again()
{
    begin "$@" --resume --set run.pace=unlimited
}
# ends_alike WHAT FOLDER: the run in the background ends, as the undisturbed one has.
ends_alike()
{
    runner_ends "$1" "$2"
    exits 0 "$1: whole snapshots" "$WEIR" snapshot verify "$2/state"
}
# The step falls at a return, so one that is reached again was reached before: generations tell.
generation_is()
{
    says "$1" "\"generation\":$2,"
}

# ---- a job that runs ----
begin live --fingerprints live.prints
is "it runs" wait_for 60 has_snapshots live 4
exits 0 "and is suspended" "$WEIR" suspend live
choose live 4
newest=$STEP
choose live 2
exits 1 "one that is not there" "$WEIR" restore live --snapshot 999999
holds "is refused" err "there is no snapshot 999999"
exits 0 "back to it" "$WEIR" restore live --snapshot "$BACK"
holds "says to where" out "back to snapshot $BACK, step $STEP"
holds "and what is dropped" out "later snapshots up to"
is "a generation begins" wait_for 60 generation_is live 2
is "no worker was lost" wait_for 60 says live '"restarts":0,"restores":1,'
is "the run tells it" wait_for 60 grep -q "as asked; back to snapshot $BACK, step $STEP" live.err

# A crash now stays in that line: rule 16.
is "the newest snapshot is an older one" head_below live "$newest"
is "it is suspended still" wait_for 60 phase_is live paused
kill -9 $RUNNER
wait $RUNNER 2>/dev/null
again live --fingerprints live.prints
is "the line that was begun is gone on with" wait_for 60 phase_is live paused
is "and not the one that was dropped" head_below live "$newest"
exits 0 "back to the newest" "$WEIR" restore live --json
holds "is told as JSON" out '"snapshot":'
exits 0 "resumed" "$WEIR" resume live
ends_alike "a run that went back twice" live
is "its recording is whole" cmp one.prints live.prints

# ---- one that has ended, and one that was cancelled ----
exits 1 "restore of what has ended" "$WEIR" restore live
holds "says what to do" err "no coordinator runs"
exits 0 "snapshots are listed still" "$WEIR" snapshots live
choose live 4
exits 2 "--snapshot alone" "$WEIR" run $JOB --workers 2 --directory live --snapshot "$BACK"
exits 2 "--resume of one that is not there" "$WEIR" run $JOB --workers 2 --directory live --resume --snapshot 999999
again live --snapshot "$BACK"
ends_alike "a run that had ended" live
holds "says where it began" live.err "back to snapshot $BACK, step $STEP"
BACK=$("$WEIR" snapshots live --json | sed -nE 's/.*"head":([0-9]+).*/\1/p')
again live --snapshot "$BACK"
ends_alike "back to its end, of which nothing is run again" live

# ---- killed between the decision and the generation ----
for place in restore_begun=kill restore_made=kill restore_made=error; do
    rm -rf cut
    WEIR_FAILPOINTS=$place begin cut
    wait_for 60 has_snapshots cut 3
    "$WEIR" suspend cut
    choose cut 2
    "$WEIR" restore cut --snapshot "$BACK" >out 2>err
    wait $RUNNER 2>/dev/null
    again cut
    is "$place: the return is made" wait_for 60 grep -q "as asked; back to snapshot $BACK, step $STEP" cut.err
    wait_for 60 "$WEIR" resume cut
    ends_alike "$place" cut
done

# ---- a damaged newest snapshot ----
begin bad
wait_for 60 has_snapshots bad 4
kill -9 $RUNNER
wait $RUNNER 2>/dev/null
newest=$("$WEIR" snapshots bad --json | sed -nE 's/.*"head":([0-9]+).*/\1/p')
# Two parts of it; the two that are newer may be of one that was not committed any more.
parts=$(ls -t bad/state/store/db/*.sst | head -n 4)
for part in $parts; do
    printf 'damage' | dd of="$part" bs=1 seek=$(($(stat -c %s "$part") / 3)) conv=notrunc 2>/dev/null
done
exits 1 "a damaged newest snapshot" "$WEIR" run $JOB --workers 2 --directory bad --resume
is "is named, with its file" sh -c 'for part; do ! grep -qF "$(basename "$part")" err || exit 0; done; exit 1' - $parts
holds "and what can be done" err "with --resume --snapshot N"
choose bad 2
again bad --snapshot "$BACK"
ends_alike "from an older one" bad
holds "what is lost is said" bad.err "snapshot $newest, step"

# ---- looked at while it is written: a worker that loads does so, too ----
"$WEIR" run "$TOP/config/jobs/flock.toml" --set birds=500 --set run.key_groups=16 --set snapshot.every_steps=1 --set snapshot.retain=2 \
    --steps 100000000 --workers 1 --directory written >written.out 2>written.err &
RUN=$!
is "a job with a snapshot at each step" wait_for 60 has_step written 20
whole=0
for look in $(seq 25); do
    "$WEIR" snapshot verify written/state >looks 2>&1 && whole=$((whole + 1)) || cat looks
done
is "is whole each time that it is looked at" test $whole -eq 25
"$WEIR" cancel written >/dev/null 2>&1
wait $RUN
is "and it is cancelled" test $? -ne 0
