#!/bin/sh
# service: several jobs submitted to one coordinator, kills of everything, a pool of workers, strangers
. "$TOP/tests/support/check.sh"
flock=$TOP/config/jobs/flock.toml
small="--set birds=2000 --set run.key_groups=32 --set operator.mood.every_steps=10"
paced="--set run.pace=40 --set snapshot.every_steps=10"
SERVICE=
CONFIG=config.toml
WORKERS=

clean()
{
    for pid in $WORKERS; do
        kill "$pid" 2>/dev/null
    done
    kill -0 "${SERVICE:-x}" 2>/dev/null || serve $CONFIG
    kill "$SERVICE" 2>/dev/null
    wait "$SERVICE"
}
trap clean EXIT
trap 'exit 1' INT TERM

serve() # CONFIG: a service in the background
{
    CONFIG=$1
    rm -f svc.err
    "$WEIR" coordinator --config "$1" >svc.out 2>svc.err &
    SERVICE=$!
    wait_for 60 grep -q '^workers join with' svc.err
}
kill_service()
{
    kill -9 $SERVICE
    wait $SERVICE 2>/dev/null
}
stop_service()
{
    kill $SERVICE
    wait $SERVICE
    CODE=$?
}
says() # JOB TEXT: the status as JSON holds it
{
    "$WEIR" status "$1" $REACH --json 2>/dev/null | grep -qE "$2"
}
has_step() # JOB N: it has come so far
{
    step=$("$WEIR" status "$1" $REACH --json 2>/dev/null | sed -nE 's/.*"step":([0-9]+),"steps":.*/\1/p')
    [ "${step:-0}" -ge "$2" ]
}
listed() # TEXT: a line of the list holds it
{
    "$WEIR" list $REACH 2>/dev/null | grep -qE "$1"
}
worker_of() # JOB LABEL: the process of a worker, from the status
{
    "$WEIR" status "$1" $REACH --json | sed -nE "s/.*\"label\":\"$2\",[^}]*\"pid\":([0-9]+).*/\1/p"
}
has_worker() # JOB
{
    [ -n "$(worker_of "$1" "w[12]")" ]
}
coordinator_of() # JOB: the process of its coordinator
{
    pgrep -f "coordinator .* --directory=$PWD/[a-z]*/$1 " | head -n 1
}
left() # PID...: they have ended
{
    for pid in "$@"; do
        kill -0 "$pid" 2>/dev/null && return 1
    done
    return 0
}
ends_alike() # JOB REFERENCE: it ends as that run did
{
    is "$1: it ends well" wait_for 60 says "$1" '"phase":"done"'
    is "$1: with the fingerprint of an undisturbed run" wait_for 60 says "$1" "\"fingerprint\":\"$(print_of "$2.out")\""
    is "$1: and its file" cmp "$2/mood.csv" "runs/$1/mood.csv"
}
REACH=

for seed in 1 2; do
    exits 0 "an undisturbed run of seed $seed" "$WEIR" run "$flock" $small --set job.seed=$seed --steps 600 \
        --directory one$seed
    mv out one$seed.out
done
exits 0 "a shorter one" "$WEIR" run "$flock" $small --steps 300 --directory short
mv out short.out

# ---- configurations that are wrong: each error, with its place ----
wrong() # TEXT ERROR: the configuration is refused with that
{
    printf "$1" >wrong.toml
    exits 2 "refused: $1" "$WEIR" coordinator --config wrong.toml
    holds "with its place" err "wrong.toml:$2"
}
wrong '[service]\ndirectry = "x"\n' '2:1: [service]: unknown key "directry" (did you mean "directory"?)'
wrong '[servce]\n' '1:2: unknown section "servce" (did you mean "service"?)'
wrong 'directory = "x"\n' '1:1: "directory" stands in no section, such as [service]'
wrong 'service = 1\n' '1:1: "service" must be a section: write [service]'
wrong '[service]\ndirectory = 3\n' '2:13: [service]: directory: expected a text, found 3'
wrong '[service]\ndirectory = ""\n' '2:13: [service]: directory: is empty'
wrong '[service]\nbind = "10.0.0.1:70"\n' '2:8: [service]: bind: "10.0.0.1:70": expected "tcp://HOST:PORT"'
wrong '[service]\nbind = "tcp://:70"\n' '2:8: [service]: bind: "tcp://:70": expected "tcp://HOST:PORT"'
wrong '[service]\nbind = "tcp://a:x"\n' '2:8: [service]: bind: "tcp://a:x": expected "tcp://HOST:PORT"'
wrong '[service]\nkeys = "k"\n' '2:1: [service]: keys: go with bind: a local socket needs none'
wrong '[service]\nbind = "tcp://a:7"\nkeys = "k"\ninsecure = true\n' \
    '3:1: [service]: keys: stand beside insecure = true, which is without'
