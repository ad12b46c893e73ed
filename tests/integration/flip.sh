#!/bin/sh
# damage: every byte of a store of snapshots flipped, its files cut, removed, swapped
. "$TOP/tests/support/check.sh"
export LD_BIND_NOW=1 # each trial is a process, which then need not look up each function anew
mode=bytes
[ "${WEIR_LONG:-0}" = 1 ] && mode=bits
"$(dirname "$WEIR")/../tests/unit/test_snap_flip" "$mode"
