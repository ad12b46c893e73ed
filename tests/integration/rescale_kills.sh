#!/bin/sh
# rescale kills: processes killed, stopped or failed in every phase of a rescale; the same bits and files
. "$TOP/tests/support/check.sh"

FLOCK="$TOP/config/jobs/flock.toml --set birds=1500 --set run.key_groups=64 --set operator.mood.every_steps=10
       --set fault_tolerance.backoff_seconds=0.01 --set fault_tolerance.max_restarts=1000"
PACED="--set run.pace=40 --set snapshot.every_steps=15"

# A quarter of the cases, another one each day; the seed also draws the pass at which a place strikes.
SEED=${WEIR_SEED:-$(date +%Y%j)}
QUARTER=$((SEED % 4))
echo "seed $SEED"
mine() # INDEX: whether the case is of today's quarter
{
    [ "${WEIR_LONG:-0}" = 1 ] || [ $(($1 % 4)) -eq $QUARTER ]
}
runs() # it does, and nothing is being changed
{
    "$WEIR" status job --json 2>/dev/null | grep -q '"phase":"running",.*"rescale":null,'
}
members() # labels of those that own key groups
{
    "$WEIR" status job --json | grep -oE '"label":"[^"]*","id":[0-9]*,"pid":[0-9]*,"host":[0-9]*,"member":true' |
        cut -d'"' -f4
}
# run_on ARGUMENTS...: the job with workers in the background, its process in RUN, gone on with if it is killed
run_on()
{
    "$WEIR" "$@" --directory job >out 2>>err &
    RUN=$!
}

# ---- at named places ----
STEPS=160
"$WEIR" run $FLOCK --steps $STEPS --directory one >one.out 2>err
# Two rescales, as far as they can be; whoever is hit, the job goes on.
change()
{
    for workers in 3 1; do
        wait_for 60 sh -c "! kill -0 $RUN 2>/dev/null || '$WEIR' status job --json | grep -q '\"rescale\":null'"
        kill -0 $RUN 2>/dev/null || return
        timeout 20 "$WEIR" rescale job --workers $workers --budget 1 >>changes 2>&1
    done
}
# strike HOW WORDS NAME: the job, with that armed; again without, until it has ended. A place that is passed less often this
# time strikes at its first pass.
strike()
{
    rm -rf job counts err
    WEIR_FAILPOINTS=$2 WEIR_FAILPOINTS_COUNTS=counts
    export WEIR_FAILPOINTS WEIR_FAILPOINTS_COUNTS
    run_on $1 $FLOCK $PACED --steps $STEPS --workers 2
    unset WEIR_FAILPOINTS WEIR_FAILPOINTS_COUNTS
    change
    wait $RUN
    code=$?
    if [ "${2##*@}" != 1 ] && [ -n "$2" ] && [ "$(passes "${2%%=*}")" -lt "${2##*@}" ]; then
        strike "$1" "${2%@*}@1" "$3"
        return
    fi
    if [ -n "$2" ]; then
        is "$3: it struck" test "$(passes "${2%%=*}")" -ge "${2##*@}"
        is "$3: the job ends well, or its coordinator is killed or fails" test $code -eq 0 -o $code -eq 137 -o $code -eq 1
    fi
    again=
    [ "$1" = run ] && again=--resume
    if [ $code -ne 0 ]; then
        run_on $1 $FLOCK $PACED --steps $STEPS --workers 2 $again
        wait $RUN
        code=$?
        grep -q 'has ended' err && code=0 # all but its last words had been said
    fi
    [ $code -eq 0 ] || { echo "not ok $3: gone on with, exited with $code"; tail -n 20 err; return; }
    is "$3: the same fingerprint" sh -c "cat out job/state/finished 2>/dev/null | grep -q '$(print_of one.out)'"
    is "$3: the same file" cmp one/mood.csv job/mood.csv
}
strike run "" "nothing armed"
places="log_rescale log_tables rescale_await rescale_begun rescale_moving rescale_left worker_members worker_owners worker_state"
for place in $places; do
    is "$place is passed" test "$(passes $place)" -ge 1
    passes $place >passes.$place
done
index=0
for place in $places; do
    most=$(cat passes.$place)
    for how in run=kill coordinator=kill run=stop; do
        case $how:$place in run=stop:log_*|run=stop:rescale_*) continue ;; esac # who stops the coordinator starts it again
        index=$((index + 1))
        mine $index || continue
        draw $(((most + 1) / 2))
        pass=$((DRAWN + 1))
        strike ${how%=*} "$place=${how#*=}@$pass" "${how%=*}, $place=${how#*=}@$pass"
    done
