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
