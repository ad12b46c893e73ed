# Sourced by the scripts of tests/integration. A check prints one line, "ok NAME" or "not ok NAME",
# and, if it failed, what the command printed. The scripts run in an empty folder of their own.
set -u

WEIR=${WEIR:?the program under test}
TOP=${TOP:?the top of the project}

# exits CODE NAME COMMAND...: the command's standard output goes to `out`, its errors to `err`.
exits()
{
    wanted=$1
    name=$2
    shift 2
    "$@" >out 2>err
    code=$?
    if [ "$code" -eq "$wanted" ]; then
        echo "ok $name"
    else
        echo "not ok $name: exited with $code, not $wanted"
        sed 's/^/  out: /' out | tail -n 20
        sed 's/^/  err: /' err | tail -n 20
    fi
}

# holds NAME FILE TEXT: the text stands in the file.
holds()
{
    if grep -qF -- "$3" "$2"; then
        echo "ok $1"
    else
        echo "not ok $1: not in $2: $3"
        tail -n 20 "$2" | sed "s/^/  $2: /"
    fi
}

# is NAME COMMAND...: the command succeeds.
is()
{
    name=$1
    shift
    if "$@" >is.log 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        tail -n 20 is.log | sed 's/^/  /'
    fi
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when the time is over.
wait_for()
{
    limit=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$limit" ] || return 1
        sleep 0.02
    done
}

# dots NAME STEPS NEXT RADIUS: a job of 2000 dots that walk in a room, to be gone on with; the stream NEXT is what they
# become.
dots()
{
    cat <<JOB
[job]
name  = "$1"
steps = $2
dt    = 0.01

[space.room]
axes  = ["x", "y"]
size  = 10
edges = "periodic"

[state.dots]
space       = "room"
columns.f32 = ["x", "y", "vx", "vy"]
first       = "seed"
next        = "$3"

[operator.seed]
kind  = "uniform"
rows  = 2000
speed = [0.5, 1.0]

[operator.walk]
kind   = "boids"
in     = "dots"
radius = $4
speed  = [0.5, 1.0]

JOB
}

# ---- runs ----

# print_of FILE: the fingerprint that a run printed.
print_of()
{
    sed -nE 's/^done\. fingerprint ([0-9a-f]{32})$/\1/p' "$1"
}

# same_print PRINT STATE: the last run said it in `out`, or an earlier one whose last words were lost.
same_print()
{
    cat out "$2/finished" 2>/dev/null | grep -q "$1"
}

# same_files FOLDER FOLDER: the files that sinks wrote.
same_files()
{
    for file in "$1"/*; do
        [ -d "$file" ] || cmp "$file" "$2/$(basename "$file")" || return 1
    done
}

# runner_ends WHAT FOLDER: the run in RUNNER ends, with the fingerprint in REFERENCE and the files of the run in `one`.
runner_ends()
{
    wait "$RUNNER"
    is "$1: ends well" test $? -eq 0
    cp "$2.out" out
    is "$1: the same fingerprint" same_print "$REFERENCE" "$2/state"
    is "$1: the same files" same_files one "$2"
}

# The next ones ask a coordinator; $IN, if set, is what runs a command where it is.

# pid_of STATE LABEL: the process of a worker.
pid_of()
{
    ${IN:-} "$WEIR" status "$1" --json | sed -nE "s/.*\"label\":\"$2\",[^}]*\"pid\":([0-9]+).*/\1/p"
}

# has_step STATE N: the job has come so far.
has_step()
{
    step=$(${IN:-} "$WEIR" status "$1" --json 2>/dev/null | sed -nE 's/.*"step":([0-9]+),"steps":.*/\1/p')
    [ "${step:-0}" -ge "$2" ]
}

# phase_is STATE PHASE
phase_is()
{
    ${IN:-} "$WEIR" status "$1" --json | grep -q "\"phase\":\"$2\""
}

# says STATE TEXT: the status in JSON holds it, a regular expression.
says()
{
    ${IN:-} "$WEIR" status "$1" --json 2>/dev/null | grep -qE -- "$2"
}

# draw BELOW: the next number from $SEED, in DRAWN.
draw()
{
    SEED=$(((SEED * 1103515245 + 12345) % 2147483648))
    DRAWN=$((SEED / 65536 % $1))
}

# passes NAME: how often the failpoint was passed, by all processes that count in `counts`.
passes()
{
    WEIR_FAILPOINTS_COUNTS=counts "$WEIR" failpoints --json |
        sed -nE "s/.*\"name\":\"$1\"[^}]*\"passes\":([0-9]+).*/\1/p"
}

# ---- a coordinator and its workers in the background; COORDINATOR and WORKERS are who is to be killed at the end ----

end_all()
{
    for pid in ${COORDINATOR:-} ${WORKERS:-}; do
        kill -9 "$pid" 2>/dev/null
    done
}

# coordinator_in FOLDER ARGUMENTS...: its process in COORDINATOR, where it listens in ADDRESS.
coordinator_in()
{
    folder=$1
    shift
    ${IN:-} "$WEIR" coordinator "$@" --directory "$folder" >"$folder.out" 2>"$folder.err" &
    COORDINATOR=$!
    wait_for 60 test -f "$folder/state/endpoint"
    ADDRESS=$(head -n 1 "$folder/state/endpoint")
}

# worker_in LOG COMMAND...: its process in JOINED.
worker_in()
{
    log=$1
    shift
    "$@" >"$log" 2>&1 &
    JOINED=$!
    WORKERS="${WORKERS:-} $JOINED"
}

# ends_as FOLDER PRINT: the coordinator ends, with this fingerprint and the file of the run in `one`.
ends_as()
{
    wait "$COORDINATOR"
    is "$1: it ends well" test $? -eq 0
    COORDINATOR=
    is "$1: with the fingerprint of one process" test "$(print_of "$1.out")" = "$2"
    is "$1: and its file" cmp one/mood.csv "$1/mood.csv"
}

# left PID...: they have ended.
left()
{
    for pid in "$@"; do
        kill -0 "$pid" 2>/dev/null && return 1
    done
    return 0
}
