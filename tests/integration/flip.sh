#!/bin/sh
# damage: every byte of a store of snapshots flipped, its files cut, removed, swapped
. "$TOP/tests/support/check.sh"
export LD_BIND_NOW=1 # each trial is a process, which then need not look up each function anew
mode=bytes
tests=$(dirname "$WEIR")/../tests
if ! flock "$LOG/building" make -C "$TOP" --no-print-directory -j"${CPUS:-2}" tests >build.log 2>&1; then
    echo "not ok build the unit tests"
    tail -n 20 build.log
    exit 1
fi
[ "${WEIR_LONG:-0}" = 1 ] && mode=bits
"$tests/unit/test_snap_flip" "$mode"
