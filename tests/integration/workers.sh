#!/bin/sh
# workers: what they tell of their load, their rows and what a step costs them
. "$TOP/tests/support/check.sh"
job="$TOP/tests/bench/corner.toml --set birds=3000 --set run.key_groups=64 --steps 100000"

# figure LABEL NAME: of a worker, as `weir workers --json` says it.
figure()
{
    "$WEIR" workers runs/corner --json | tr '{' '\n' |
        sed -nE "s/^\"label\":\"$1\",.*\"$2\":\"?([^,\"}]*).*/\1/p"
}
# Everything has been told: costs by the second message with units.
told()
{
    for label in w1 w2; do
        [ "$(figure $label cost_ns)" -gt 0 ] || return 1
    done 2>/dev/null
}

would_move()
{
    "$WEIR" workers runs/corner | grep -q '^to balance: [1-9][0-9]* of [0-9]* key groups move'
}
all_there()
{
    [ $(($(figure w1 rows) + $(figure w2 rows))) -eq 3000 ] &&
        [ $(($(figure w1 state_bytes) + $(figure w2 state_bytes))) -eq 96000 ]
}

"$WEIR" run $job --workers 2 --threads 1 --directory runs/corner --set run.pace=50 --set worker.w2.priority=3 \
    --quiet >out.run 2>err.run &
runner=$!
is "workers tell their costs" wait_for 60 told
exits 0 "weir workers" "$WEIR" workers runs/corner
for text in "w1 " "w2 " "key groups" "step cost" "cpu"; do
    holds "shows $text" out "$text"
done
full=w1 empty=w2 # who is there first owns the first half
[ "$(figure w1 rows)" -gt "$(figure w2 rows)" ] || { full=w2 empty=w1; }
does_more() # a thread that waits in the middle of a task, beside other programs, may be measured for more once
{
    [ "$(figure $full cost_ns)" -gt "$(figure $empty cost_ns)" ]
}
is "the one with more of them does more" wait_for 60 does_more
is "what a rebalance would do" wait_for 60 would_move
exits 0 "suspend" "$WEIR" suspend runs/corner # birds that fly from one to the other are told by both
is "all birds are somewhere, each of 32 bytes" wait_for 60 all_there
is "nearly all are at one" test "$(figure $full rows)" -gt 2700
halves() # of the 60 tiles; 4 of the 64 key groups have none
{
    [ "$(figure w1 key_groups)" -ge 30 ] && [ "$(figure w2 key_groups)" -ge 30 ] &&
        [ $(($(figure w1 key_groups) + $(figure w2 key_groups))) -eq 64 ]
}
is "each owns half of the key groups" halves
is "a priority" test "$(figure w2 priority)" -eq 3
is "a host" test "$(figure w1 host)" = "$(uname -n | cut -c 1-63)"
is "free memory" test "$(figure w1 free_bytes)" -gt 0
is "figures that are new" test "$(figure w1 age_ms)" -lt 60000
exits 0 "cancel" "$WEIR" cancel runs/corner
wait $runner

# ---- hints ----
"$WEIR" run $job --workers 2 --threads 1 --directory runs/hints --set run.pace=50 --set placement.priority=3 \
    --set 'placement.label="w*"' --set placement.sample_seconds=0.05 --set worker.w1.priority=3 --quiet \
    >out.run 2>err.run &
runner=$!
refuses()
{
    "$WEIR" workers runs/hints --json 2>/dev/null | grep -q '"refused":"its priority is 0, at least 3'
}
is "who is refused is told why" wait_for 60 refuses
exits 0 "in the table, too" "$WEIR" workers runs/hints
holds "with the reason" out "no key groups: its priority is 0, at least 3 is asked for"
exits 0 "cancel" "$WEIR" cancel runs/hints
wait $runner

exits 1 "a job that does not run" "$WEIR" workers runs/corner
exits 2 "a job that is not there" "$WEIR" workers nobody