wrong '[service]\ninsecure = true\n' '2:1: [service]: insecure: goes with bind: a local socket is for its user alone'
wrong '[service]\ninsecure = 1\n' '2:12: [service]: insecure: expected true or false, found 1'
wrong '[service]\nmetrics = "there:80"\n' '2:11: [service]: metrics: '
wrong '[workers]\ncount = 61\n' '2:9: [workers]: count: must be in 0..60, found 61'
wrong '[workers]\nthreads = 0\n' '2:11: [workers]: threads: must be in 1..256, found 0'
wrong '[limits]\njobs = 0\n' '2:8: [limits]: jobs: must be in 1..1000, found 0'
wrong '[limits\n' '1:8: '
exits 2 "no configuration" "$WEIR" coordinator --config none.toml
holds "is named" err "none.toml: No such file or directory"
exits 2 "a job and a configuration" "$WEIR" coordinator "$flock" --config wrong.toml
holds "do not go together" err "expected JOB, or --config FILE and nothing else"
exits 2 "nor do other options" "$WEIR" coordinator --config wrong.toml --workers 2
printf '[service]\nbind = "tcp://127.0.0.1:*"\nkeys = "nowhere"\n' >wrong.toml
exits 2 "keys that are not there" "$WEIR" coordinator --config wrong.toml
holds "are asked for" err "weir keys new"
exits 0 "help service" "$WEIR" help service
holds "shows the keys" out "| \`directory\` | text | \`runs\` |"
rm -rf runs

# ---- no service ----
exits 1 "submit without a service" "$WEIR" submit "$flock"
holds "says how to start one" err "no service runs there; weir coordinator --config FILE"
exits 1 "forget without one" "$WEIR" forget flock
exits 0 "list without one" "$WEIR" list
is "is empty" test ! -s out

# ---- a service ----
cat >config.toml <<EOS
[service]
directory = "runs"
metrics = "0"
[workers]
count = 2
threads = 1
[limits]
jobs = 3
EOS
serve config.toml
is "it says what it has" grep -q "service in $PWD/runs: 0 jobs, 2 workers of 1 thread" svc.err
exits 1 "a second service on the same directory" "$WEIR" coordinator --config config.toml
holds "is refused" err "another service has it"

# ---- jobs that are refused, with all errors, and nothing left ----
sed 's/^birds /brids /; s/^edge /egde /' "$flock" >bad.toml
exits 2 "a wrong job" "$WEIR" submit bad.toml
is "has each error with its place" test "$(grep -c '^bad.toml:[0-9]*:[0-9]*: ' err)" -ge 2
exits 2 "as JSON" "$WEIR" submit bad.toml --json
holds "too" out '"ok":false,"error_count":'
exits 2 "a --set that is wrong" "$WEIR" submit "$flock" --set nonsense=1
exits 2 "a job that is not there" "$WEIR" submit nothing.toml
exits 2 "no workers" "$WEIR" submit "$flock" --workers 0
is "nothing is left behind" test ! -e runs/flock -a ! -e runs/bad -a -z "$(ls runs/.weir/jobs)"

