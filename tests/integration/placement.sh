#!/bin/sh
# placement: who may have key groups at all, balance and the number of workers that jobs see to by themselves
. "$TOP/tests/support/check.sh"
flock="$TOP/config/jobs/flock.toml --set birds=3000 --set run.key_groups=48 --set operator.mood.every_steps=10"
RUNNER=
trap '[ -z "$RUNNER" ] || kill $RUNNER 2>/dev/null' EXIT

# begin FOLDER ARGUMENTS...: a run in the background, of workers of one thread each.
begin()
{
    folder=$1
    shift
    "$WEIR" run "$@" --threads 1 --directory "$folder" --fingerprints "$folder.prints" >"$folder.out" 2>"$folder.err" &
    RUNNER=$!
}
members_are() # FOLDER N
{
    [ "$("$WEIR" status "$1" --json 2>/dev/null | grep -o '"member":true' | wc -l)" -eq "$2" ]
}
changed() # FOLDER WHAT: such a change was made
{
    "$WEIR" rescales "$1" 2>/dev/null | grep -qE " $2 +done "
}
# ends_drained FOLDER ARGUMENTS...: the run is drained, wherever it is, and has the bits of one process to there.
ends_drained()
{
    folder=$1
    shift
    exits 0 "$folder: is drained" "$WEIR" drain "$folder"
    [ $code -eq 0 ] || kill -9 $RUNNER
    wait $RUNNER
    is "$folder: ends well" test $? -eq 0
    RUNNER=
    last=$(sed -nE 's/^drained after step ([0-9]+) .*/\1/p' "$folder.out")
    "$WEIR" run "$@" --steps "$last" --directory one --fingerprints one.prints >out 2>err
    is "$folder: has steps" test -s one.prints
    is "$folder: the same bits" test "$(tail -n 1 one.prints | cut -d' ' -f1,2)" = \
        "$(tail -n 1 "$folder.prints" | cut -d' ' -f1,2)"
}

# ---- nobody may: the job waits, and says why of each ----
nobody() # HINT REASON
{
    begin none $flock --workers 2 --set "placement.$1"
    is "$1: nobody may have key groups, which is said of each" wait_for 60 says none \
        "\"phase\":\"waiting\",\"waiting\":\"workers: w1: $2; w2: $2\""
    "$WEIR" cancel none >out 2>err
    wait $RUNNER
    is "$1: no step was run" test ! -s none.out
    rm -rf none
}
nobody 'label="fast*"' 'its label is none of those in \[placement\] label'
nobody priority=3 'its priority is 0, at least 3 is asked for'
nobody min_compute_capability=7.5 'it has no CUDA device, compute capability 7\.5 is asked for'
nobody 'min_free_bytes="900TiB"' 'it has [0-9.]+ [GT]iB free, 900 TiB are to stay free'

# ---- some may ----
begin some $flock --steps 1000000 --set run.pace=60 --workers 2 --set 'placement.label=["w2"]'
is "a job begins with who may" wait_for 60 has_step some 5
is "and nobody else" members_are some 1
is "which is that one" says some '"label":"w2"[^}]*"member":true'
exits 1 "two may not" "$WEIR" rescale some --workers 2
holds "and it is said why" err "2 workers are asked for, 1 may have key groups: w1: its label is none of those in [placement] label"
exits 1 "nor would a third one" "$WEIR" rescale some --workers 2 --dry-run
holds "by its name" err "w3: its label is none of those in [placement] label"
exits 1 "nor is anything moved to it" "$WEIR" move some --key-groups 3 --to w1
holds "saying the same" err "its label is none of those in [placement] label"
ends_drained some $flock
begin third $flock --steps 1000000 --set run.pace=60 --workers 2 --set 'placement.label=["w2", "w3"]' \
    --set 'placement.min_free_bytes="1MiB"'
is "one of two may" wait_for 60 has_step third 5
would() { "$WEIR" rescale third --workers 2 --dry-run >out 2>err; }
is "one more would be started" wait_for 60 would
holds "and get its share" out "would be: 1 worker -> 2, "
exits 0 "and is" "$WEIR" rescale third --workers 2
is "which is that one" says third '"label":"w3"[^}]*"member":true'
ends_drained third $flock

# ---- an uneven flock becomes even, and why is said ----
corner="$TOP/tests/bench/corner.toml --set birds=20000"
begin uneven $corner --steps 1000000 --set run.pace=40 --workers 2 --set placement.auto=true
is "nobody asked for it" wait_for 60 changed uneven rebalance
exits 0 "what was done" "$WEIR" rescales uneven
is "has the reason" grep -qE ": the busiest worker has [0-9.]+ times its share, it could be 1\.0[0-9]: rebalancing" out
ends_drained uneven $corner

# ---- more workers while they are busy, fewer when they are not ----
begin busy $flock --steps 1000000 --workers 1 --set scaling.max=3 --set scaling.target_utilisation=0.1 \
    --set scaling.cool_down_seconds=1
is "why there are as many as there are is said" wait_for 60 says busy '"scaling":"(1 worker is|[23] workers are) [0-9]+ % busy, the target is 10 %: '
is "more are added" wait_for 60 changed busy rescale
is "up to the most that are allowed" wait_for 60 members_are busy 3
exits 0 "what was done" "$WEIR" rescales busy
is "has the reason" grep -qE ": 1 worker is [0-9]+ % busy, the target is 10 %: 2 more" out
ends_drained busy $flock
begin idle $flock --steps 1000000 --set run.pace=5 --workers 3 --set scaling.min=1 --set scaling.max=3 \
    --set scaling.cool_down_seconds=1
is "those that have nothing to do leave" wait_for 60 members_are idle 1
exits 0 "what was done" "$WEIR" rescales idle
is "has the reason" grep -qE ": 3 workers are [0-9]+ % busy, the target is 70 %: 2 less" out
ends_drained idle $flock
