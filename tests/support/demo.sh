#!/bin/sh
# `make demo`: build, run a million birds, and show on one thread that the bits are the same.
set -u
cd "$(dirname "$0")/../.." || exit 1
weir=build/release/bin/weir
job=config/jobs/flock.toml
mkdir -p build

printf 'building ... '
if ! make --no-print-directory -j"$(nproc)" build >build/build.log 2>&1; then
    printf 'failed (log: build/build.log)\n'
    grep -vE '^  (CC|CXX|LINK) ' build/build.log | tail -n 20
    exit 1
fi
echo done

$weir run $job --steps 600 --fingerprints build/demo.fingerprints || exit

printf 'again with 1 thread, 100 steps ... '
if $weir run $job --steps 100 --threads 1 --quiet --directory build/demo-again \
    --verify build/demo.fingerprints; then
    echo 'same bits ✓'
else
    exit 1
fi
echo runs/flock/flock.png
echo "try: $weir run config/jobs/outbreak.toml | $weir graph $job"