# ---- two jobs at once ----
cp "$flock" mine.toml
exits 0 "submit" "$WEIR" submit mine.toml $small $paced --set run.pace=25 --steps 600 --set job.name=a
holds "tells name and number" out "a  job 1"
exits 0 "another one" "$WEIR" submit "$flock" $small $paced --steps 600 --set job.seed=2 --set job.name=b --json
holds "as JSON" out '{"job":"b","ticket":2,"pool_count":2}'
echo "nonsense" >mine.toml # what was submitted stays
is "both run" wait_for 60 sh -c "'$WEIR' list | grep -qE '^a  running .* 1 of 1 worker ' && '$WEIR' list | grep -qE '^b  running '"
exits 1 "the same name again" "$WEIR" submit "$flock" $small --set job.name=a
is "says who has it, and since when" grep -qE "a was submitted at 20[0-9-]+ [0-9:]+ and has not ended" err
exits 0 "a third one waits" "$WEIR" submit "$flock" $small $paced --steps 30 --set job.name=c
is "for a worker" wait_for 60 says c '"phase":"waiting"'
exits 2 "a copy under another name" "$WEIR" coordinator "$flock" --as "$flock" --ticket 9 --directory runs/x
holds "is none" err "the job's name is flock, and not that of its folder"
exits 1 "a fourth one" "$WEIR" submit "$flock" $small --set job.name=d
holds "is more than allowed" err "3 jobs have not ended, and [limits] jobs allows no more"
exits 0 "status" "$WEIR" status a
is "knows the worker" grep -qE "^  w[12] +pid" out
exits 0 "a snapshot" "$WEIR" snapshot a --label mine
exits 0 "snapshots" "$WEIR" snapshots a
holds "lists it" out mine
exits 0 "suspend" "$WEIR" suspend a
exits 0 "suspend" "$WEIR" suspend b
is "stands still" wait_for 60 says b '"phase":"paused"'
exits 0 "list as JSON" "$WEIR" list --json
holds "is one object" out '{"jobs":[{"job":"a",'
holds "with what the service knows" out '"workers_wanted":1,"workers_placed":1,"submitted_ms":'
exits 1 "a job that goes on is not forgotten" "$WEIR" forget a
holds "is said so" err "has not ended"
exits 2 "a job that is none" "$WEIR" status nobody
exits 2 "at the service" "$WEIR" status nobody --coordinator runs
holds "is said so" err "nobody: the service has no job of this name"

# ---- everything is killed, again and again ----
exits 0 "resume" "$WEIR" resume a
kill_service
is "without a service jobs go on" wait_for 60 has_step a 60
serve config.toml
is "the next one has them all" grep -q "3 jobs" svc.err
is "with their workers" wait_for 60 listed '^a  running .* 1 of 1 worker '
is "and no generation was lost" wait_for 60 says a '"generation":1,"incarnation":1,'
is "what was suspended is so" wait_for 60 says b '"phase":"paused"'
kill -9 "$(coordinator_of a)"
is "a coordinator that is killed comes back" wait_for 60 says a '"generation":1,"incarnation":2,'
wait_for 60 has_worker a # it says its name again
kill -9 "$(worker_of a "w[12]")"
is "a worker that is killed is sent again" wait_for 60 says a '"phase":"running".*"restarts":1,'
holder=$(sed -nE 's/^0 [0-9]+ ([0-9]+)$/\1/p' runs/.weir/workers)
kill_service
kill -9 "$(coordinator_of a)" "$(coordinator_of b)"
serve config.toml
is "service and coordinators killed together" wait_for 60 says a '"phase":"running"'
is "what was suspended stays so" wait_for 60 says b '"phase":"paused"'
is "and the local workers are those of before" test "$holder" = \
    "$(sed -nE 's/^0 [0-9]+ ([0-9]+)$/\1/p' runs/.weir/workers)"
exits 0 "resume" "$WEIR" resume b
exits 0 "logs" "$WEIR" logs a
for log in runs/.weir/jobs/*/log; do echo "said before" >"$log.old"; done
exits 0 "logs that were begun anew" "$WEIR" logs a
holds "have what was said before" out "==> a/coordinator.log.old"
is "first" sh -c 'head -n 2 out | tail -n 1 | grep -q "^said before$"'
rm runs/.weir/jobs/*/log.old
ends_alike a one1
is "the worker of a job that has ended goes to the next one" wait_for 60 says c '"phase":"(running|done)"'
ends_alike b one2
is "c: it ends well" wait_for 60 says c '"phase":"done"'

