#!/bin/sh
# replay: runs that record their fingerprints through kills and rescales, and are run again from each snapshot
. "$TOP/tests/support/check.sh"

SMALL="$TOP/config/jobs/flock.toml --set birds=1500 --set run.key_groups=60 --set operator.mood.every_steps=10"
JOB="$SMALL --set job.steps=300 --set run.pace=100 --set snapshot.every_steps=20 --set replay.mode=record
     --set fault_tolerance.backoff_seconds=0.01"
RUNNER=
trap '[ -z "$RUNNER" ] || kill $RUNNER 2>/dev/null' EXIT

# begin FOLDER OPTION...: a run in the background.
begin()
{
    folder=$1
    shift
    "$WEIR" run $JOB --directory "$folder" "$@" >"$folder.out" 2>"$folder.err" &
    RUNNER=$!
}
# lines FOLDER: what its record says of each step, as a recording has it.
lines()
{
    cat "$1"/state/record/*.fp | grep -aE '^[0-9]+ ' | sed 's/ =[0-9a-f]*$//'
}
# ids FOLDER: its snapshots' numbers and steps.
ids()
{
    "$WEIR" snapshots "$1" --json | tr '{' '\n' |
        sed -nE 's/.*"snapshot":([0-9]+),.*"step":([0-9]+),.*/\1 \2/p'
}
has_snapshots() # FOLDER N
{
    [ "$(ids "$1" | wc -l)" -ge "$2" ]
}
# content FOLDER: everything in it but replays, each with its sum.
content()
{
    find "$1" -name replays -prune -o -type f -print | sort | xargs sha256sum
}

"$WEIR" run $SMALL --steps 300 --directory one --fingerprints one.prints >one.out 2>err
grep -E '^[0-9]+ ' one.prints >one.lines
REFERENCE=$(print_of one.out)

# ---- recorded through everything ----
begin all --workers 2 --set replay.keep=all --set snapshot.retain=20 --set run.pace=40
is "it runs" wait_for 60 has_snapshots all 2
kill -9 "$(pid_of all w2)"
is "goes on without a worker" wait_for 60 says all '"restarts":1'
kill -9 "$(pid_of all w1)"
is "and without the one that records" wait_for 60 says all '"restarts":2'
is "far enough" wait_for 60 has_step all 120
kill -9 $RUNNER
wait $RUNNER 2>/dev/null
begin all --workers 3 --resume --set replay.keep=all --set snapshot.retain=20 --set run.pace=20
is "it goes on" wait_for 60 has_step all 130
exits 0 "and is suspended" "$WEIR" suspend all
ids all | sed -n 1p >first
read -r BACK STEP <first
exits 0 "back to its first snapshot" "$WEIR" restore all --snapshot "$BACK"
exits 0 "resumed" "$WEIR" resume all
is "it runs again" wait_for 60 phase_is all running
exits 0 "with fewer workers" "$WEIR" rescale all --workers 1
wait $RUNNER
is "it ends well" test $? -eq 0
is "with the same fingerprint" test "$(print_of all.out)" = "$REFERENCE"
lines all >all.lines
is "each step is recorded once, with the bits of one process" cmp one.lines all.lines

# ---- run again ----
content all >before
exits 0 "from the beginning" "$WEIR" replay all
holds "says which steps" out "steps 0 to 300: the same bits ✓"
# Each snapshot on one number of workers and threads, the next one on others; WEIR_LONG=1 each on all.
turn=0
ids all >every
while read -r id step; do
    [ "$step" -le 300 ] || continue # the last one is behind the last step
    turn=$((turn % 3 + 1))
    for run in 1/1/1 2/2/1 3/3/2; do
        IFS=/ read -r place workers threads <<EOS
$run
EOS
        [ "$place" = $turn ] || [ "${WEIR_LONG:-0}" = 1 ] || continue
        exits 0 "from snapshot $id, $workers workers of $threads threads" "$WEIR" replay all --snapshot "$id" \
            --workers "$workers" --threads "$threads" --quiet
        holds "from its step on" out "steps $step to 300: the same bits ✓"
    done
