#!/bin/sh
# a failing disk: the N-th write, sync, rename fails; a clean end, and the same bits and files later
. "$TOP/tests/support/check.sh"

FLOCK=$TOP/config/jobs/flock.toml
JOB="--set birds=1000 --set operator.mood.every_steps=10 --steps 60 --set run.pace=400
     --set snapshot.every_steps=15 --set snapshot.retain=2 --set fault_tolerance.backoff_seconds=0.01"
STATE=runs/flock/state
SHIM=$(dirname "$WEIR")/../tests/shim_disk.so

SEED=${WEIR_SEED:-$(date +%Y%j)}
echo "seed $SEED"

count_of() # INDEX: a number that the shim keeps; 0 calls, 1 failures, 2 syncs that were tried again
{
    od -An -t u8 -j $((8 * $1)) -N 8 counts | tr -d ' '
}
shimmed() # N ERROR [on]: a run of its own in which the N-th call fails; its code in CODE
{
    rm -rf runs counts
    mkdir runs
    : >counts
    CODE=0
    env SHIM_DISK_FOLDER="$PWD/runs" SHIM_DISK_COUNTS="$PWD/counts" SHIM_DISK_FAIL="$1" \
        SHIM_DISK_ERROR="$2" ${3:+SHIM_DISK_ONWARD=1} LD_PRELOAD="$SHIM" timeout 60 \
        "$WEIR" run "$FLOCK" $JOB --workers 2 >out 2>err &
    RUN=$!
    [ "$2${3:+ on}" != "ENOSPC on" ] || wait_for 60 gone_or_waits
    ! waits || kill -TERM $RUN 2>/dev/null
    wait $RUN || CODE=$?
}
# On a disk that stays full a commit waits for room, and with the last one the run.
waits()
{
    grep -q "which goes on when there is room" err
}
gone_or_waits()
{
    waits || [ ! -e "/proc/$RUN" ]
}
# What a person needs to be told: the file, or what the system said.
said_why()
{
    grep -qE "No space left|Input/output error|IO error|$PWD/runs/|runs/flock" err
}
trial() # N ERROR [on]
{
    shimmed "$@"
    what="call $1: $2${3:+ from then on}"
    [ "$(count_of 1)" -gt 0 ] || return 1
    failed=$(tail -c +25 counts | tr '\0' '\n' | head -n 1)
    what="$what ($failed)"
    cp err err.first
    if [ $CODE -eq 1 ]; then
        is "$what: the failed run says why" said_why
    elif [ $CODE -ne 0 ] && ! waits; then
        echo "not ok $what: exited with $CODE"
        sed 's/^/  /' err
    fi
    is "$what: no failed sync was tried again" test "$(count_of 2)" -eq 0
    [ ! -e $STATE/store/db/CURRENT ] || [ ! -e $STATE/store/guard ] || [ $CODE -eq 0 ] ||
        exits 0 "$what: no snapshot is lost" "$WEIR" snapshot verify $STATE/store
    if [ $CODE -ne 0 ]; then
        timeout 60 "$WEIR" run "$FLOCK" $JOB --workers 2 --resume >out 2>err
        CODE=$?
        grep -q 'the run in .* has ended' err && CODE=0 # all but its last words had been said
    fi
    is "$what: ends well" test $CODE -eq 0
    [ $CODE -eq 0 ] || { cat err.first err; return 0; }
    is "$what: with the same fingerprint" same_print "$REFERENCE" $STATE
    is "$what: and files" same_files one runs/flock
    exits 0 "$what: and whole snapshots" "$WEIR" snapshot verify $STATE/store
}

"$WEIR" run "$FLOCK" $JOB --set run.pace=unlimited --directory one >one.out 2>err
REFERENCE=$(print_of one.out)
shimmed 0 EIO
is "a run that is only counted ends well" test $CODE -eq 0
most=$(count_of 0)
echo "$most calls"