# ---- jobs that have ended ----
exits 0 "an ended job is listed" "$WEIR" list
is "with its end" grep -qE '^a  done  step 600/600  ended 20.* snapshot [0-9]+ at step 600' out
exits 0 "status of it" "$WEIR" status a
holds "tells the fingerprint" out "fingerprint $(print_of one1.out)"
exits 1 "a command to it" "$WEIR" drain a
holds "is too late" err "the job has ended"
kill_service
serve config.toml
is "it is still listed" wait_for 60 listed '^a  done '
exits 0 "forget" "$WEIR" forget a --json
holds "as JSON" out '{"ok":true}'
is "takes it off the service's list, which says when it ended" sh -c "! '$WEIR' list | grep -q '^a .*  ended '"
is "its files stay" test -s runs/a/mood.csv
exits 0 "an ended job is submitted again" "$WEIR" submit "$flock" $small --steps 100 --set job.name=b --follow
holds "and followed to its end" out "done. fingerprint "
is "under a new number" wait_for 60 listed '^b  done  step 100/100'
is "and only that" test "$(ls runs/.weir/jobs | wc -l)" = 2

# ---- following, draining, cancelling ----
"$WEIR" submit "$flock" $small $paced --steps 100000 --set job.name=long --follow >out.f 2>err.f &
follower=$!
is "a followed job" wait_for 60 has_step long 10
kill -INT $follower
wait $follower
is "Ctrl-C leaves it" test $? -eq 130
is "and says so" grep -q "long goes on; weir status long shows how" err.f
is "it runs" wait_for 60 says long '"phase":"running"'
exits 0 "drain" "$WEIR" drain long
is "ends it" wait_for 60 listed '^long  drained '
exits 0 "another one" "$WEIR" submit "$flock" $small $paced --steps 100000 --set job.name=long
exits 0 "cancel" "$WEIR" cancel long
is "ends it, too" wait_for 60 listed '^long  cancelled '
exits 0 "a job that fails" "$WEIR" submit "$TOP/config/jobs/melt.toml" --set cells=8 --set job.dt=1e30
is "is listed with its error" wait_for 60 listed '^melt  failed .*step 0: state "atoms": id '
exits 1 "followed" "$WEIR" submit "$TOP/config/jobs/melt.toml" --set cells=8 --set job.dt=1e30 --follow
holds "it is told" err 'melt: failed: '

# ---- what was run by hand in the same folder ----
"$WEIR" run "$flock" $small $paced --steps 100000 --workers 1 --set job.name=hand >out.hand 2>&1 &
runner=$!
is "a run by hand" wait_for 60 says hand '"phase":"running"'
exits 1 "has its name" "$WEIR" submit "$flock" $small --set job.name=hand
holds "is said so" err "another coordinator runs this job"
is "and is listed beside" wait_for 60 listed '^hand  running'
is "no trace is left in the list" wait_for 60 sh -c "! grep -l '^name hand' runs/.weir/jobs/*/record"
kill -9 $runner
wait $runner 2>/dev/null
exits 1 "what it has left" "$WEIR" submit "$flock" $small --set job.name=hand
holds "is not written over" err "holds a run that has not ended"

