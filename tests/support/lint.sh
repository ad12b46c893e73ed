#!/bin/sh
# Functions over 70 lines and files over 800: each needs a written reason. Exits 1 if there are any.
cd "$(dirname "$0")/../.." || exit 1
git ls-files '*.c' '*.h' '*.cpp' '*.cu' | xargs awk '
    FNR == 1 { start = 0 }
    FNR == 801 { printf "%s: more than 800 lines\n", FILENAME; bad = 1 }
    # K&R: a function begins with a brace in the first column and ends with one.
    /^\{/ { start = FNR }
    /^\}/ { if (start && FNR - start > 70) {
                printf "%s:%d: a function of %d lines\n", FILENAME, start, FNR - start - 1; bad = 1 }
            start = 0 }
    END { exit bad }'