done <every
read -r BACK STEP <first
exits 0 "up to a step" "$WEIR" replay all --from $((STEP + 5)) --to $((STEP + 25)) --json --workers 2
holds "in JSON" out "\"from\":$STEP,\"to\":$((STEP + 25)),\"step\":$((STEP + 25)),\"snapshot\":$BACK,\"workers\":2,"
holds "the same" out '"status":"done","same":true,"error":null}'
exits 0 "one step" "$WEIR" replay all --snapshot "$BACK" --to "$STEP"
holds "is one step" out "steps $STEP to $STEP: the same bits ✓"
content all >after
is "nothing of the run was touched" cmp before after
is "and nothing is left" test -z "$(ls all/state/replays)"

# ---- by its file, and what sinks show of it ----
mkdir -p runs
mv all runs/flock
exits 0 "by the job's name" "$WEIR" replay flock --to 1
exits 0 "by the job's file, with other output" "$WEIR" replay "$TOP/config/jobs/flock.toml" --from $((STEP + 5)) \
    --to $((STEP + 40)) --directory look
holds "which is named" out "in look: mood.csv"
awk -F, -v a="$STEP" -v b=$((STEP + 40)) 'NR == 1 || ($1 >= a && $1 <= b)' one/mood.csv >wanted.csv
is "with what the run had written" cmp wanted.csv look/mood.csv
is "and a picture" test -s look/flock.png
exits 0 "with more of it" "$WEIR" replay flock --from $((STEP + 5)) --to $((STEP + 40)) --directory more \
    --set sink.mood.every_steps=20
is "as it was asked for" test "$(wc -l <more/mood.csv)" -lt "$(wc -l <look/mood.csv)"

# ---- what is refused ----
exits 2 "the run's own folder" "$WEIR" replay flock --directory runs/flock
holds "is named" err "where the run that is replayed writes"
exits 2 "an empty one" "$WEIR" replay flock --directory ""
exits 2 "other bits" "$WEIR" replay flock --set operator.fly.steer=0.06
holds "are no replay" err "this changes what is computed"
exits 2 "a wrong value" "$WEIR" replay flock --set run.pace=never
holds "is shown" err "run.pace"
exits 2 "two lines" "$WEIR" replay flock --set "run.pace=1
run.window=2"
exits 2 "two beginnings" "$WEIR" replay flock --from 1 --snapshot 2
exits 2 "an end before its beginning" "$WEIR" replay flock --from 9 --to 8
exits 2 "an end before the snapshot" "$WEIR" replay flock --snapshot "$BACK" --to 1
holds "is explained" err "is before step $STEP, with which snapshot $BACK begins"
exits 2 "a snapshot that is not there" "$WEIR" replay flock --snapshot 999999
holds "is named" err "there is no snapshot 999999"
exits 2 "an end behind the record's" "$WEIR" replay flock --to 301
holds "is named" err "the record ends, or has a gap, at step 300"
exits 2 "a beginning behind the record's" "$WEIR" replay flock --from 400
holds "is named" err "before --from"
exits 2 "a job that never ran" "$WEIR" replay nothing
mkdir other
sed 's/^seed  = 1/seed  = 2/' "$TOP/config/jobs/flock.toml" >other/flock.toml
exits 2 "a job that was changed" "$WEIR" replay other/flock.toml
holds "is named" err "other/flock.toml was changed since it was run; weir replay"
mv runs/flock/state/job.path path
exits 2 "a run of an older weir" "$WEIR" replay flock
holds "is named" err "of an older weir"
mv path runs/flock/state/job.path
begin none --workers 1 --set replay.mode=off --set run.pace=unlimited
wait $RUNNER
exits 2 "a run without a record" "$WEIR" replay none
holds "is told how to make one" err "there is no record; [replay] mode = \"record\" makes one"

