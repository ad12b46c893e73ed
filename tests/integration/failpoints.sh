#!/bin/sh
# failpoints: processes killed, stopped or failed at named places; the same bits and files afterwards
. "$TOP/tests/support/check.sh"

FLOCK=$TOP/config/jobs/flock.toml
JOB="--set birds=1500 --set operator.mood.every_steps=10 --steps 100 --set run.pace=300
     --set snapshot.every_steps=10 --set snapshot.retain=2 --set fault_tolerance.backoff_seconds=0.01"
STATE=runs/flock/state

# A quarter of the places, another one each day; the seed also draws the pass at which they strike.
SEED=${WEIR_SEED:-$(date +%Y%j)}
QUARTER=$((SEED % 4))
echo "seed $SEED"

armed() # WHAT OPTION...: a run of its own with that armed; its code in CODE
{
    rm -rf runs counts
    words=$1
    shift
    WEIR_FAILPOINTS=$words WEIR_FAILPOINTS_COUNTS=counts timeout 60 \
        "$WEIR" run "$FLOCK" $JOB "$@" --workers 2 >out 2>err
    CODE=$?
}
struck() # NAME PASS
{
    test "$(passes "$1")" -ge "$2"
}
# strike NAME HOW BEFORE: a run in which that place strikes at $pass, or at the first if it is passed less often this time
strike()
{
    what=$1=$2@$pass
    armed "$3$what"
    if [ $pass -gt 1 ] && ! struck "$1" $pass; then
        pass=1
        what=$1=$2@1
        armed "$3$what"
    fi
}

# Whatever happened to the armed run, the one that goes on with it ends well and alike.
ends_alike() # WHAT OPTION...
{
    run=$1
    shift
    cp err "err.$CODE"
    code=0
    if [ "$CODE" -ne 0 ]; then
        timeout 60 "$WEIR" run "$FLOCK" $JOB "$@" --workers 2 --resume >out 2>err
        code=$?
        grep -q 'the run in .* has ended' err && code=0 # all but its last words had been said
    fi
    [ $code -eq 0 ] || { echo "not ok $run: gone on with, exited with $code"; cat "err.$CODE" err; return; }
    is "$run: the same fingerprint" same_print "$REFERENCE" $STATE
    is "$run: the same files" same_files one runs/flock
    exits 0 "$run: whole snapshots" "$WEIR" snapshot verify $STATE/store
}

"$WEIR" run "$FLOCK" $JOB --set run.pace=unlimited --directory one >one.out 2>err
REFERENCE=$(print_of one.out)
armed ""
is "a run that is only counted ends well" test $CODE -eq 0
# Those of a rescale are struck in rescale_kills.sh, those of streams in streams.sh: here there is neither.
places=$("$WEIR" failpoints | cut -d' ' -f1 |
    grep -vE '^(rescale_.*|log_(rescale|tables)|stream_.*|worker_(members|owners|state))$')
for place in $places; do
    passes "$place" >"passes.$place"
done

index=0
for place in $places; do
    case $place in restore_* | history_replace) continue ;; esac # restore.sh and a unit test have these
    index=$((index + 1))
    [ "${WEIR_LONG:-0}" = 1 ] || [ $((index % 4)) -eq $QUARTER ] || continue
    most=$(cat "passes.$place")
    before=
    if [ "$most" -eq 0 ]; then # only after a loss
        before=worker_grant=kill@40,
        most=2
    fi
    draw $(((most + 3) / 4)) # how often depends on timing
    pass=$((DRAWN + 1))

    strike "$place" kill "$before"
    is "$what: it struck" struck "$place" "$pass"
    is "$what: the coordinator was killed, or the run ends well" test $CODE -eq 0 -o $CODE -eq 137
    ends_alike "$what"

    "$WEIR" failpoints | grep -qE "^$place +kill stop error" || continue
    strike "$place" error "$before"
    is "$what: it struck" struck "$place" "$pass"
    is "$what: the run fails, or ends well" test $CODE -eq 0 -o $CODE -eq 1
    [ $CODE -eq 0 ] || holds "$what: and says why" err "failpoint $place, pass"
    ends_alike "$what"
done

# The last snapshot is committed and the end is not said: nothing is left to run.
for place in store_changed=kill@2 commit_retained=kill@1; do
    armed $place --set snapshot.every_steps=100000
    is "$place, the last snapshot: the coordinator was killed" test $CODE -eq 137
    ends_alike "$place, the last snapshot" --set snapshot.every_steps=100000
done

# A sink that cannot be synced at the end is opened anew, although nothing is written any more.
armed sink_sync=error@2 --set snapshot.every_steps=100000
is "sink_sync=error@2, the last snapshot: the run ends well" test $CODE -eq 0
ends_alike "sink_sync=error@2, the last snapshot" --set snapshot.every_steps=100000

# A member that fails while it restores begins again; what it was about to send of that is gone, and nobody is
# lost for it.
armed "part_finished=kill@3,install_restore=error@60" # with a snapshot of 240 key groups
is "install_restore=error@60: it struck" struck install_restore 60
is "install_restore=error@60: the run ends well" test $CODE -eq 0
is "install_restore=error@60: nobody else was lost" grep -q ', 1 restart,' err
ends_alike "install_restore=error@60"

# A process that is stopped: the silent member is replaced, and ended.
set -- worker_grant barrier part_group sinks_marked
shift $QUARTER
armed "$1=stop@5"
is "$1=stop@5: the run ends well" test $CODE -eq 0
ends_alike "$1=stop@5"

# ---- the words ----
wrong() # WORDS TEXT
{
    WEIR_FAILPOINTS=$1 exits 2 "WEIR_FAILPOINTS=$1 is refused" "$WEIR" version
    holds "and said" err "$2"
}
wrong "barier=kill" 'unknown failpoint "barier" (did you mean "barrier"?)'
wrong "barrier" '"barrier": expected NAME=kill, stop or error, and @N'
wrong "barrier=kill@0" '"barrier=kill@0": expected kill, stop or error, and @N or @N+'
wrong "barrier=killed" '"barrier=killed": expected'
wrong "barrier=kill,,barrier=stop" '"": expected'
wrong "barrier=error" 'this place cannot fail'
