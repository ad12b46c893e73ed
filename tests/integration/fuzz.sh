#!/bin/sh
# fuzzing: the readers of outside bytes, from their kept corpora
. "$TOP/tests/support/check.sh"

seconds=10
[ "${WEIR_LONG:-0}" = 1 ] && seconds=3600
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d[0] == n; }' |
    clang -fsanitize=fuzzer,address -x c -o probe - 2>/dev/null; then
    echo "skip clang's fuzzer is not here"
    exit 0
fi
knobs="CC=clang OPT=-O1 SAN=fuzzer-no-link,address,undefined LEVELS=v3" # determinism.sh takes this build, too
if ! flock "$LOG/building" make -C "$TOP" --no-print-directory -j"${CPUS:-2}" $knobs fuzzers >build.log 2>&1; then
    echo "not ok build the fuzzers"
    grep -E 'error|warning|undefined' build.log | head -n 20
    exit 1
fi
folder=$TOP/$(make -C "$TOP" --no-print-directory $knobs where)/tests/fuzz

# One target: new inputs go to a folder of their own; what it finds is kept for the one who looks.
fuzz()
{
    name=$(basename "$1")
    mkdir -p "$name.new"
    if "$1" -max_total_time=$seconds -timeout=5 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=0 \
        -artifact_prefix="$TOP/build/log/$name-" "$name.new" "$TOP/tests/fuzz/corpus/${name#fuzz_}" \
        >"$name.log" 2>&1; then
        echo "ok $name, $(sed -nE 's/^#([0-9]+).*DONE.*/\1/p' "$name.log") inputs"
    else
        echo "not ok $name (input kept in build/log)"
        tail -n 30 "$name.log"
    fi
}
targets=$(ls "$folder"/fuzz_* | grep -v '\.d$')
running=0
for target in $targets; do
    fuzz "$target" &
    running=$((running + 1))
    [ $((running % ${CPUS:-2})) -eq 0 ] && wait
done
wait
