#!/bin/sh
# jobs: every job of config/jobs is right
. "$TOP/tests/support/check.sh"

for job in "$TOP"/config/jobs/*.toml; do
    name=$(basename "$job")
    exits 0 "check $name" "$WEIR" check "$job"
    holds "its tiling or its partitions" out "key groups"
    exits 0 "graph $name" "$WEIR" graph "$job"
    exits 0 "graph $name --dot" "$WEIR" graph "$job" --dot
    holds "it is a graph" out digraph
    exits 0 "graph $name --json" "$WEIR" graph "$job" --json
    is "nothing was left behind" test ! -e runs
done
