#!/bin/sh
# running: output, recordings, Ctrl-C, full disks
. "$TOP/tests/support/check.sh"
jobs=$TOP/config/jobs
flock="$jobs/flock.toml --set birds=5000 --set run.key_groups=32"

# ---- what a run prints ----
exits 0 "a run" "$WEIR" run $flock --steps 5
holds "ends with its fingerprint" out "done. fingerprint "
holds "and says what ran" err "flock  5,000 birds  30 key groups"
holds "and where its files are" out "in runs/flock: mood.csv  flock.png"
is "the files are there" test -s runs/flock/mood.csv -a -s runs/flock/flock.png
exits 0 "--directory" "$WEIR" run $flock --steps 5 --directory other/place --quiet
is "is where files go" test -s other/place/mood.csv
is "--quiet prints nothing" test ! -s out -a ! -s err
exits 0 "--json" "$WEIR" run $flock --steps 5 --json --threads 2
is "prints one line" test "$(wc -l <out)" -eq 1
for member in '"job":"flock"' '"status":"done"' '"steps":5' '"step":5' '"threads":2' '"rows":5000' \
    '"row_steps":20000' '"fingerprint":"' '"allocations":' '"pool_bytes":' '"error":null' \
    '"kind":"boids"'; do
    holds "with $member" out "$member"
done
exits 0 "a job that prints" "$WEIR" run "$jobs/outbreak.toml" --set schools=5 --json
is "prints its object alone with --json" test "$(wc -l <out)" -eq 1
exits 0 "and without" "$WEIR" run "$jobs/outbreak.toml" --set schools=5 --quiet
is "prints its sink's table" test "$(wc -l <out)" -ge 2
exits 0 "step 0 alone" "$WEIR" run $flock --steps 0
is "says how long it took" grep -qE '^step 0 was done after [0-9]+\.[0-9] s$' err
sed -n 's/^done. fingerprint //p' out >zero
exits 0 "step 1" "$WEIR" run $flock --steps 1
is "one step has no rate" grep -qE '^1 step in [0-9]+\.[0-9] s$' err
sed -n 's/^done. fingerprint //p' out >one
is "other steps have other fingerprints" sh -c '! cmp -s zero one'

# ---- a pace ----
exits 0 "a pace that nobody keeps" "$WEIR" run $flock --steps 20 --set run.pace=1e9
is "all steps are late" grep -qE '^20 steps in .*, 20 steps late$' err
exits 0 "in JSON" "$WEIR" run $flock --steps 20 --set run.pace=1e9 --json
holds "too" out '"late_steps":20'
exits 0 "no pace" "$WEIR" run $flock --steps 20 --json
holds "nothing is late" out '"late_steps":0'

# ---- a terminal: the progress line, and a sink that prints beside it ----
if script -qec true typescript >/dev/null 2>&1; then
    TERM=xterm script -qec "$WEIR run $jobs/melt.toml --set cells=12 --steps 300 --set run.pace=150" typescript >/dev/null 2>&1
    is "the run on a terminal ended well" grep -q "done. fingerprint" typescript
    is "the line is redrawn" sh -c 'tr "\r" "\n" <typescript | grep -qE "^.\[Kstep +[0-9]+/300"'
    is "a sink's table is not mixed with it" sh -c \
        'tr "\r" "\n" <typescript | sed "s/^.\[K//" | grep -qE "^ +300 +[0-9.]+ "'
    is "it is wiped at the end" sh -c 'tail -n 5 typescript | grep -q "row-steps/s"'
    TERM=xterm script -qec "$WEIR run $flock --steps 200 --set run.pace=100 --workers 2 --directory tty" typescript \
        >/dev/null 2>&1
    is "the run with workers on a terminal ended well" grep -q "done. fingerprint" typescript
    is "its line is redrawn, too" sh -c 'tr "\r" "\n" <typescript | grep -cE "^.\[Kstep +[0-9]+/200" | grep -qE "^([3-9]|[1-9][0-9])"'
    is "and wiped at the end" sh -c 'tail -n 5 typescript | grep -qE "200 steps in [0-9.]+ s, "'
else
    echo "skip a terminal: none can be had here"
fi