# ---- a record that says something else ----
# sabotage FILE STEP FIELD DIGIT...: other digits in a line, which has no sum then.
sabotage()
{
    awk -v step="$2" -v field="$3" -v at="$4 $5" '$1 == step {
        sub(/ =[0-9a-f]*$/, "")
        n = split(at, places, " ")
        for (i = 1; i <= n; i++) {
            digit = substr($field, places[i], 1)
            $field = substr($field, 1, places[i] - 1) (digit == "0" ? "1" : "0") substr($field, places[i] + 1)
        }
    }
    { print }' "$1" >changed && cat changed >"$1"
}
# piece_of FOLDER STEP: the file that has its line.
piece_of()
{
    grep -laE "^$2 " "$1"/state/record/*.fp
}
cp -r runs/flock wrong
at=$((STEP + 33))
sabotage "$(piece_of wrong $at)" $at 3 17 $((7 * 16 + 1 + 8 * 2 + 1)) # column x, key group 2
exits 1 "a difference" "$WEIR" replay wrong --snapshot "$BACK" --workers 2
holds "is named" err "step $at differs from the record: state \"birds\", key group 2 (1 of "
holds "with its column" err "), column x"
exits 0 "before it all is well" "$WEIR" replay wrong --snapshot "$BACK" --to $((at - 1))
exits 1 "in JSON" "$WEIR" replay wrong --snapshot "$BACK" --json
holds "too" out '"status":"failed","same":false,"error":"step '
exits 0 "behind it, too" "$WEIR" replay wrong --from 280
# A digit that was changed on the disk is found by the line's sum, and no difference.
rm -rf wrong
cp -r runs/flock wrong
piece=$(piece_of wrong $at)
sed -i -E "s/^($at [0-9a-f]{32} .)./\1x/" "$piece"
exits 2 "a damaged record" "$WEIR" replay wrong --snapshot "$BACK" --to $((at + 1))
holds "ends there" err "the record ends, or has a gap, at step $((at - 1))"
# A snapshot that is damaged is not run from.
rm -rf wrong
cp -r runs/flock wrong
for part in wrong/state/store/db/*.sst; do
    printf 'damage' | dd of="$part" bs=1 seek=$(($(stat -c %s "$part") / 3)) conv=notrunc 2>/dev/null
done
exits 1 "a damaged snapshot" "$WEIR" replay wrong --snapshot "$BACK"
is "and nothing is left" test -z "$(ls wrong/state/replays)"

# ---- which operator it was ----
begin streams --workers 2 --set replay.streams=true --set run.pace=unlimited --set operator.mood.every_steps=7 \
    --set replay.keep=all --set snapshot.retain=20
wait $RUNNER
exits 0 "all streams" "$WEIR" replay streams --workers 3
piece=$(piece_of streams 150)
field=$(grep -a '^stream ' "$piece" | grep -an '^stream fly ' | cut -d: -f1)
sabotage "$piece" 150 $((field + 2)) 33 $((7 * 16 + 1 + 8 * 5 + 1)) # column y, key group 5
exits 1 "another stream" "$WEIR" replay streams --workers 1 --to 200
holds "is named by its operator" err "step 150 differs from the record: operator \"fly\", key group 5 (1 of "
holds "and column" err "), column y"
exits 0 "with other sinks only states count" "$WEIR" replay streams --to 200 --set sink.mood.every_steps=2

# ---- beside a run that goes on, and removes what the replay began with ----
begin live --workers 2 --set job.steps=100000 --set snapshot.retain=2 --set snapshot.every_steps=100 --set run.pace=200
is "it has snapshots" wait_for 60 has_snapshots live 2
exits 0 "and stands for a moment" "$WEIR" suspend live
ids live | sed -n 1p >first
read -r BACK STEP <first
"$WEIR" replay live --snapshot "$BACK" --set run.pace=10 --workers 2 >replay.out 2>replay.err &
REPLAY=$!
gone() { ! ids live | grep -q "^$BACK "; }
is "a replay has begun" wait_for 60 grep -q "again, from snapshot $BACK" replay.err
exits 0 "the run goes on" "$WEIR" resume live
is "the replay's snapshot is collected" wait_for 60 gone
is "while it is under way" kill -0 $REPLAY
wait $REPLAY
is "it ends all the same" test $? -eq 0
holds "with the same bits" replay.out "steps $STEP to "
is "the run has gone on" phase_is live running
# One that is killed leaves a folder, which the next one removes.
"$WEIR" replay live --set run.pace=1 >replay.out 2>replay.err &
REPLAY=$!
is "another one" wait_for 60 grep -q "again, from " replay.err
kill -9 $REPLAY
wait $REPLAY 2>/dev/null
is "leaves something" test -n "$(ls live/state/replays)"
exits 0 "the next one" "$WEIR" replay live --workers 2
is "clears up" test -z "$(ls live/state/replays)"
# Ctrl-C.
"$WEIR" replay live --set run.pace=1 >replay.out 2>replay.err &
REPLAY=$!
wait_for 60 grep -q "again, from " replay.err
kill -TERM $REPLAY
wait $REPLAY
is "one that is interrupted" test $? -eq 130
is "clears up after itself" test -z "$(ls live/state/replays)"
# What is of no use goes: pieces of generations that began before the oldest snapshot.
kill -9 "$(pid_of live w1)"
is "a new generation" wait_for 60 says live '"restarts":1'
fewer() { [ "$(ls live/state/record/*.fp | wc -l)" -le 2 ] && [ ! -e live/state/record/00000000000000000000.fp ]; }
is "the record's old pieces are dropped" wait_for 60 fewer
exits 0 "and what is left is enough" "$WEIR" replay live

# ---- a step that runs again, and is not what it was ----
stands_behind() # the newest snapshot: its last step is run again
{
    "$WEIR" suspend live && phase_is live paused && says live '"snapshot_runs":false,' || return 1
    last=$(lines live | tail -n 1 | cut -d' ' -f1)
    [ "$last" -gt "$("$WEIR" status live --json | sed -nE 's/.*"snapshot_step":([0-9]+).*/\1/p')" ] ||
        { "$WEIR" resume live; return 1; }
}
is "suspended, it stands" wait_for 60 stands_behind
sabotage "$(piece_of live "$last")" "$last" 3 17 $((7 * 16 + 1 + 8 + 1))
kill -9 "$(pid_of live w2)"
is "back to a snapshot" wait_for 60 says live '"restarts":2'
exits 0 "resumed" "$WEIR" resume live
wait $RUNNER
is "the run fails" test $? -eq 1
RUNNER=
holds "and says which step" live.err "after a return to an earlier step: step $last differs from the record: state \"birds\", key"