done
index=$((index + 1))
mine $index && strike run log_rescale=error@2 "run, log_rescale=error@2"

# ---- by what they are ----
# phase_is PHASE: the rescale that runs is there. Some are over before anybody has looked: of the first one it is
# enough that it has begun (worker_members strikes in it), of the last one that the one before it is there.
phase_is()
{
    case $1 in
    admitting) return 0 ;;
    dismissing) phases="settling|dismissing" ;;
    *) phases=$1 ;;
    esac
    "$WEIR" status job --json 2>/dev/null | grep -qE "\"rescale\":\{[^}]*\"phase\":\"($phases)"
}
three() # members are there
{
    [ "$(members | wc -l)" -ge 3 ]
}
# catch PHASE: changes, one after the other, until one is seen in that phase; who has a part in it is in SOURCE,
# TARGET, BYSTANDER
catch()
{
    for turn in 1 2 3 4 5 6 7 8; do
        wait_for 60 runs || return 1
        three || timeout 20 "$WEIR" rescale job --workers 3 >>changes 2>&1
        wait_for 60 three && wait_for 30 runs || return 1
        set -- "$1" $(members)
        [ $# -ge 4 ] || continue
        SOURCE=$2 TARGET=$3 BYSTANDER=$4
        if [ "$1" = admitting ] || [ "$1" = dismissing ]; then # one comes, or goes
            [ $# -gt 4 ] && workers=3 || workers=4
            [ $workers = 4 ] && TARGET=w4
            "$WEIR" rescale job --workers $workers --budget 100 --detach >>changes 2>&1
        else
            [ $((turn % 2)) = 1 ] || { SOURCE=$3 TARGET=$2; } # back again
            "$WEIR" move job --key-groups 0-31 --to $TARGET --budget 100 --detach >>changes 2>&1
        fi
        limit=$(($(date +%s) + 20))
        while [ "$(date +%s)" -lt $limit ]; do
            phase_is "$1" && return 0
            runs && break
        done
    done
    return 1
}
hit() # SIGNAL LABEL: a worker; one that is stopped goes on after it was given up
{
    pid=$(pid_of job "$2")
    [ -n "$pid" ] || return 0
    kill "-$1" "$pid" 2>/dev/null
    [ "$1" = STOP ] || return 0
    sleep 2.5 # more than a member may be silent
    kill -CONT "$pid" 2>/dev/null
}
index=0
for phase in admitting moving settling dismissing; do
    index=$((index + 1))
    mine $index || continue
    rm -rf job err
    run_on run $FLOCK $PACED --steps 1000000 --workers 3 --fingerprints prints
    wait_for 60 has_step job 10
    for signal in KILL STOP; do
        for role in SOURCE TARGET BYSTANDER; do
            is "$phase is seen" catch $phase
            eval "victim=\$$role"
            hit $signal "$victim"
            is "$phase, SIG$signal of the $role: the job goes on" wait_for 60 runs
        done
    done
    "$WEIR" drain job
    wait $RUN
    is "$phase: the run ends well" test $? -eq 0
    last=$(sed -nE 's/^drained after step ([0-9]+) .*/\1/p' out)
    "$WEIR" run $FLOCK --steps "$last" --directory "drained.$phase" --fingerprints one.prints >out 2>err
    is "$phase: the same bits" test "$(tail -n 1 one.prints | cut -d' ' -f1,2)" = "$(tail -n 1 prints | cut -d' ' -f1,2)"
    is "$phase: the same file" cmp "drained.$phase/mood.csv" job/mood.csv
done

# The coordinator, which is started again, or goes on after others thought it dead.
STEPS=1000
"$WEIR" run $FLOCK --steps $STEPS --directory long >one.out 2>err
for phase in admitting moving settling dismissing; do
    index=$((index + 1))
    mine $index || continue
    rm -rf job err
    run_on coordinator $FLOCK $PACED --steps $STEPS --workers 3
    wait_for 60 has_step job 10
    is "$phase is seen" catch $phase
    kill -9 $RUN
    wait $RUN 2>/dev/null
    run_on coordinator $FLOCK $PACED --steps $STEPS --workers 3
    is "$phase, the coordinator killed: the job goes on" wait_for 60 runs
    is "$phase is seen again" catch $phase
    kill -STOP $RUN
    sleep 2.5 # more than a member may be silent
    kill -CONT $RUN
    is "$phase, the coordinator stopped: the job goes on" wait_for 60 runs
    wait $RUN
    is "$phase, coordinators: the job ends well" test $? -eq 0
    is "$phase, coordinators: the same fingerprint" test "$(print_of out)" = "$(print_of one.out)"
    is "$phase, coordinators: the same file" cmp long/mood.csv job/mood.csv
done
