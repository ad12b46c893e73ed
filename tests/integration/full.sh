#!/bin/sh
# full: a disk that fills up while a job runs; no snapshots, no harm, and again when there is room
. "$TOP/tests/support/check.sh"

mkdir full
if ! mount -t tmpfs -o size=96m none full 2>/dev/null; then
    echo "skip a full disk: no tmpfs can be mounted here"
    exit 0
fi
clean()
{
    kill -9 $RUNNER 2>/dev/null
    umount -l full
}
RUNNER=
trap clean EXIT
trap 'exit 1' INT TERM

FLOCK=$TOP/config/jobs/flock.toml
JOB="--set birds=1500 --set operator.mood.every_steps=10 --steps 300
     --set snapshot.every_steps=10 --set fault_tolerance.backoff_seconds=0.01"
STATE=full/state

"$WEIR" run "$FLOCK" $JOB --directory one >one.out 2>err
REFERENCE=$(print_of one.out)

"$WEIR" run "$FLOCK" $JOB --set run.pace=60 --workers 2 --directory two --state $STATE --metrics 0 >out 2>err.run &
RUNNER=$!
is "snapshots are taken" wait_for 60 says $STATE '"snapshots_taken":([2-9]|[1-9][0-9])'
exits 0 "it stands still meanwhile" "$WEIR" suspend $STATE
# Snapshots that are being removed may give back some space after the first filling: fill until nothing is left.
fill()
{
    rm -f full/one-more # its room would do for it again
    dd if=/dev/zero bs=64k oflag=append conv=notrunc of=full/filler 2>/dev/null
    ! cp /bin/sh full/one-more 2>/dev/null
}
degraded()
{
    fill
    says $STATE '"degraded":"[^"]* MiB are free, a commit needs '
}
is "the disk is full" wait_for 60 fill
exits 0 "it goes on" "$WEIR" resume $STATE
is "the job is degraded" wait_for 60 degraded
rm -f full/one-more
exits 0 "status" "$WEIR" status $STATE
holds "says so" out "degraded: no snapshots: "
is "and so do the metrics" sh -c "\"${CC:-gcc}\" -std=c17 -D_GNU_SOURCE -o fetch '$TOP/tests/integration/fetch.c' &&
    ./fetch \$(sed -n 's|^metrics at http://\(.*\)/metrics\$|\1|p' err.run) /metrics | grep -qx 'weir_degraded 1'"
exits 0 "the last snapshots are whole" "$WEIR" snapshot verify $STATE
kill -9 "$(pid_of $STATE w1)"
is "a worker that is killed meanwhile comes back" wait_for 60 says $STATE '"generation":2,'
is "the job goes on to its last step" wait_for 60 has_step $STATE 300
is "and waits for its last snapshot" wait_for 60 says $STATE '"phase":"running",.*"degraded":"'
rm full/filler
wait $RUNNER
is "with room again it ends well" test $? -eq 0
RUNNER=
is "and says that snapshots were taken again" grep -q "snapshots are taken again" err.run
is "with the same fingerprint" same_print "$REFERENCE" $STATE
is "and files" same_files one two
exits 0 "and whole snapshots" "$WEIR" snapshot verify $STATE
is "and nothing lies about" test -z "$(ls $STATE/store/incoming)"