# ---- an input that vanishes, a coordinator that does not come up ----
mkdir -p inputs
cp "$TOP/config/jobs/outbreak.toml" "$TOP/config/jobs/boarding-school-1978.csv" inputs
exits 0 "a job with an input" "$WEIR" submit inputs/outbreak.toml --set schools=5 --set run.pace=0.5
mv inputs/boarding-school-1978.csv away.csv
kill -9 "$(coordinator_of outbreak)"
is "its coordinator cannot come back" wait_for 60 listed 'outbreak  starting .*boarding-school-1978.csv: No such file'
exits 1 "status says why" "$WEIR" status outbreak --coordinator runs
holds "with the file" err "boarding-school-1978.csv: No such file"
exits 1 "a command, too" "$WEIR" suspend outbreak --coordinator runs
mv away.csv inputs/boarding-school-1978.csv
is "when it is there again it does" wait_for 60 says outbreak '"phase":"running"'
mv inputs/boarding-school-1978.csv away.csv
kill -9 "$(coordinator_of outbreak)"
wait_for 60 listed 'outbreak  starting '
is "one that stays down can be cancelled" wait_for 60 "$WEIR" cancel outbreak --coordinator runs
is "is listed so" wait_for 60 listed 'outbreak  cancelled'
exits 2 "submit checks it here" "$WEIR" submit inputs/outbreak.toml
holds "with its place" err "boarding-school-1978.csv: No such file"

# ---- what is on disk ----
stop_service
is "a service that is stopped ends with 130" test $CODE -eq 130
holds "and says so" svc.err "jobs go on where they are when it is started again"
last=$(ls runs/.weir/jobs | sort -n | tail -n 1)
cp runs/.weir/jobs/"$last"/record kept
printf 'x' | dd of=runs/.weir/jobs/"$last"/record bs=1 seek=12 conv=notrunc 2>/dev/null
exits 1 "a record with a changed byte" "$WEIR" coordinator --config config.toml
holds "is named" err "jobs/$last/record: it is no record of a job, or damaged"
cp kept runs/.weir/jobs/"$last"/record
mkdir runs/.weir/jobs/999
echo "half a submission" >runs/.weir/jobs/999/job.toml
serve config.toml
is "half a submission is none, and is removed" test ! -e runs/.weir/jobs/999

# ---- stopped with a job, which goes on with the next one ----
exits 0 "a job" "$WEIR" submit "$flock" $small $paced --steps 300 --set job.name=a
wait_for 60 has_step a 40
worker=$(worker_of a "w[12]")
stop_service
is "its workers are stopped, too" wait_for 60 left "$worker"
serve config.toml
ends_alike a short
stop_service

# ---- somebody is killed at each small file that is written; what was submitted is said again ----
printf '[service]\ndirectory = "frail"\n' >frail.toml
gone() # PID: it has ended, even if nobody has waited for it
{
    case $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) in
    '' | Z) return 0 ;;
    esac
    return 1
}
revived() # COMMAND...: it succeeds, with another service if one was killed
{
    if gone $SERVICE; then # no serve: waiting within wait_for would change its limit
        "$WEIR" coordinator --config frail.toml >svc.out 2>svc.err &
        SERVICE=$!
    fi
    "$@"
}
ended() # JOB
{
    "$WEIR" list --coordinator frail | grep -q "^$1  done  step 60/60  ended "
}
struck() # N: that file was written, or begun
{
    passes=$(WEIR_FAILPOINTS_COUNTS=counts.$job "$WEIR" failpoints --json |
        sed -nE "s/.*\"name\":\"$point\"[^}]*\"passes\":([0-9]+).*/\1/p")
    [ "${passes:-0}" -ge "$1" ]
}
no_worker() # none of the frail service's is left
{
    ! pgrep -f "worker --join $(cat joins) "
}
serves() # what was begun last, or it is gone
{
    gone $SERVICE || grep -q '^workers join with' frail.err
}
frail() # POINT N OTHERS OPTION...: the N-th file there; with OTHERS everybody else is killed, too
{
    point=$1
    n=$2
    others=$3
    shift 3
    job=$(echo "$point" | tr -d _)$others$n
    rm -f frail.err
    (WEIR_FAILPOINTS="$point=kill@$n" WEIR_FAILPOINTS_COUNTS=counts.$job exec "$WEIR" coordinator \
        --config frail.toml) >svc.out 2>frail.err &
    SERVICE=$!
    CONFIG=frail.toml
    wait_for 60 serves
    gone $SERVICE && serve frail.toml
    "$WEIR" submit "$flock" $frail --set job.name=$job --coordinator frail "$@" >out.n 2>err.n &
    sub=$!
    if [ "$others" = all ]; then
        wait_for 60 struck "$n"
        kill -9 $SERVICE $(coordinator_of $job) 2>/dev/null
    fi
    wait_for 60 revived gone $sub
    wait $sub
    code=$?
    if grep -q "no service runs" err.n; then # it was killed before it was asked
        "$WEIR" submit "$flock" $frail --set job.name=$job --coordinator frail "$@" >out.n 2>err.n
        code=$?
    fi
    what="a kill at $point $n${others:+, of all}"
    is "$what: the submission is taken" test $code -eq 0
    is "$what: the job ends" wait_for 60 revived ended $job
    is "$what: its status tells the end" wait_for 60 says $job '"phase":"done",.*"fingerprint":"[0-9a-f]{32}",.*"step":60,'
    is "$what: it happened" struck "$n"
    stop_service
    is "$what: no worker is left" wait_for 60 no_worker
    jobs=$((jobs + 1))
}
REACH="--coordinator frail"
serve frail.toml
sed -nE 's/^workers join with: weir worker --join ([^ ]+)$/\1/p' svc.err >joins
stop_service
is "no worker is left" wait_for 60 no_worker
# With one snapshot only, at the end, each run writes as many files; at each of them, the last one being the job's end. As for the rest,
# a quarter, another one each day.
frail="$small --steps 60 --set snapshot.every_seconds=1000"
jobs=0
quarter=$((${WEIR_SEED:-$(date +%j | sed 's/^0*//')} % 4))
echo "quarter $quarter"
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    frail state_file $n ""
    [ "${WEIR_LONG:-0}" = 1 ] || [ $((n % 4)) -eq $quarter ] || continue
    frail state_named $n "" --follow
    is "and whoever followed it was told" grep -q '^done. fingerprint ' out.n
    frail state_file $n all
    frail state_named $n all --follow
