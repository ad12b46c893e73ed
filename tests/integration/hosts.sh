#!/bin/sh
# hosts: workers that join over tcp, with keys, and from hosts whose link is cut
. "$TOP/tests/support/check.sh"
flock="$TOP/config/jobs/flock.toml --set birds=3000 --set operator.mood.every_steps=10"
paced="--set run.pace=30 --set snapshot.every_steps=20"
NAMES=
IN= # what runs a command where the coordinator is
AT= # what runs a command where a worker is to be

clean()
{
    end_all
    for name in $NAMES; do
        ip netns del "$name" 2>/dev/null
    done
}
trap clean EXIT
trap 'exit 1' INT TERM

members_are() # STATE N: so many workers have key groups
{
    [ "$($IN "$WEIR" status "$1" --json | grep -o '"member":true' | wc -l)" -eq "$2" ]
}
begin() # FOLDER ARGUMENTS...: a coordinator in the background
{
    folder=$1
    shift
    coordinator_in "$folder" $flock $paced "$@"
}
join() # NAME ARGUMENTS...: a worker in the background
{
    name=$1
    shift
    worker_in "$name.log" $AT "$WEIR" worker --join "$ADDRESS" --label "$name" "$@"
}
ends_alike() # FOLDER: the coordinator ends, and all is as in one process
{
    ends_as "$1" "$(print_of one.out)"
}

exits 0 "in one process" "$WEIR" run $flock --steps 240 --directory one
mv out one.out
for name in server a b c stranger; do
    "$WEIR" keys new $name --keys "keys.$name" >/dev/null
done
for name in a b c; do
    "$WEIR" keys allow "keys.$name/$name.pub" --role worker --name $name --keys keys.server >/dev/null
done

# ---- what does not go together ----
exits 2 "tcp without keys" "$WEIR" coordinator $flock --directory none --bind tcp://127.0.0.1:* --keys nowhere
holds "says how to make them" err "weir keys new"
exits 2 "keys without tcp" "$WEIR" coordinator $flock --directory none --keys keys.server
exits 2 "an address that is none" "$WEIR" coordinator $flock --directory none --bind 127.0.0.1:7000
exits 2 "a worker needs to know whom it talks to" "$WEIR" worker --join tcp://127.0.0.1:7000 --keys keys.a
holds "is said so" err "--server-key is needed"
exits 2 "keys and none" "$WEIR" worker --join tcp://127.0.0.1:7000 --keys keys.a --insecure
exits 2 "keys of a local socket" "$WEIR" worker --join ipc:///tmp/nobody --keys keys.a
exits 2 "a server's key that is none" "$WEIR" worker --join tcp://127.0.0.1:7000 --keys keys.a --server-key no

# ---- two workers with keys, a stranger, a spare one ----
begin keyed --steps 240 --bind tcp://127.0.0.1:* --keys keys.server --expect 2
is "the coordinator says how to join" wait_for 60 grep -qF -- "--join $ADDRESS --server-key=" keyed.err
join stranger --keys keys.stranger --server-key keys.server/server.pub
stranger=$JOINED
join plain --insecure
plain=$JOINED
is "a stranger is told that it is none of us" wait_for 60 grep -q "does not let us in" stranger.log
is "and so is one without keys" wait_for 60 grep -q "does not let us in" plain.log
join a --keys keys.a --server-key keys.server/server.pub
a=$JOINED
is "one worker is not enough" wait_for 60 says keyed '"phase":"waiting".*"label":"a"'
join b --keys keys.b --server-key "$(cat keys.server/server.pub)" --bind 'tcp://127.0.0.1:*'
b=$JOINED
is "two are" wait_for 60 has_step keyed 5
join c --keys keys.c --server-key keys.server/server.pub
c=$JOINED
is "a third one is spare" wait_for 60 says keyed '"label":"c"[^}]*"member":false'
wait_for 60 has_step keyed 60

