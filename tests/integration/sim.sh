#!/bin/sh
# simulation: seeded schedules of faults against the protocols, and mutants that must be caught
. "$TOP/tests/support/check.sh"

# ---- the verb ----
exits 2 "a range that is none" "$WEIR" sim --seeds 5..2
exits 2 "an unknown mutant" "$WEIR" sim --mutant none
holds "is named" err 'unknown mutant "none"'
exits 0 "a schedule" "$WEIR" sim --seed 17 --json
holds "tells what it did" out '"schedules":1,"violations":0'

# ---- a seed run twice gives the same trace ----
"$WEIR" sim --seeds 1..100 --trace-hash | grep trace >first
"$WEIR" sim --seeds 1..100 --trace-hash | grep trace >second
is "a trace for each seed" test "$(sort -u -k4 first | wc -l)" -eq 100
is "the same in a second run" cmp first second

# ---- the protocols survive ----
exits 0 "200 schedules of a kind world" "$WEIR" sim --seeds 1..200 --no-faults
if [ "${WEIR_LONG:-0}" = 1 ]; then
    first=$(($(date +%s) * 1000))
    echo "the long range begins at $first"
    exits 0 "200,000 schedules" "$WEIR" sim --seeds 1..200000
    exits 0 "200,000 schedules nobody has seen" "$WEIR" sim --seeds $first..$((first + 199999))
else
    exits 0 "2,000 schedules" "$WEIR" sim --seeds 1..2000
    first=$(($(date +%s) * 1000))
    exits 0 "2,000 schedules nobody has seen, from $first" "$WEIR" sim --seeds $first..$((first + 1999))
fi
