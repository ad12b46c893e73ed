#!/bin/sh
# soak: one live job, changed and harmed at random for half a minute (an hour in test-long); the same bits and files
. "$TOP/tests/support/check.sh"

SECONDS_LONG=${WEIR_SOAK_SECONDS:-$([ "${WEIR_LONG:-0}" = 1 ] && echo 3600 || echo 30)}
FLOCK="$TOP/config/jobs/flock.toml --set birds=1500 --set run.key_groups=64 --set operator.mood.every_steps=10
       --set fault_tolerance.backoff_seconds=0.01 --set fault_tolerance.max_restarts=1000000"
SEED=${WEIR_SEED:-$(date +%Y%j)}
echo "seed $SEED, $SECONDS_LONG s"

# begin ARGUMENTS...: its coordinator's process in COORDINATOR
begin()
{
    "$WEIR" run $FLOCK --set run.pace=40 --set snapshot.every_steps=40 --steps 1000000000 --workers 3 \
        --fingerprints prints --directory job "$@" >out 2>>err &
    COORDINATOR=$!
}
step_now()
{
    "$WEIR" status job --json 2>/dev/null | sed -nE 's/.*"step":([0-9]+),"steps":.*/\1/p'
}
goes_on() # within the time that a loss, a restart and a deadline take together
{
    now=$(step_now)
    wait_for 60 has_step job $((${now:-0} + 3))
}
member() # of those that own key groups, at random: its label in MEMBER
{
    set -- $("$WEIR" status job --json 2>/dev/null |
        grep -oE '"label":"[^"]*","id":[0-9]*,"pid":[0-9]*,"host":[0-9]*,"member":true' | cut -d'"' -f4)
    MEMBER=w1
    [ $# -eq 0 ] && return
    draw $#
    shift "$DRAWN"
    MEMBER=$1
}
signal_member() # SIGNAL
{
    member
    pid=$(pid_of job "$MEMBER")
    [ -z "$pid" ] || kill "-$1" "$pid" 2>/dev/null
}
stop_for_a_while() # PID: shorter and longer than a member may be silent
{
    kill -STOP "$1" 2>/dev/null || return
    draw 30
    sleep "$((DRAWN / 10)).$((DRAWN % 10))"
    kill -CONT "$1" 2>/dev/null
}
# Changes may be refused, because another one runs or nothing would change; they are never stuck.
ask()
{
    echo "$(date +%T) step $(step_now): $*" >>asked
    timeout 60 "$WEIR" "$@" >>asked 2>&1
    code=$?
    [ $code -le 2 ] || { echo "not ok weir $*: exited with $code"; tail -n 20 asked; }
}
workers() # a number of them, in DRAWN
{
    draw 6
    DRAWN=$((DRAWN + 1))
}
harm() # NUMBER
{
    case $1 in
    0 | 1 | 2) workers && ask rescale job --workers $DRAWN ;;
    3 | 4) workers && ask rescale job --workers $DRAWN --budget 1KiB --detach ;;
    5) member && draw 60 && ask move job --key-groups $DRAWN-$((DRAWN + 3)) --to "$MEMBER" ;;
    6) ask rebalance job ;;
    7) member && ask drain-worker job "$MEMBER" --detach ;;
    8) ask snapshot job ;;
    9) ask rescale job --abort ;;
    10 | 11) signal_member KILL ;;
    12) member && stop_for_a_while "$(pid_of job "$MEMBER")" ;;
    13) stop_for_a_while "$COORDINATOR" ;;
    14) ask suspend job && ask resume job ;;
    15)
        kill -9 "$COORDINATOR"
        wait "$COORDINATOR" 2>/dev/null
        begin --resume
        ;;
    esac
}

begin
is "it runs" wait_for 60 has_step job 10
turns=0
bad=0
end=$(($(date +%s) + SECONDS_LONG))
while [ "$(date +%s)" -lt $end ]; do
    turns=$((turns + 1))
    draw 16
    what=$DRAWN
    echo "$(date +%T) turn $turns: $what" >>asked
    harm $what
    draw 4
    [ $DRAWN -eq 0 ] && continue # the next one meets it
    if ! goes_on; then
        echo "not ok turn $turns ($what): the job stands still"
        "$WEIR" status job
        tail -n 40 asked err
        bad=1
        break
    fi
done
echo "$turns turns, $(grep -c ': [0-9]*$' asked) harms, step $(step_now)"
is "there were turns" test $turns -ge $((SECONDS_LONG / 10))
is "the job has always gone on" test $bad -eq 0
goes_on
is "it drains" "$WEIR" drain job
wait "$COORDINATOR"
is "and ends well" test $? -eq 0
last=$(sed -nE 's/^drained after step ([0-9]+) .*/\1/p' out)
echo "last step $last"
is "undisturbed as far" "$WEIR" run $FLOCK --steps "$last" --directory one --fingerprints one.prints
is "the same bits" test "$(tail -n 1 one.prints | cut -d' ' -f1,2)" = "$(tail -n 1 prints | cut -d' ' -f1,2)"
is "the same file" cmp one/mood.csv job/mood.csv
