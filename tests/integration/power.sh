#!/bin/sh
# power: lost at a sync, with all that was not synced; the same bits and files, no snapshot lost
. "$TOP/tests/support/check.sh"

FLOCK=$TOP/config/jobs/flock.toml
JOB="--set birds=1000 --set run.key_groups=60 --set operator.mood.every_steps=10 --steps 60 --set run.pace=400
     --set snapshot.every_steps=15 --set snapshot.retain=2 --set fault_tolerance.backoff_seconds=0.01"
RECORD="--set replay.mode=record --set replay.keep=all"
STATE=runs/flock/state
SHIM=$(dirname "$WEIR")/../tests/shim_power.so

SEED=${WEIR_SEED:-$(date +%Y%j)}
echo "seed $SEED"

powered() # N: a run of its own that loses power at the N-th sync; its code in CODE
{
    rm -rf runs durable counts
    mkdir runs durable
    : >durable/counts
    echo 00000000-0000-0000-0000-000000000001 >boot.1
    echo 00000000-0000-0000-0000-000000000002 >boot.2
    CODE=0
    SHIM_POWER_FOLDER="$PWD/runs" SHIM_POWER_STORE="$PWD/durable" SHIM_POWER_AT="$1" \
        SHIM_POWER_BOOT="$PWD/boot.1" WEIR_FAILPOINTS_COUNTS=counts LD_PRELOAD="$SHIM" timeout 60 \
        "$WEIR" run "$FLOCK" $JOB $RECORD --workers 2 >out 2>err || CODE=$?
}
build() # KEY FOLDER: what is durable of a folder
{
    mkdir -p "$2"
    [ ! -e "durable/d$1" ] || while read -r kind key name; do
        if [ "$kind" = d ]; then
            build "$key" "$2/$name"
        elif [ -e "durable/$key" ]; then
            cp "durable/$key" "$2/$name"
        else
            : >"$2/$name"
        fi
    done <"durable/d$1"
}
# The snapshots that members were told of, and the one that is current in the store.
told()
{
    passes commit_told
}
current()
{
    "$WEIR" snapshot verify $STATE/store --json | sed -nE 's/.*"head":([0-9]+).*/\1/p'
}
trial() # N
{
    what="power lost at sync $1"
    powered "$1"
    [ "$(od -An -t u8 -j 8 -N 8 durable/counts | tr -d ' ')" = 1 ] || return 0
    root=$(cd durable && ls -d d"$(stat -c '%i' ../runs)"-* 2>/dev/null | head -n 1)
    mv runs lost
    build "${root#d}" runs
    rm -rf lost
    if [ "$(told)" -gt 0 ]; then
        exits 0 "$what: whole snapshots" "$WEIR" snapshot verify $STATE/store
        is "$what: none that was told is lost" test "$(current)" -ge "$(told)"
    fi
    SHIM_POWER_BOOT="$PWD/boot.2" LD_PRELOAD="$SHIM" timeout 60 \
        "$WEIR" run "$FLOCK" $JOB $RECORD --workers 2 --resume >out 2>err
    CODE=$?
    grep -q 'the run in .* has ended' err && CODE=0 # all but its last words had been said
    is "$what: ends well" test $CODE -eq 0
    [ $CODE -eq 0 ] || { cat err; return; }
    is "$what: with the same fingerprint" same_print "$REFERENCE" $STATE
    is "$what: and files" same_files one runs/flock
    cat $STATE/record/*.fp | grep -aE '^[0-9]+ ' | sed 's/ =[0-9a-f]*$//' >lines
    is "$what: each step is recorded once" cmp one.lines lines
}

"$WEIR" run "$FLOCK" $JOB --set run.pace=unlimited --directory one --fingerprints one.prints >one.out 2>err
grep -E '^[0-9]+ ' one.prints >one.lines
REFERENCE=$(print_of one.out)
powered 0
is "a run whose syncs are counted ends well" test $CODE -eq 0
most=$(od -An -t u8 -j 0 -N 8 durable/counts | tr -d ' ')
echo "$most syncs"

# Some syncs, others each day; all with WEIR_LONG=1.
stride=${WEIR_STRIDE:-$((most / 20 + 1))}
[ "${WEIR_LONG:-0}" = 1 ] && stride=1
n=$((SEED % stride + 1))
while [ $n -le "$most" ]; do
    trial $n
    n=$((n + stride))
done