# Some calls fail, others each day; all with WEIR_LONG=1, and each for good as well.
stride=${WEIR_STRIDE:-$((most / 20 + 1))}
[ "${WEIR_LONG:-0}" = 1 ] && stride=1
n=$((SEED % stride + 1))
turn=$SEED
while [ $n -le "$most" ]; do
    turn=$((turn + 1))
    for way in "ENOSPC" "EIO" "ENOSPC on" "EIO on"; do
        case "$((turn % 4)) $way" in
        "0 ENOSPC" | "1 EIO" | "2 ENOSPC on" | "3 EIO on") ;;
        *) [ "${WEIR_LONG:-0}" = 1 ] || continue ;;
        esac
        trial $n $way
    done
    n=$((n + stride))
done

# ---- a byte that is written wrong, and no call fails ----
flipped() # OPTION...: a run of its own in which a part is written wrong
{
    rm -rf runs counts
    mkdir runs
    : >counts
    env SHIM_DISK_FOLDER="$PWD/runs" SHIM_DISK_COUNTS="$PWD/counts" SHIM_DISK_FLIP=/incoming/ \
        LD_PRELOAD="$SHIM" timeout 60 "$WEIR" run "$FLOCK" $JOB --set snapshot.retain=20 --workers 2 "$@" >out 2>err
    CODE=$?
    cp err err.flipped
}
flipped --set snapshot.verify=false
is "a part that is written wrong: the run ends well" test $CODE -eq 0
is "it struck" test "$(count_of 1)" -eq 1
exits 1 "and a snapshot is damaged" "$WEIR" snapshot verify $STATE/store
flipped --set snapshot.verify=true
is "it is read back: the run ends well" test $CODE -eq 0
is "it struck" test "$(count_of 1)" -eq 1
is "the worker says so" sh -c "cat $STATE/worker-*.log | grep -q 'read back'"
exits 0 "and all snapshots are whole" "$WEIR" snapshot verify $STATE/store
is "with the same fingerprint" same_print "$REFERENCE" $STATE

# ---- a file system that does not write past its memory (O_DIRECT): refused when a part is made, or when it is written ----
LARGE="--set birds=200000 --steps 8 --set snapshot.every_steps=4" # parts of several pieces
"$WEIR" run "$FLOCK" $LARGE --set snapshot.verify=true --directory large >large.out 2>err
for call in open write; do
    rm -rf runs counts
    mkdir runs
    : >counts
    exits 0 "no direct $call: the run ends well" env SHIM_DISK_FOLDER="$PWD/runs" SHIM_DISK_COUNTS="$PWD/counts" \
        SHIM_DISK_INDIRECT=$call LD_PRELOAD="$SHIM" timeout 60 "$WEIR" run "$FLOCK" $LARGE --workers 2
    is "it was refused, in each part" test "$(count_of 1)" -ge 4
    is "with the same fingerprint" same_print "$(print_of large.out)" $STATE
    is "two snapshots were taken" test "$("$WEIR" snapshots $STATE --json | grep -o '"step":' | wc -l)" -ge 2
    exits 0 "and whole snapshots" "$WEIR" snapshot verify $STATE/store
done

# ---- a disk that is too small for a history, which is reserved whole ----
for copy in a b; do
    rm -rf runs counts
    mkdir runs
    : >counts
    exits 1 "no room for history.$copy: the run fails" env SHIM_DISK_FOLDER="$PWD/runs" SHIM_DISK_COUNTS="$PWD/counts" \
        SHIM_DISK_FAIL=1 SHIM_DISK_ERROR=ENOSPC SHIM_DISK_FILE=history.$copy.new SHIM_DISK_CALL=posix_fallocate \
        LD_PRELOAD="$SHIM" timeout 60 "$WEIR" run "$FLOCK" $JOB --workers 2
    is "it struck" test "$(count_of 1)" -eq 1
    is "it says why" said_why
    is "and nothing of it lies about" test -z "$(find runs -name 'history.*.new')"
done

# ---- a disk that is found full when all parts are written ----
rm -rf runs counts
mkdir runs
: >counts
exits 0 "no room for a commit: the run ends well" env SHIM_DISK_FOLDER="$PWD/runs" SHIM_DISK_COUNTS="$PWD/counts" \
    SHIM_DISK_ROOM=2 LD_PRELOAD="$SHIM" timeout 60 "$WEIR" run "$FLOCK" $JOB --workers 2
