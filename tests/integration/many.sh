#!/bin/sh
# many workers: as many real processes as a machine carries, rescaled while they run
. "$TOP/tests/support/check.sh"
if [ "${WEIR_LONG:-0}" != 1 ]; then
    echo "skip with 48 workers it takes 20 s of two cores: make test-long runs it"
    exit 0
fi
workers=48
flock="$TOP/config/jobs/flock.toml --set birds=2000 --set run.key_groups=64 --steps 200"

exits 0 "in one process" "$WEIR" run $flock --directory one
alone=$(print_of out)
"$WEIR" run $flock --set run.pace=25 --workers $workers --threads 1 --directory many >out.many 2>err.many &
runner=$!
is "$workers workers run" wait_for 120 has_step many 5
exits 0 "fewer" "$WEIR" rescale many --workers $((workers - 16))
exits 0 "a snapshot" "$WEIR" snapshot many
exits 0 "more" "$WEIR" rescale many --workers $workers
wait $runner
is "the run ends well" test $? -eq 0
is "with the same fingerprint" test "$(print_of out.many)" = "$alone"
echo "of one process: $alone; of many: $(grep '^done' out.many), $(cat many/state/finished)"
is "and the same file" cmp one/mood.csv many/mood.csv
is "nobody was lost" grep -q " 0 restarts, 2 changes of workers" err.many
