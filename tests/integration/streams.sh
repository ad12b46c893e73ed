#!/bin/sh
# streams: workers that do not see the coordinator's folder; their snapshots go through the network
. "$TOP/tests/support/check.sh"

# In a mount namespace of its own, so that nothing that is mounted here outlives it.
if [ "${STREAMS_INSIDE:-0}" = 0 ]; then
    if ! unshare --mount true 2>unshare.err; then
        echo "skip mount namespaces: $(head -n 1 unshare.err)"
        exit 0
    fi
    STREAMS_INSIDE=1
    export STREAMS_INSIDE
    exec unshare --mount sh "$0"
fi

# A part of these is several pieces long.
FLOCK="$TOP/config/jobs/flock.toml --set birds=60000 --set operator.mood.every_steps=10 --steps 240
       --set snapshot.compression=none"
PACED="--set run.pace=60 --set snapshot.every_steps=20 --set snapshot.retain=20 --set fault_tolerance.backoff_seconds=0.01"
trap end_all EXIT
trap 'exit 1' INT TERM

# A machine that has other folders where the coordinator's are.
cat >apart <<'EOS'
#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs none "$HIDE"; exec "$@"' - "$@"
EOS
chmod +x apart
mkdir scratch

begin() # FOLDER ARGUMENTS...: a coordinator in the background, with one worker beside it
{
    folder=$1
    shift
    coordinator_in "$folder" $FLOCK $PACED --bind 'tcp://127.0.0.1:*' --insecure "$@"
}
join() # FOLDER NAME ARGUMENTS...: a worker in the background that does not see the folder
{
    folder=$1
    name=$2
    shift 2
    worker_in "$folder.$name.log" env HIDE="$PWD/$folder" TMPDIR="$PWD/scratch" ./apart "$WEIR" worker \
        --join "$ADDRESS" --label "$name" --insecure --threads 1 "$@"
}
ends_alike() # FOLDER: the coordinator ends, and all is as in one process
{
    ends_as "$1" "$REFERENCE"
    exits 0 "$1: and whole snapshots" "$WEIR" snapshot verify "$1/state"
    is "$1: nothing lies about in the store" test -z "$(ls "$1/state/store/incoming")"
}
has_groups() # STATE LABEL: it is a member
{
    says "$1" "\"label\":\"$2\"[^}]*\"member\":true"
}
cancelled() # FOLDER: the coordinator, with the workers that it has begun
{
    "$WEIR" cancel "$1" >out 2>err
    wait "$COORDINATOR"
    COORDINATOR=
}
newest() # FOLDER: the number of the newest snapshot
{
    "$WEIR" snapshots "$1" --json | sed -nE 's/.*"head":([0-9]+).*/\1/p'
}
newer() # FOLDER NUMBER: there is a snapshot above it
{
    [ "$(newest "$1")" -gt "$2" ]
}

exits 0 "in one process" "$WEIR" run $FLOCK --directory one
REFERENCE=$(print_of out)

# ---- snapshots, and back to one ----
SLOWER="--set run.pace=30" # where commands are to have time
begin plain $SLOWER --workers 1 --expect 2
join plain a
a=$JOINED
is "a worker without the folder takes part" wait_for 60 has_groups plain a
is "and says how" wait_for 60 grep -qF "is not seen here: snapshots go through the network" plain.a.log
is "snapshots are committed" wait_for 60 newer plain 0
first=$(newest plain)
is "and again" wait_for 60 newer plain "$first"
is "nobody has returned to one" says plain '"generation":1,'
exits 0 "back to the first" "$WEIR" restore plain --snapshot "$first"
is "a generation begins from it" wait_for 60 says plain '"generation":2,'
is "in which the worker goes on" wait_for 60 has_groups plain a
ends_alike plain
is "the worker has left" wait_for 60 left "$a"
is "and its scratch folder is gone" test -z "$(ls scratch)"

# ---- it is killed while its part is under way, and while it loads ----
begin killed $SLOWER --workers 1 --expect 2
WEIR_FAILPOINTS=stream_part=kill@7 join killed a
a=$JOINED
is "a worker dies while its second part is fetched" wait_for 60 left "$a"
is "the first was committed" test "$(newest killed)" -gt 0
WEIR_FAILPOINTS=stream_fetch=kill@3 join killed b
b=$JOINED
join killed c
wait_for 60 says killed '"label":"b"'
wait_for 60 says killed '"label":"c"'
kill -9 "$(pid_of killed w1)"
is "one dies while it loads" wait_for 60 left "$b"
is "and another one is there" wait_for 60 has_groups killed c
is "its successor gets all that it needs" wait_for 60 newer killed "$(newest killed)"
ends_alike killed

# ---- the coordinator is killed at each point of a stream ----
for place in stream_write=kill@2 stream_sync=kill stream_synced=kill; do
    rm -rf cut
    WEIR_FAILPOINTS=$place begin cut --workers 1 --expect 2
    join cut a
    wait "$COORDINATOR"
    is "$place: the coordinator is killed" test $? -eq 137
    begin cut --workers 1 --expect 2
    is "$place: its workers are found again" wait_for 60 says cut '"phase":"running"'
    is "$place: snapshots are committed" wait_for 60 newer cut 0
    ends_alike cut
