#!/bin/sh
# CUDA: the kernels' headers compile under nvcc
. "$TOP/tests/support/check.sh"

NVCC=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)}
if [ -z "$NVCC" ]; then
    echo "skip nvcc is not here"
    exit 0
fi
here=$PWD
for source in "$TOP"/tests/unit/*.cu; do
    name=$(basename "$source")
    is "$name" sh -c "cd '$TOP' && '$NVCC' -std=c++17 -O3 -fmad=false -arch=sm_90 -I. -c -o '$here/$name.o' '$source'"
done
