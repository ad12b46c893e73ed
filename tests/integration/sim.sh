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
fi

# ---- a rule that is left out is noticed: the mutant, and schedules within which it must be caught ----
caught()
{
    "$WEIR" sim --mutant "$1" --seeds "1..$2" --json >out 2>err
    if [ $? -eq 1 ] && grep -q '"violation":' out; then
        echo "ok without a rule: $1, seed $(sed -nE 's/.*"seed":([0-9]+).*/\1/p' out)"
    else
        echo "not ok mutant $1 survives $2 schedules"
        tail -n 3 out err
    fi
}
while read -r mutant most; do
    caught "$mutant" "$most"
done <<'EOF'
nogate 500
nopromise 8000
early 500
nofloor 1000
sendfirst 500
minattach 16000
reject 2000
noackwait 500
sameinc 5000
once 1000
nolock 1000
voidinput 500
orderlate 500
earlycommit 500
takeover 500
nogendata 2000
stalepart 500
norelease 500
noexempt 500
nocredit 500
earlycredit 2000
markfirst 500
markworker 500
markrows 500
noresend 500
norepeat 500
partsync 500
sinksync 500
logsync 1000
noceiling 1000
noclient 500
EOF
"$WEIR" sim --mutants | cut -d' ' -f1 | grep -v '^stalegrant$' | sort >all
sed -n "/^done <<'EOF'\$/,/^EOF\$/p" "$TOP/tests/integration/sim.sh" | sed -nE 's/^([a-z]+) [0-9]+$/\1/p' | sort >listed
is "every mutant but stalegrant is listed" cmp all listed
