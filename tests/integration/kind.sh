#!/bin/sh
# a kind of one's own: the one of operators/README.md, from a shared object
. "$TOP/tests/support/check.sh"

# The example as it is printed there: the first block of C.
awk '/^```c$/ && !n { n = 1; next } /^```$/ { n = n ? 2 : 0 } n == 1' "$TOP/operators/README.md" >threshold.c
is "it compiles without a warning" gcc -std=c17 -O2 -Wall -Wextra -Wpedantic -Werror -fPIC -shared \
    -I"$TOP" -o mine.so threshold.c
exits 0 "weir operators shows it" "$WEIR" operators ./mine.so:threshold_kind
holds "from its descriptor" out "smaller values are dropped"
exits 2 "a symbol that is not in it" "$WEIR" operators ./mine.so:threshold
holds "is named" err 'has no "threshold"'

dots fast 3 walk 0.1 >job.toml
cat >>job.toml <<'JOB'
[operator.fast]
kind   = "./mine.so:threshold_kind"
in     = "dots"
column = "vx"
least  = 0.7

[sink.fast]
kind    = "csv"
in      = "fast"
columns = ["id", "vx"]
file    = "fast.csv"

[sink.all]
kind    = "csv"
in      = "dots"
columns = ["id", "vx"]
file    = "all.csv"
JOB
exits 0 "a job runs with it" "$WEIR" run job.toml --threads 2
is "it keeps what it should" test "$(wc -l <runs/fast/fast.csv)" -gt 100
# The oracle: the same choice made by awk, from all rows. Columns: step, time, id, vx.
awk -F, 'NR == 1 || $4 >= 0.7' runs/fast/all.csv >expected.csv
is "and only that" cmp expected.csv runs/fast/fast.csv

mkdir elsewhere
cp job.toml elsewhere/
exits 2 "its path is relative to the job" "$WEIR" check elsewhere/job.toml
holds "and the error is placed" err "elsewhere/job.toml:29:"
sed 's/WEIR_API_VERSION,/WEIR_API_VERSION + 1,/' threshold.c >later.c
gcc -fPIC -shared -I"$TOP" -o mine.so later.c
exits 2 "a kind for another version of the interface" "$WEIR" check job.toml
holds "is refused" err "was built for version 2"

# ---- with workers: whoever runs a part of the job must have the same kind, not only one of that name ----
gcc -fPIC -shared -I"$TOP" -o mine.so threshold.c
cp mine.so right.so
sed 's/>= self->least/> self->least + 0.1/' threshold.c >other.c
gcc -fPIC -shared -I"$TOP" -o other.so other.c
exits 0 "in one process" "$WEIR" run job.toml --steps 400 --directory one
mv out one.out
"$WEIR" coordinator job.toml --steps 400 --set run.pace=100 --set snapshot.every_steps=10 --directory two \
    --bind tcp://127.0.0.1:* --insecure --expect 2 --workers 1 >two.out 2>two.err &
COORDINATOR=$!
trap 'kill -9 $COORDINATOR $WORKER 2>/dev/null' EXIT
wait_for 60 test -f two/state/endpoint
address=$(head -n 1 two/state/endpoint)
mv other.so mine.so
exits 1 "a worker with another kind of that name" timeout 60 "$WEIR" worker --join "$address" --insecure
holds "is refused, and says why" err "kinds of your own among them) are others here"
cp right.so mine.next
mv mine.next mine.so
"$WEIR" worker --join "$address" --insecure >worker.log 2>&1 &
WORKER=$!
is "one with the same kind is let in" wait_for 60 has_step two 40
kill -9 $COORDINATOR $WORKER
wait $COORDINATOR 2>/dev/null
gcc -fPIC -shared -I"$TOP" -o mine.next other.c
mv mine.next mine.so
exits 2 "a run does not go on with another kind than it began with" timeout 60 "$WEIR" run job.toml --steps 400 \
    --set run.pace=100 --set snapshot.every_steps=10 --directory two --workers 2 --resume
holds "and says why" err "have changed since the run in"
mv right.so mine.so
exits 0 "with the same it does" timeout 100 "$WEIR" run job.toml --steps 400 \
    --set run.pace=100 --set snapshot.every_steps=10 --directory two --workers 2 --resume
is "to the same bits" test "$(print_of out)" = "$(print_of one.out)"
is "and the same file" cmp one/fast.csv two/fast.csv