# ---- recordings ----
exits 0 "record" "$WEIR" run $flock --steps 20 --threads 2 --fingerprints rec --quiet
is "a line for each step" test "$(grep -c '^[0-9]' rec)" -eq 21
exits 0 "the same bits on 1 thread" "$WEIR" run $flock --steps 20 --threads 1 --verify rec
holds "are said to be" out "same bits as rec in 21 steps"
exits 0 "on 3 threads in a random order" "$WEIR" run $flock --steps 20 --threads 3 --shuffle 7 --verify rec
exits 0 "fewer steps than recorded" "$WEIR" run $flock --steps 9 --verify rec
exits 1 "more steps than recorded" "$WEIR" run $flock --steps 21 --verify rec
holds "names the last" err "the recording ends at step 20, before the run"
exits 1 "another seed" "$WEIR" run $flock --set job.seed=2 --steps 5 --verify rec
holds "is another job" err "belongs to another job: its seed is 1, here it is 2"
exits 1 "another parameter" "$WEIR" run $flock --set operator.fly.steer=0.06 --steps 5 --verify rec
holds "is another job too" err "an operator or a parameter differs"
exits 1 "a recording that is not there" "$WEIR" run $flock --verify none
holds "is named" err "none: No such file or directory"
exits 2 "a recording is not written over" "$WEIR" run $flock --fingerprints ./rec --verify rec
# One digit of the third column (y) and of key group 5 at step 7.
awk '/^7 / { c = substr($3, 33, 1) == "0" ? "1" : "0"; p = 7 * 16 + 1 + 5 * 8 + 1
             $3 = substr($3, 1, 32) c substr($3, 34)
             g = substr($3, p, 1) == "0" ? "1" : "0"
             $3 = substr($3, 1, p - 1) g substr($3, p + 1) } { print }' rec >bent
exits 1 "a changed recording" "$WEIR" run $flock --steps 20 --verify bent
holds "names step, state, key group and column" err \
    'step 7 differs from bent: state "birds", key group 5 (1 of 30), column y'
head -c 5000 rec >cut
exits 1 "a recording that was cut" "$WEIR" run $flock --steps 20 --verify cut
holds "ends where its last whole step is" err "the recording ends at step"
exits 0 "all streams" "$WEIR" run $flock --steps 5 --fingerprint-streams --fingerprints all --quiet
exits 0 "compared with all streams" "$WEIR" run $flock --steps 5 --fingerprint-streams --verify all
exits 0 "a longer one with all streams" "$WEIR" run $flock --steps 3 --fingerprint-streams --verify all
exits 0 "compared with the states alone" "$WEIR" run $flock --steps 5 --verify all
awk '/^stream fly/ { f = NR - 4 } /^3 / { i = 2 + f; c = substr($i, 1, 1) == "0" ? "1" : "0"
     $i = c substr($i, 2) } { print }' all >bent
exits 1 "a stream that differs" "$WEIR" run $flock --steps 5 --fingerprint-streams --verify bent
holds "names the operator" err 'step 3 differs from bent: operator "fly"'
exits 1 "a recording on a full disk" "$WEIR" run $flock --steps 5 --fingerprints /dev/full
holds "is told" err "/dev/full: No space left on device"

# ---- Ctrl-C: steps that have begun are finished, files are whole ----
"$WEIR" run $flock --steps 100000000 --set operator.mood.every_steps=1 --fingerprints live >out 2>err &
pid=$!
is "it runs" wait_for 60 grep -q '^3 ' live
kill -INT $pid
wait $pid
is "it exits with 130" test $? -eq 130
holds "and says how far it came" err "interrupted after step"
step=$(sed -nE 's/.*interrupted after step ([0-9]+) .*/\1/p' err)
is "the recording ends there" test "$(tail -n 1 live | cut -d' ' -f1)" = "$step"
is "the file too, with a whole line" sh -c \
    "test \$(tail -n 1 runs/flock/mood.csv | cut -d, -f1) = $step && tail -c 1 runs/flock/mood.csv | grep -q '^\$'"
exits 0 "what was recorded is right" "$WEIR" run $flock --steps "$step" \
    --set operator.mood.every_steps=1 --verify live
"$WEIR" run $flock --steps 100000000 --json --fingerprints json >out 2>err &
pid=$!
is "a run with --json runs" wait_for 60 grep -q '^3 ' json
kill -TERM $pid
wait $pid
holds "SIGTERM is the same, and the object is printed" out '"status":"interrupted"'

# ---- pace: steps per second of wall time ----
begin=$(date +%s%N)
exits 0 "a paced run" "$WEIR" run $flock --steps 10 --set run.pace=20 --quiet
is "takes its time" test $((($(date +%s%N) - begin) / 1000000)) -ge 490

# ---- errors while running ----
mkdir -p full
ln -s /dev/full full/mood.csv
exits 1 "a full disk under a sink" "$WEIR" run $flock --steps 5 --directory full
holds "names the file" err "mood.csv"
holds "and the reason" err "No space left on device"
exits 1 "a directory that cannot be made" "$WEIR" run $flock --steps 5 --directory /dev/null/x
holds "is named" err "/dev/null"
exits 1 "a job that explodes" "$WEIR" run "$jobs/melt.toml" --set job.dt=10 --set cells=6 --steps 50
is "fails at a step, with the state named" grep -qE 'melt.toml: step [0-9]+: (state|operator) "' err
