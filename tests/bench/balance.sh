# Sourced by tests/bench/run: an uneven flock that becomes even while it runs.
#
# All birds begin in the corner that one of two workers owns. After `weir rebalance`, in turns of a few seconds, the speed is compared
# with one worker of two threads, which steal from each other and so are even from the start.

# steps_per_second SECONDS: of the run below, over so many seconds from now on
steps_per_second()
{
    before=$(status_member step)
    sleep "$1"
    after=$(status_member step)
    awk "BEGIN { print ($after - $before) / $1 }"
}
# What a key group costs is measured anew where it has come to, beside others: what is then still uneven moves with
# the next one.
balance()
{
    for turn in 1 2 3; do
        "$weir" rebalance "$work/cluster"
        sleep 2.5
    done
}
# corner WORKERS THREADS COMMAND: the speed after the command, once it has had its effect
corner()
{
    rm -rf "$work/cluster"
    "$weir" run "$bench/corner.toml" --quiet --workers "$1" --threads "$2" --steps 100000 \
        --directory "$work/cluster" --set snapshot.every_seconds=1000000 >/dev/null 2>>"$work/cluster.err" &
    runner=$!
    limit=$(($(date +%s) + 60))
    while [ "$(date +%s)" -lt $limit ] && ! [ "$(status_member step || echo 0)" -ge 10 ] 2>/dev/null; do
        sleep 0.05
    done
    sleep 3 # costs are told once a second
    eval "$3" >>"$work/cluster.err" 2>&1
    steps_per_second 10
    "$weir" cancel "$work/cluster" >>"$work/cluster.err" 2>&1
    wait $runner
}
compare balance.corner 0.9 "of one worker with two threads" \
    "corner 2 1 balance" "corner 1 2 :"