# ---- who records without sinks: the owner of the first key group, which may become another one ----
sed '/^\[operator.mood\]/,/^# Policies/d' "$TOP/config/jobs/flock.toml" >bare.toml
"$WEIR" run bare.toml --set birds=1500 --steps 100000 --set run.pace=100 --set snapshot.every_steps=20 --workers 2 \
    --set replay.mode=record --directory bare --quiet >bare.out 2>bare.err &
RUNNER=$!
first_to() { "$WEIR" move bare --key-groups 0 --to "$1" >moved 2>&1; }
is "it has snapshots" wait_for 60 has_snapshots bare 2
is "who has it is known" wait_for 60 first_to w2
other=w2
grep -q 'the worker has them already' moved && { first_to w1; other=w1; }
is "it moves to the other one" grep -q '1 key group ' moved
kill -9 "$(pid_of bare $other)"
is "who is lost, and gets it again" wait_for 60 says bare '"restarts":1'
step=$(lines bare | tail -n 1 | cut -d' ' -f1)
is "and it goes on" wait_for 60 has_step bare $((step + 50))
exits 0 "recorded" "$WEIR" replay bare --workers 2
kill $RUNNER
wait $RUNNER
RUNNER=

# ---- a submitted job, with a file that it reads, and what operators carry ----
printf '[service]\ndirectory = "jobs"\n[workers]\ncount = 2\nthreads = 1\n' >service.toml
"$WEIR" coordinator --config service.toml >service.out 2>service.err &
RUNNER=$!
is "a service" wait_for 60 grep -q '^workers join with' service.err
exits 0 "a job" "$WEIR" submit "$TOP/config/jobs/outbreak.toml" --workers 2 --set schools=50 --set run.pace=100 \
    --set snapshot.every_steps=40 --set snapshot.retain=9 --set replay.mode=record --coordinator jobs --follow
ids jobs/outbreak | awk '$2 <= 312' | tail -n 1 >first # there is one of the end, too
read -r BACK STEP <first
exits 0 "is run again" "$WEIR" replay jobs/outbreak --snapshot "$BACK" --workers 3
holds "from a snapshot" out "steps $STEP to 312: the same bits ✓"
kill $RUNNER
wait $RUNNER
RUNNER=

# ---- a job whose only record is its beginning, and one that begins anew ----
exits 0 "without snapshots" "$WEIR" run $SMALL --steps 50 --set replay.mode=record --directory short
exits 0 "from the beginning" "$WEIR" replay short --threads 2
holds "all steps" out "steps 0 to 50: the same bits ✓"
exits 0 "anew, another job" "$WEIR" run $SMALL --steps 30 --set job.seed=2 --set replay.mode=record --directory short
exits 0 "has its own record" "$WEIR" replay short
holds "of its own steps" out "steps 0 to 30: the same bits ✓"