# ---- another host's terminal ----
reach="--keys keys.person --server-key keys.server/server.pub"
"$WEIR" keys new person --keys keys.person >/dev/null
"$WEIR" keys allow keys.person/person.pub --role read-only --keys keys.server >/dev/null
exits 0 "it stands still meanwhile" "$WEIR" suspend keyed
exits 0 "status from elsewhere, with a reader's key" "$WEIR" status "$ADDRESS" $reach
holds "tells the workers" out "c  "
exits 1 "who may read may not command" "$WEIR" drain "$ADDRESS" $reach
holds "is said so" err "not with this key"
exits 1 "a stranger may not even read" "$WEIR" status "$ADDRESS" --keys keys.stranger \
    --server-key keys.server/server.pub
holds "is said so" err "does not let us in"
exits 2 "keys are of an address" "$WEIR" status keyed $reach
"$WEIR" keys allow keys.person/person.pub --role admin --keys keys.server >/dev/null
exits 0 "an admin may" wait_for 60 "$WEIR" resume "$ADDRESS" $reach
exits 0 "and take a snapshot" "$WEIR" snapshot "$ADDRESS" $reach

kill -9 "$b"
is "it takes the place of one that is killed" wait_for 60 says keyed '"label":"c"[^}]*"member":true'
is "nobody else has" wait_for 60 members_are keyed 2
wait_for 60 has_step keyed 100
kill -9 "$c"
is "without a spare one the rest go on" wait_for 60 says keyed '"phase":"running".*"restarts":2|"restarts":2.*'
is "alone" wait_for 60 members_are keyed 1
ends_alike keyed
is "the stranger was none of them" sh -c '! grep -q stranger keyed.err'
is "the last worker has left" wait_for 60 left "$a"
kill "$stranger" "$plain"

# ---- local workers and joined ones, and a coordinator that is started again ----
begin mixed --steps 240 --bind tcp://127.0.0.1:* --keys keys.server --workers 1 --expect 2
join a --keys keys.a --server-key keys.server/server.pub
is "a local one and a joined one" wait_for 60 has_step mixed 40
is "are two" members_are mixed 2
kill -9 $COORDINATOR
wait $COORDINATOR 2>/dev/null
begin mixed --steps 240 --bind tcp://127.0.0.1:* --keys keys.server --workers 1 --expect 2
is "they are found again" wait_for 60 says mixed '"phase":"running"'
is "where it was" wait_for 60 says mixed '"generation":1'
ends_alike mixed

# ---- without keys ----
begin open --steps 240 --set run.pace=unlimited --bind tcp://127.0.0.1:* --insecure --expect 2
join a --insecure
join b --insecure
ends_alike open

# ---- namespaces: hosts of their own, as far as the network, the processes and the names go ----
namespaces()
{
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null && command -v unshare >/dev/null || return 1
    for name in weir-c.$$ weir-a.$$ weir-b.$$; do
        ip netns add $name || return 1
        NAMES="$NAMES $name"
        ip -n $name link set lo up || return 1
    done
    for side in a.1 b.2; do
        name=weir-${side%.*}.$$
        net=10.77.${side#*.}
        ip -n $name link add out type veth peer name to-${side%.*} netns weir-c.$$ &&
            ip -n $name address add $net.2/24 dev out && ip -n $name link set out up &&
            ip -n weir-c.$$ address add $net.1/24 dev to-${side%.*} &&
            ip -n weir-c.$$ link set to-${side%.*} up && ip -n $name route add default via $net.1 ||
            return 1
    done
    ip netns exec weir-c.$$ sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}
if ! namespaces 2>namespaces.err; then
    echo "skip network namespaces: $(head -n 1 namespaces.err)"
    exit 0
fi
paced="--set run.pace=20 --set snapshot.every_steps=20"
IN="ip netns exec weir-c.$$"
begin cut --steps 240 --bind 'tcp://10.77.1.1:*' --keys keys.server --expect 2
AT="ip netns exec weir-a.$$"
join a --keys keys.a --server-key keys.server/server.pub
cat >elsewhere <<EOS
#!/bin/sh
# A machine of another name, whose processes nobody here can end.
exec ip netns exec weir-b.$$ unshare --uts --pid --fork --kill-child --mount-proc \\
    sh -c 'hostname elsewhere; exec "\$@"' - "\$@"
EOS
cat >apart <<EOS
#!/bin/sh
# One that has another folder at the same path.
exec ip netns exec weir-a.$$ unshare --mount sh -c 'mount -t tmpfs none cut; exec "\$@"' - "\$@"
EOS
chmod +x elsewhere apart
AT=./elsewhere
join b --keys keys.b --server-key keys.server/server.pub
b=$JOINED
is "workers in two namespaces" wait_for 60 has_step cut 5
is "on two hosts, as far as they know" test "$($IN "$WEIR" status cut --json | grep -oE '"host":[0-9]+' |
    sort -u | wc -l)" = 2
