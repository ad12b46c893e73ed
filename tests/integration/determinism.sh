#!/bin/sh
# determinism: one table of fingerprints for every build, level and number of threads
#
# Cells: compiler x optimisation x sanitizer (a build) x level x threads, with four small jobs each. Four of
# each build are run, which have every pair of compiler, optimisation, level and threads; sanitizers go with -O1.
# WEIR_LONG=1 runs all. The table is tests/golden/fingerprints.txt, a line per job and step, so that a
# difference shows its first step.
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

# CC:OPT:SAN:PARTS:LEVELS, the builds. Of some only the parts that compute numbers are built; the rest is that of
# the program under test. The last one is that of fuzz.sh.
if [ "$WEIR_LONG" = 1 ]; then
    builds="gcc:-O3::whole gcc:-O1::whole clang:-O3::whole clang:-O1::whole
        gcc:-O3:address,undefined:whole gcc:-O1:address,undefined:whole clang:-O3:address,undefined:whole
        clang:-O1:address,undefined:whole clang:-O3:thread:whole clang:-O1:thread:whole"
else
    builds="gcc:-O3::numbers clang:-O3::numbers gcc:-O1::numbers:v3 clang:-O1::numbers:v4 clang:-O1:thread:numbers:v3
        gcc:-O1:address,undefined:numbers:v4 clang:-O1:fuzzer-no-link,address,undefined:whole:v3"
fi
levels_here="v3 v4"
if ! grep -q avx512vl /proc/cpuinfo; then
    echo "skip x86-64-v4: this machine has no AVX-512"
    levels_here=v3
fi

# The build of this turn is there. Nobody else builds meanwhile.
built()
{
    [ "$WEIR" != "$folder/bin/weir" ] || return 0
    [ "$parts" = whole ] || knobs="$knobs SHARE=${WEIR%/bin/weir}"
    flock "$LOG/building" make -C "$TOP" --no-print-directory -j"${CPUS:-2}" $knobs LEVELS="$levels" build \
        >build.log 2>&1
}

turn=0
for build in $builds; do
    IFS=: read -r cc opt san parts levels <<EOS
$build
EOS
    command -v "$cc" >/dev/null || { echo "skip $cc is not here"; continue; }
    knobs="CC=$cc OPT=$opt SAN=$san MODE=release"
    [ -n "$levels" ] && [ "$levels_here" != v3 ] || levels=$levels_here
    set -- $levels
    folder=$TOP/$(make -C "$TOP" --no-print-directory $knobs where)
    if ! built; then
        echo "not ok build with $cc $opt $san"
        grep -E 'error|warning|undefined' build.log | head -n 20
        continue
    fi
    for level in $levels; do
        # Of two levels two of the four each, changing places.
        turn=$((turn + 1))
        case $#,$((turn % 4)) in
        1,*) threads="1 2 3 8" ;;
        2,1) threads="1 8" ;;
        2,2) threads="2 3" ;;
        2,3) threads="3 1" ;;
        2,0) threads="8 2" ;;
        esac
        [ "$WEIR_LONG" = 1 ] && threads="1 2 3 8"
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
