#!/bin/sh
# determinism: one table of fingerprints for every build, level and number of threads
#
# Cells: compiler x optimisation x sanitizer (a build) x level x threads, with four small jobs each.
# A choice that covers all pairs is run, with WEIR_LONG=1 all of them. The table is
# tests/golden/fingerprints.txt, a line per job and step, so that a difference shows its first step.
#
#   tests/integration/determinism.sh --update    write the table anew (release build, 1 thread)
if [ "${1:-}" = --update ]; then
    TOP=$(cd "$(dirname "$0")/../.." && pwd)
    WEIR=$TOP/build/release/bin/weir
    WEIR_LONG=0
    CPUS=$(nproc)
fi
. "$TOP/tests/support/check.sh"
golden=$TOP/tests/golden/fingerprints.txt

# The jobs, small: all exchanges, thousands of rows, some dozens of key groups.
arguments()
{
    case $1 in
    flock) echo "--set birds=8000 --set run.key_groups=64 --set state.birds.settle_every=1 --steps 12" ;;
    settling) echo "--set birds=8000 --set run.key_groups=64 --set state.birds.settle_every=5 --steps 12" ;;
    melt) echo "--set cells=8 --set run.key_groups=64 --steps 12" ;;
    outbreak) echo "--set schools=12 --set run.key_groups=64 --steps 30" ;;
    esac
}

# The same flock at every step, and with rows that settle every five steps.
file()
{
    [ "$1" = settling ] && echo flock || echo "$1"
}

# fingerprints PROGRAM THREADS SHUFFLE: the table's lines, as this program computes them.
fingerprints()
{
    for job in flock settling melt outbreak; do
        rm -f rec
        $1 run "$TOP/config/jobs/$(file "$job").toml" $(arguments $job) --threads "$2" $3 --quiet \
            --directory out --fingerprints rec >run.log 2>&1 || cat run.log
        sed -nE "s/^([0-9]+ [0-9a-f]{32}) .*/$job \\1/p" rec
    done
}

if [ "${1:-}" = --update ]; then
    scratch=$(mktemp -d)
    cd "$scratch" || exit 1
    fingerprints "$WEIR" 1 "" >table
    if grep -vE '^[a-z]+ [0-9]+ [0-9a-f]{32}$' table; then
        echo "no table: a job has failed" >&2
        exit 1
    fi
    mkdir -p "$TOP/tests/golden" && cp table "$golden" && wc -l "$golden"
    rm -rf "$scratch"
    exit
fi

# CC OPT SAN: the builds.
if [ "$WEIR_LONG" = 1 ]; then
    builds="gcc:-O3: gcc:-O1: clang:-O3: clang:-O1:
        gcc:-O3:address,undefined gcc:-O1:address,undefined clang:-O3:address,undefined
        clang:-O1:address,undefined clang:-O3:thread clang:-O1:thread"
    all_threads="1 2 3 8"
else
    builds="gcc:-O3: clang:-O3: gcc:-O1:address,undefined clang:-O1:thread gcc:-O1: clang:-O1:"
fi
levels="v3 v4"
grep -q avx512vl /proc/cpuinfo || { levels=v3; echo "skip x86-64-v4: this machine has no AVX-512"; }

turn=0
for build in $builds; do
    cc=${build%%:*} rest=${build#*:}
    opt=${rest%%:*} san=${rest#*:}
    command -v "$cc" >/dev/null || { echo "skip $cc is not here"; continue; }
    knobs="CC=$cc OPT=$opt SAN=$san MODE=release"
    if ! make -C "$TOP" --no-print-directory -j"${CPUS:-2}" $knobs build >build.log 2>&1; then
        echo "not ok build with $cc $opt $san"
        grep -E 'error|warning|undefined' build.log | head -n 20
        continue
    fi
    folder=$TOP/$(make -C "$TOP" --no-print-directory $knobs where)
    for level in $levels; do
        # The covering choice: of each build and level two of the four, changing places.
        threads=${all_threads:-$(echo "1:8 2:3 3:1 8:2" | tr ' ' '\n' | sed -n "$((turn % 4 + 1))p" | tr : ' ')}
        turn=$((turn + 1))
        for count in $threads; do
            shuffle=""
            [ "$count" = 3 ] && shuffle="--shuffle $turn"
            libraries=$folder/lib/glibc-hwcaps/x86-64-$level
            fingerprints "env LD_LIBRARY_PATH=$libraries TSAN_OPTIONS=halt_on_error=1 $folder/bin/weir" \
                "$count" "$shuffle" >got
            if cmp -s got "$golden"; then
                echo "ok $cc $opt ${san:-plain} $level, $count threads $shuffle"
            else
                echo "not ok $cc $opt ${san:-plain} $level, $count threads $shuffle: first difference"
                diff "$golden" got | head -n 5
            fi
        done
    done
done