AT=./apart
join c --keys keys.c --server-key keys.server/server.pub
is "a spare one, which does not see the coordinator's folder" wait_for 60 says cut '"label":"c"[^}]*"member":false'
is "says so" wait_for 60 grep -qF "is not seen here: snapshots go through the network" c.log
wait_for 60 has_step cut 30
ip -n weir-b.$$ link set out down
is "the spare one loads through the network and replaces one whose link is cut" wait_for 60 says cut '"label":"c"[^}]*"member":true'
is "which lives" kill -0 "$b"
ip -n weir-b.$$ link set out up
ip -n weir-b.$$ route add default via 10.77.2.1
is "and leaves when it hears that it was replaced" wait_for 60 left "$b"
is "the others went on" wait_for 60 has_step cut 20
ends_alike cut

# ---- the steps of coordinator/README.md, as they are printed there, with a smaller job; /shared is a folder here ----
ip -n weir-c.$$ address add 10.0.0.1/32 dev lo
on_host() # HOST COMMAND: on that one, as a user of its own
{
    case $1 in
    main) space=weir-c.$$ ;;
    node7) space=weir-a.$$ ;;
    node8) space=weir-b.$$ ;;
    esac
    ip netns exec $space env -u XDG_CONFIG_HOME HOME="$PWD/home.$1" PATH="$(dirname "$WEIR"):$PATH" sh -c "$2"
}
mkdir shared home.main home.node7 home.node8
sed -E 's/^(birds +=) .*/\1 3000/; s/^(every_steps =) .*/\1 10/' "$TOP/config/jobs/flock.toml" >shared/flock.toml
printf '[run]\npace = 60\n' >>shared/flock.toml
awk '/^## / { on = /^## On several hosts/ } on && /^```$/ { n++; next } on && n % 2' "$TOP/coordinator/README.md" >steps
while read -r host command; do
    host=${host%\$}
    there=$(echo "$command" | sed "s|/shared|$PWD/shared|g; s/weir coordinator/exec &/; s/^weir worker/exec &/")
    case $command in
    *"weir coordinator "*)
        on_host "$host" "$there" >steps.out 2>steps.err &
        COORDINATOR=$!
        ;;
    "weir worker "*)
        on_host "$host" "$there" >"$host.log" 2>&1 &
        WORKERS="$WORKERS $!"
        ;;
    *"weir status "*)
        is "all three run it" wait_for 60 sh -c "ip netns exec weir-c.$$ '$WEIR' status shared/runs/flock --json |
            grep -oE '\"member\":true' | wc -l | grep -qx 3"
        exits 0 "$host: $command" on_host "$host" "$there"
        for name in w1 node7 node8; do
            holds "shows $name" out "$name "
        done
        ;;
    *) exits 0 "$host: $command" on_host "$host" "$there" ;;
    esac
done <steps
is "all steps were there" test "$(wc -l <steps)" = 14
wait "$COORDINATOR"
is "the coordinator ends well" test $? -eq 0
COORDINATOR=
"$WEIR" run shared/flock.toml --set run.pace=unlimited --directory alone >out 2>err
is "its file is the beginning of that of one process" sh -c \
    'cmp -n "$(stat -c %s shared/runs/flock/mood.csv)" alone/mood.csv shared/runs/flock/mood.csv'