done
serve frail.toml
is "each is there once" test "$(ls frail/.weir/jobs/*/end | wc -l)" = $jobs
is "with the same bits" test "$("$WEIR" list --coordinator frail --json | grep -o '"fingerprint":"[0-9a-f]*"' | sort -u | wc -l)" = 1
stop_service

# A job that fails at once writes neither marks nor a fingerprint; it is listed with its error, whoever was killed.
for n in 11 12; do
    rm -f svc.err
    (WEIR_FAILPOINTS="state_file=kill@$n" WEIR_FAILPOINTS_COUNTS=counts.melt$n exec "$WEIR" coordinator \
        --config frail.toml) >svc.out 2>svc.err &
    SERVICE=$!
    wait_for 60 grep -q '^workers join with' svc.err
    exits 0 "a job that fails" "$WEIR" submit "$TOP/config/jobs/melt.toml" --set cells=8 --set job.dt=1e30 \
        --set job.name=m$n --coordinator frail
    failed()
    {
        "$WEIR" list --coordinator frail | grep -q "^m$n  failed .*step 0: state \"atoms\": id "
    }
    is "a kill at file $n: it is listed with its error" wait_for 60 revived failed
    stop_service
done

# The number of the newest job is not given again when that is forgotten: the next one would be taken for it.
serve frail.toml
exits 0 "a job" "$WEIR" submit "$flock" $small --steps 60 --set job.name=last --coordinator frail --follow
exits 0 "is forgotten" "$WEIR" forget last --coordinator frail
stop_service
rm frail/last/mood.csv
serve frail.toml
exits 0 "the same job" "$WEIR" submit "$flock" $small --steps 60 --set job.name=last --coordinator frail --follow
is "runs again" test -s frail/last/mood.csv

# Whoever follows a job that is forgotten before it was heard how it ended does not wait for ever.
"$WEIR" submit "$flock" $small $paced --steps 100000 --set job.name=lost --coordinator frail --follow >out.f 2>err.f &
follower=$!
is "a followed job" wait_for 60 sh -c "'$WEIR' list --coordinator frail | grep -q '^lost  running'"
kill -STOP $follower
exits 0 "is cancelled" "$WEIR" cancel lost --coordinator frail
is "and forgotten" wait_for 60 "$WEIR" forget lost --coordinator frail
kill -CONT $follower
is "the follower ends" wait_for 60 gone $follower
wait $follower
is "with 1" test $? -eq 1
holds "and is told" err.f "lost was forgotten by its service"
stop_service
REACH=

