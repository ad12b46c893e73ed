#!/bin/sh
# layers: who includes whom, and every header alone
. "$TOP/tests/support/check.sh"
cd "$TOP" || exit 1

# arrows FOLDER FORBIDDEN: no file of the folder includes one of the forbidden folders.
arrows()
{
    found=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*\"(\.\./)*($2)/" "$1" \
        --include='*.c' --include='*.h' --include='*.cpp' --include='*.cu')
    if [ -z "$found" ]; then
        echo "ok $1 includes nothing above it"
    else
        echo "not ok $1 includes what it may not"
        echo "$found"
    fi
}
arrows kernels 'dataflow|operators|snapshot|coordinator|config|tests'
arrows dataflow 'operators|snapshot|coordinator|config|tests'
arrows snapshot 'operators|coordinator|config|kernels|tests'
arrows config 'operators|snapshot|coordinator|kernels|tests'
arrows operators 'snapshot|coordinator|config|tests'
arrows coordinator 'tests'

# A third-party library is known to one or two files.
fenced()
{
    count=$(grep -rlE "^#[[:space:]]*include[[:space:]]*<$2" kernels dataflow operators snapshot \
        coordinator config --include='*.c' --include='*.h' --include='*.cpp' | wc -l)
    if [ "$count" -le "$3" ]; then
        echo "ok $1 is fenced in"
    else
        echo "not ok $1 is included by $count files, not at most $3"
    fi
}
fenced toml++ 'toml\+\+' 1
fenced jansson 'jansson\.h' 1
is "what includes it is for coord_json*.c alone" sh -c "! grep -rl 'coord_json_private\.h\"' kernels dataflow \
    operators snapshot coordinator config | grep -v '^coordinator/coord_json'"
fenced libpng 'png\.h' 2
fenced HDF5 'hdf5\.h' 2
fenced RocksDB 'rocksdb/' 3
fenced ZeroMQ 'zmq\.h' 3
fenced civetweb 'civetweb\.h' 1
fenced lz4 'lz4' 1
fenced zstd 'zstd' 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for header in $(find kernels dataflow operators snapshot coordinator config tests/support -name '*.h'); do
    echo "#include \"$header\"" >"$scratch/alone.c"
    if gcc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -march=x86-64-v3 -I. -fsyntax-only \
        "$scratch/alone.c" 2>"$scratch/err"; then
        echo "ok $header alone"
    else
        echo "not ok $header does not compile alone"
        head -n 5 "$scratch/err"
    fi
done
echo '#include "dataflow/weir/operator.h"' >"$scratch/alone.cpp"
is "operator.h as C++" g++ -std=c++17 -Wall -Wextra -Wpedantic -I. -fsyntax-only "$scratch/alone.cpp"
rm -f is.log
