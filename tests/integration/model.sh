#!/bin/sh
# model: every state of small instances of the protocol, and rules left out that must show
. "$TOP/tests/support/check.sh"

if ! command -v spin >/dev/null 2>&1; then
    echo "skip spin is not here"
    exit 0
fi
# To compile a verifier takes as long as a small search: not optimised. Large ones are, and in a long run their
# states are packed. What does not fit into the memory (MiB) is no complete search.
small="-O0 -DMEMLIM=1900"
large="-O1 -DMEMLIM=1900"
[ "${WEIR_LONG:-0}" = 1 ] && small="-O2 -DCOLLAPSE -DMEMLIM=${WEIR_MODEL_MEMORY:-8000}" && large=$small
how=$small

# search DEFINES...: the verifier's report goes to `report`.
search()
{
    rm -f pan pan.* report
    spin "$@" -a "$TOP/tests/model/weir.pml" >spin.log 2>&1 &&
        "${CC:-gcc}" -w -DSAFETY $how -o pan pan.c >>spin.log 2>&1 &&
        ./pan -m20000 >report 2>&1
    states=$(sed -nE 's/^ *([0-9]+) states, stored.*/\1/p' report)
}

# holds_in DEFINES: no rule is broken in any state; the search must come to its end.
holds_in()
{
    search $1
    if ! grep -q 'errors: 0' report; then
        echo "not ok the model $1"
        tail -n 20 spin.log report
    elif grep -qE 'not completed|depth too small' report; then
        echo "${2:-not ok} no error in $states states of $1: the search is NOT complete"
    else
        echo "ok no error in all $states states of $1"
    fi
}

# shows MUTANT DEFINES: without the rule an assertion fails, or the protocol hangs.
shows()
{
    search "-D$1" $2
    if grep -q 'errors: 1' report && grep -qE 'assertion violated|invalid end state' report; then
        echo "ok without a rule: $1, $(sed -nE 's/^pan:1: ([a-z ]+).*/\1/p' report) after $states states"
    else
        echo "not ok mutant $1 survives $2"
        tail -n 20 spin.log report
    fi
}

# ---- all rules: with each order alone, a coordinator that dies, a worker that dies, a lossy link ----
restart="-DS=2 -DCC=1 -DWC=0 -DNOGEN"
death="-DS=2 -DCC=0 -DWC=1"
loss="-DS=2 -DCC=0 -DWC=0 -DNOGEN -DLC=1"
barrier="-DUMV=0 -DUEV=0"
move="-DUBAR=0 -DUEV=0"
event="-DUBAR=0 -DUMV=0"
for order in "$barrier" "$move" "$event"; do
    holds_in "$restart $order"
done
how=$large
holds_in "-DS=2 -DCC=0 -DWC=1 -DUEV=0" # barrier, owner change, or both: no order has to be made
how=$small
holds_in "$death $event"
holds_in "-DS=2 -DCC=0 -DWC=0 -DLC=1 $move" # a lossy link, and a worker only thought dead
for order in "$barrier" "$event"; do
    holds_in "$loss $order"
done
holds_in "-DS=2 -DCC=0 -DWC=0 -DNOGEN -DLC=2 $move"
holds_in "-DS=3 -DCC=0 -DWC=0 -DNOGEN -DLC=1 $move"
holds_in "-DS=2 -DNG=3 -DCC=0 -DWC=0 -DNOGEN $move"

# ---- larger: what does not come to its end within the memory says so ----
if [ "${WEIR_LONG:-0}" = 1 ]; then
    for order in "$barrier" "$move" "$event"; do
        holds_in "-DS=2 -DCC=1 -DWC=1 $order" ok
        holds_in "-DS=3 -DCC=1 -DWC=0 -DNOGEN $order" ok
        holds_in "-DS=3 -DCC=0 -DWC=1 $order" ok
        holds_in "-DS=2 -DCC=1 -DWC=0 -DNOGEN -DLC=1 $order" ok
        holds_in "-DS=2 -DCC=0 -DWC=1 -DLC=1 $order" ok
    done
    holds_in "-DS=2 -DCC=1 -DWC=0 -DNOGEN" ok
    holds_in "-DS=2 -DCC=0 -DWC=0 -DNOGEN -DLC=1" ok
    holds_in "-DS=2 -DCC=0 -DWC=1" ok
fi

# ---- each rule is needed ----
for mutant in NOGATE NOPROMISE MINATTACH TAKEOVER ONCE; do
    shows $mutant "$restart $barrier"
done
for mutant in EARLY REJECT SENDFIRST; do
    shows $mutant "$restart $move"
done
for mutant in EARLYCOMMIT STALEPART STALEGRANT NOLOCK NOACKWAIT; do
    shows $mutant "$death $barrier"
done
for mutant in KEEPMOVE NOGENDATA; do
    shows $mutant "$death $move"
done
for mutant in NOFLOOR VOIDEV; do
    shows $mutant "$death $event"
done
for mutant in NORESEND NOREPEAT; do
    shows $mutant "$loss $move"
done
sed -nE 's/^#ifn?def ([A-Z]+)( .*rule: .*)?$/\1/p' "$TOP/tests/model/weir.pml" | sort -u >defined
sed -nE 's/^for mutant in ([A-Z ]+); do$/\1/p' "$TOP/tests/integration/model.sh" | tr ' ' '\n' | sort >shown
printf '%s\n' CC LC NG NOGEN S UBAR UEV UMV WC | sort - shown >known
is "every mutant of the model is shown" cmp defined known
