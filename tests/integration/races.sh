#!/bin/sh
# races: the unit tests, and two workers that become three and two again, under ThreadSanitizer (test-long)
. "$TOP/tests/support/check.sh"
if [ "${WEIR_LONG:-0}" != 1 ]; then
    echo "skip to build everything once more takes minutes: make test-long runs it"
    exit 0
fi
if ! echo 'int main(void) { return 0; }' | clang -fsanitize=thread -x c -o probe - 2>/dev/null; then
    echo "skip clang's thread sanitizer is not here"
    exit 0
fi
levels="v3 v4"
grep -q avx512vl /proc/cpuinfo || levels=v3
knobs="CC=clang OPT=-O1 SAN=thread MODE=release" # determinism.sh takes this build, too
if ! flock "$LOG/building" make -C "$TOP" --no-print-directory -j"${CPUS:-2}" $knobs LEVELS="$levels" build tests \
    >build.log 2>&1; then
    echo "not ok build with the thread sanitizer"
    grep -E 'error|warning|undefined' build.log | head -n 20
    exit 1
fi
folder=$TOP/$(make -C "$TOP" --no-print-directory $knobs where)
RACY=$folder/bin/weir
export TSAN_OPTIONS="halt_on_error=1 die_after_fork=0 exitcode=66 log_path=$PWD/races suppressions=$TOP/tests/support/races.txt"

# ---- unit tests ----
for test in "$TOP"/tests/unit/test_*.c; do
    name=$(basename "$test" .c)
    if (cd "$TOP" && timeout 900 "$folder/tests/unit/$name" >"$OLDPWD/$name.log" 2>&1); then
        echo "ok $name"
    else
        echo "not ok $name"
        tail -n 5 "$name.log"
    fi
done

# ---- processes ----
FLOCK="$TOP/config/jobs/flock.toml --set birds=3000 --set run.key_groups=64 --set operator.mood.every_steps=10 --steps 300"
exits 0 "undisturbed, in one process" "$WEIR" run $FLOCK --directory one
alone=$(print_of out)
"$RACY" run $FLOCK --set run.pace=20 --set snapshot.every_steps=50 --workers 2 --threads 2 --directory racy >out.racy 2>err.racy &
RUN=$!
is "two workers run" wait_for 60 has_step racy 5
exits 0 "three" "$RACY" rescale racy --workers 3
exits 0 "a snapshot" "$RACY" snapshot racy
exits 0 "two again" "$RACY" rescale racy --workers 2
wait $RUN
is "the run ends well" test $? -eq 0
is "with the same fingerprint" test "$(print_of out.racy)" = "$alone"
is "and file" cmp one/mood.csv racy/mood.csv
is "nobody was lost" grep -q " 0 restarts, " err.racy

for race in races.*; do
    [ -e "$race" ] || continue
    echo "not ok $race"
    head -n 40 "$race"
done