done
rm -rf cut
WEIR_FAILPOINTS=stream_serve=kill@3 begin cut --workers 1 --expect 2
join cut a
is "a snapshot to go back to" wait_for 60 newer cut 0
"$WEIR" restore cut >out 2>err
wait "$COORDINATOR"
is "stream_serve: the coordinator is killed while a worker loads" test $? -eq 137
begin cut --workers 1 --expect 2
is "stream_serve: the worker goes on loading" wait_for 60 says cut '"phase":"running"'
is "stream_serve: in the same generation" says cut '"generation":2,'
ends_alike cut
is "what the dead have left is removed by the next one on their host" wait_for 60 rmdir scratch
mkdir scratch

# ---- what cannot be written ----
WEIR_FAILPOINTS=stream_write=error@2 begin failed --workers 1 --expect 2
join failed a
is "a part that could not be written is given up, and said" wait_for 60 grep -q \
    "no snapshots, the job goes on: a: its part: .*failpoint stream_write" failed.err
is "and the next one is not" wait_for 60 newer failed 0
ends_alike failed

begin unread --workers 1 --expect 2
WEIR_FAILPOINTS=stream_part=error@3 join unread a
is "one that cannot be read any more, too" wait_for 60 grep -q \
    "no snapshots, the job goes on: a: .*failpoint stream_part" unread.err
is "and the next one can" wait_for 60 newer unread 0
ends_alike unread

mkdir tiny
mount -t tmpfs -o size=48k none tiny
begin full --workers 1 --expect 2
join full a --scratch "$PWD/tiny"
is "a full scratch folder gives the snapshot up" wait_for 60 grep -q \
    "no snapshots, the job goes on: a: .*No space left" full.err
mount -o remount,size=64m tiny
is "and with room again they are taken" wait_for 60 newer full 0
ends_alike full

# ---- a snapshot that is damaged is not loaded from afar either ----
begin bad --workers 1 --expect 2
join bad a
is "a snapshot" wait_for 60 newer bad 0
first=$(newest bad) # of which all files are there; another one may be under way
"$WEIR" suspend bad >out 2>err
for part in bad/state/store/db/*.sst; do
    for tenth in 1 2 3 4 5 6 7 8; do
        printf damage | dd of="$part" bs=1 seek=$(($(stat -c %s "$part") * tenth / 10)) conv=notrunc 2>/dev/null
    done
done
"$WEIR" restore bad --snapshot "$first" >out 2>err
wait $COORDINATOR
is "the job fails" test $? -eq 1
COORDINATOR=
is "and it is said which file of the coordinator's is damaged" grep -qE "bad/state/store/db/[0-9]+\.sst: " bad.err

# ---- another number of workers, from what was streamed ----
begin more $SLOWER --workers 1 --expect 2
join more a
is "two" wait_for 60 has_groups more a
join more b
wait_for 60 says more '"label":"b"'
wait_for 60 says more '"phase":"running"'
exits 0 "a third one joins" "$WEIR" rescale more --workers 3
is "and has key groups" wait_for 60 has_groups more b
is "snapshots are committed" wait_for 60 newer more "$(newest more)"
kill -9 $COORDINATOR "$(pid_of more w1)"
wait $COORDINATOR 2>/dev/null
kill -9 $WORKERS 2>/dev/null
"$WEIR" run $FLOCK $PACED --directory more --workers 2 --resume >more.out 2>more.err &
COORDINATOR=$!
ends_alike more

# ---- what it cannot do ----
begin none --expect 1
join none a
is "sinks need a worker that sees the folder, and that is said" wait_for 60 says none \
    '"waiting":"a worker on the coordinator'
exits 1 "a scratch folder that is not there" env HIDE="$PWD/none" timeout 60 ./apart "$WEIR" worker \
    --join "$ADDRESS" --insecure --scratch "$PWD/nowhere"
holds "is said" err "--scratch DIR says where"
cancelled none

# ---- a run that is recorded ----
"$WEIR" run $FLOCK --workers 1 --set run.pace=1 --directory recorded --fingerprints one.prints >out 2>err &
COORDINATOR=$!
wait_for 60 test -f recorded/state/endpoint
exits 1 "a recording is where the coordinator is" env HIDE="$PWD/recorded" timeout 60 ./apart "$WEIR" worker \
    --join "$(head -n 1 recorded/state/endpoint)"
holds "and that is said" err "fingerprints are recorded, or compared, where the coordinator is"
cancelled recorded

# ---- what the job reads ----
cp -r "$TOP/config/jobs" jobs
FLOCK="jobs/outbreak.toml"
begin reads --workers 1 --expect 2 --set run.pace=1
HIDE=$PWD/jobs
export HIDE
exits 1 "a worker without the files that the job reads" timeout 60 ./apart "$WEIR" worker --join "$ADDRESS" --insecure
holds "says which" err "$(basename jobs/*.csv): No such file or directory"
cat >otherwise <<'EOS'
#!/bin/sh
exec unshare --mount sh -c 'cp -r jobs others; mount --bind others jobs; mount -t tmpfs none reads; exec "$@"' - "$@"
EOS
chmod +x otherwise
exits 124 "one that has the same files is let in" timeout 5 ./otherwise "$WEIR" worker --join "$ADDRESS" --insecure
rm -rf others
sed -i "s|cp -r jobs others|cp -r jobs others; sed -i s/^1,3/1,4/ others/*.csv|" otherwise
exits 1 "and one that has others is not" timeout 60 ./otherwise "$WEIR" worker --join "$ADDRESS" --insecure
holds "and says why" err "are others here than the coordinator has found"
cancelled reads