# ---- workers come from the pool for a rescale, and go back to it ----
printf '[service]\ndirectory = "grow"\n[workers]\ncount = 3\nthreads = 1\n' >grow.toml
serve grow.toml
REACH="--coordinator grow"
exits 0 "an undisturbed run, longer than what follows" "$WEIR" run "$flock" $small --steps 6000 --directory long
same_so_far() # JOB: its file is how that of the undisturbed run begins
{
    is "$1: its file has something" test -s "grow/$1/mood.csv"
    is "$1: the same as of an undisturbed run" cmp -n "$(stat -c %s "grow/$1/mood.csv")" "grow/$1/mood.csv" long/mood.csv
}
exits 0 "a job with one of three workers" "$WEIR" submit "$flock" $small $paced --steps 6000 --set job.name=a --workers 1 $REACH
is "runs" wait_for 30 has_step a 20
exits 0 "it is given two more" "$WEIR" rescale a --workers 3 $REACH
is "as the list tells" wait_for 20 listed '^a  running .* 3 of 3 workers'
exits 0 "another job" "$WEIR" submit "$flock" $small $paced --steps 6000 --set job.name=b --workers 2 $REACH
is "finds nobody free" wait_for 20 listed '^b  waiting .* 0 of 2 workers'
kill_service
serve grow.toml
kill -9 "$(coordinator_of a)"
is "after a kill of service and coordinator" wait_for 30 listed '^a  running .* 3 of 3 workers'
is "still nobody is free" listed '^b  waiting .* 0 of 2 workers'
exits 0 "one worker again" "$WEIR" rescale a --workers 1 $REACH
is "leaves two to the other job" wait_for 30 listed '^b  running .* 2 of 2 workers'
is "and has one itself" wait_for 20 listed '^a  running .* 1 of 1 worker '
exits 0 "the other job needs less" "$WEIR" rescale b --workers 1 $REACH
exits 0 "more than there are" "$WEIR" rescale a --workers 3 --detach $REACH
is "are awaited; one has come" wait_for 30 says a '"phase":"waiting for 1 worker of the service.s pool"'
exits 1 "meanwhile another change" "$WEIR" rescale a --workers 2 $REACH
holds "is refused with what runs" err "waiting for 1 worker of the service's pool; --abort ends it"
exits 0 "given up" "$WEIR" rescale a --abort $REACH
exits 0 "the one that had come goes to who wants it" "$WEIR" rescale b --workers 2 $REACH
is "both have what they want" wait_for 20 listed '^a  running .* 1 of 1 worker '
is "and the other one, too" wait_for 20 listed '^b  running .* 2 of 2 workers'
kill -9 "$(worker_of b "w[123]" | tail -n 1)"
is "a lost worker is replaced" wait_for 30 says b '"restarts":1,.*"rescales":3,'
is "and has its share again" wait_for 30 listed '^b  running .* 2 of 2 workers'
exits 0 "as the list of changes" "$WEIR" rescales b $REACH
holds "tells" out "as many workers again as the job is to have"
for job in a b; do
    exits 0 "drain $job" "$WEIR" drain $job $REACH
    is "$job ends" wait_for 30 listed "^$job  drained "
    same_so_far $job
done
exits 0 "what was changed of one that has ended" "$WEIR" rescales a $REACH
is "is told by the service" test "$(grep -cE ' rescale +(done|aborted) ' out)" -eq 3
exits 0 "then all are free for the next job" "$WEIR" submit "$flock" $small --steps 600 --set job.name=c --workers 3 --follow $REACH
stop_service
REACH=

# ---- another directory ----
printf '[service]\ndirectory = "other/place"\n' >other.toml
serve other.toml
exits 0 "its service is found there" "$WEIR" submit "$flock" $small --steps 50 --set job.name=o \
    --coordinator other/place --follow