is "it struck" test "$(count_of 1)" -eq 1
holds "it is said" err "0 MiB are free, a commit needs"
holds "and that it is over" err "snapshots are taken again"
is "with the same fingerprint" same_print "$REFERENCE" $STATE
exits 0 "and whole snapshots" "$WEIR" snapshot verify $STATE/store

# ---- a disk that gets full in the middle of a commit ----
# full_within TIMES CALL OPTION...: a run in the background, in whose database such a call finds the disk full, so often;
# it is one behind its opening. RUN: its process
full_within()
{
    times=$1
    call=$2
    shift 2
    n=$((middle + 1))
    while :; do
        rm -rf runs counts
        mkdir runs
        : >counts
        env SHIM_DISK_FOLDER="$PWD/$STATE/store/db" SHIM_DISK_COUNTS="$PWD/counts" SHIM_DISK_FAIL=$n \
            SHIM_DISK_ERROR=ENOSPC SHIM_DISK_TIMES="$times" LD_PRELOAD="$SHIM" \
            "$WEIR" run "$FLOCK" $JOB --workers 2 "$@" >out 2>err &
        RUN=$!
        wait_for 60 struck_or_gone
        failed=$(tail -c +25 counts | tr '\0' '\n' | head -n 1)
        case $failed in "$call "*) break ;; esac
        kill -9 $RUN 2>/dev/null
        wait $RUN 2>/dev/null
        [ $n -lt "$most" ] || break
        n=$((n + 1))
    done
}
struck_or_gone()
{
    [ "$(count_of 1)" -gt 0 ] || [ ! -e "/proc/$RUN" ]
}
rm -rf runs counts
mkdir runs
: >counts
exits 0 "a run whose database is counted" env SHIM_DISK_FOLDER="$PWD/$STATE/store/db" SHIM_DISK_COUNTS="$PWD/counts" \
    SHIM_DISK_FAIL=0 LD_PRELOAD="$SHIM" timeout 60 "$WEIR" run "$FLOCK" $JOB --workers 2
most=$(count_of 0)
middle=$((most * 2 / 3)) # behind all that opening it writes

full_within 40 pwrite
wait $RUN
is "a full disk within a commit ($failed): the run ends well" test $? -eq 0
is "it struck, again and again" test "$(count_of 1)" -eq 40
holds "it is said" err "the disk is full in the middle of a commit"
holds "and that it is over" err "snapshots are taken again"
is "with the same fingerprint" same_print "$REFERENCE" $STATE
is "and files" same_files one runs/flock
exits 0 "and whole snapshots" "$WEIR" snapshot verify $STATE/store

full_within 100 link --set run.pace=20 # so it is not the last commit that is struck, with nothing to be done behind it
kill -9 "$(pid_of $STATE w2)"
wait $RUN
is "a worker is lost meanwhile: the run ends well" test $? -eq 0
holds "the next generation begins when the commit is made" err "a worker was lost; back to snapshot"
is "with the same fingerprint" same_print "$REFERENCE" $STATE
is "and files" same_files one runs/flock

full_within 1000000 pwrite
is "one that stays full: the job is degraded and goes on" wait_for 60 sh -c \
    "'$WEIR' status $STATE --json | grep -q '\"degraded\":\"the disk is full in the middle of a commit'"
kill -TERM $RUN
is "it can be ended" wait_for 60 sh -c "! kill -0 $RUN 2>/dev/null"
wait $RUN
exits 0 "and has whole snapshots" "$WEIR" snapshot verify $STATE/store

full_within 1000000 pwrite
kill -9 $RUN
wait $RUN 2>/dev/null
exits 0 "one that is killed there has whole snapshots" "$WEIR" snapshot verify $STATE/store
exits 0 "and is gone on with" timeout 60 "$WEIR" run "$FLOCK" $JOB --workers 2 --resume
is "with the same fingerprint" same_print "$REFERENCE" $STATE
is "and files" same_files one runs/flock
exits 0 "and whole snapshots" "$WEIR" snapshot verify $STATE/store