holds "and runs the job" out "done. fingerprint "
exits 0 "list there" "$WEIR" list --coordinator other/place
holds "is its own" out "o  done"
stop_service

# ---- over tcp, with keys ----
for name in server a reader admin stranger; do
    "$WEIR" keys new $name --keys "keys.$name" >/dev/null
done
"$WEIR" keys allow keys.a/a.pub --role worker --name a --keys keys.server >/dev/null
"$WEIR" keys allow keys.reader/reader.pub --role read-only --keys keys.server >/dev/null
"$WEIR" keys allow keys.admin/admin.pub --role admin --keys keys.server >/dev/null
printf '[service]\nbind = "tcp://127.0.0.1:*"\nkeys = "keys.server"\n[workers]\ncount = 1\n' >keyed.toml
serve keyed.toml
address=$(head -n 1 runs/.weir/endpoint)
as() # NAME: how that one reaches the service
{
    echo "--coordinator $address --keys keys.$1 --server-key keys.server/server.pub"
}
exits 1 "a stranger" "$WEIR" submit "$flock" $small --set job.name=k $(as stranger)
holds "is not let in" err "does not let us in"
exits 1 "a reader may not submit" "$WEIR" submit "$flock" $small --set job.name=k $(as reader)
holds "is said so" err "not with this key"
exits 2 "keys are of an address" "$WEIR" list --server-key keys.server/server.pub
exits 0 "an admin may" "$WEIR" submit "$flock" $small $paced --steps 300 --set job.name=k --workers 2 $(as admin)
is "is told that a worker is missing" grep -q "it waits for 2 workers, and the pool has 1" err
is "what it waits for is on the list" "$WEIR" list $(as reader)
"$WEIR" worker --join "$address" --label a --keys keys.a --server-key keys.server/server.pub \
    --bind 'tcp://127.0.0.1:*' >a.log 2>&1 &
a=$!
"$WEIR" worker --join "$address" --label s --keys keys.stranger --server-key keys.server/server.pub \
    >s.log 2>&1 &
WORKERS="$a $!"
REACH=$(as reader)
is "a worker from elsewhere makes it begin" wait_for 60 says k '"label":"a".*"member":true|"member":true.*"label":"a"'
is "a strange one does not join" wait_for 60 grep -q "does not let us in" s.log
is "the list tells both" wait_for 60 listed '^k  running .* 2 of 2 workers'
exits 0 "a reader sees its logs" "$WEIR" logs k $REACH
exits 1 "but cannot cancel it" "$WEIR" cancel k $REACH
holds "is said so" err "not with this key"
exits 1 "nor forget it" "$WEIR" forget k $REACH
holds "is said so" err "not with this key"
exits 1 "a service is no job" "$WEIR" status "$address" --keys keys.reader --server-key keys.server/server.pub
holds "is said so" err "this is a service for several jobs"
exits 0 "an admin takes a snapshot" "$WEIR" snapshot k $(as admin)
port=$(head -n 1 runs/k/state/endpoint)
stop_service
serve keyed.toml
is "a service that was stopped is where it was" test "$(head -n 1 runs/.weir/endpoint)" = "$address"
is "the job's coordinator is not" wait_for 60 sh -c "test -f runs/k/state/endpoint && ! grep -q $port runs/k/state/endpoint"
is "and the worker from elsewhere finds it" wait_for 60 says k '"phase":"running"'
kill_service
kill -9 "$(coordinator_of k)"
serve keyed.toml
is "one that was killed is, too" test "$(head -n 1 runs/.weir/endpoint)" = "$address"
ends_alike k short
is "the worker from elsewhere is free again" wait_for 60 sh -c "! pgrep -P $a"
exits 0 "and works for the next job" "$WEIR" submit "$flock" $small --steps 100 --set job.name=k2 --workers 2 \
    --follow $(as admin)
holds "to its end" out "done. fingerprint "
is "alive" kill -0 "$a"
kill "$a"
is "it leaves when it is asked" wait_for 60 left "$a"
REACH=
stop_service
