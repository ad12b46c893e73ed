#!/bin/sh
# security: keys, who is allowed, and no secret in any output
. "$TOP/tests/support/check.sh"
umask 022
keys=$PWD/home/keys

exits 0 "no keys yet" "$WEIR" keys list --keys "$keys"
holds "says how to make one" out "weir keys new NAME"
is "and makes nothing" test ! -e home
exits 0 "a key is made" "$WEIR" keys new alice --keys "$keys"
cat out err >all
is "it is printed" grep -qxF -f "$keys/alice.pub" out
is "its secret is the owner's alone" test "$(stat -c %a "$keys/alice.key")" = 600
is "and so is the folder" test "$(stat -c %a "$keys")" = 700
sed -n 's/^secret //p' "$keys/alice.key" >secret
is "there is a secret" test "$(tr -d '\n' <secret | wc -c)" = 40
exits 2 "a name is taken once" "$WEIR" keys new alice --keys "$keys"
cat out err >>all
exits 0 "a key as JSON" "$WEIR" keys new bob --keys "$keys" --json
holds "names itself" out '"name":"bob"'
sed -n 's/^secret //p' "$keys/bob.key" >>secret

exits 0 "a key is allowed by its file" "$WEIR" keys allow "$keys/bob.pub" --role worker --name bob --keys "$keys"
cat out err >>all
exits 0 "and by its text" "$WEIR" keys allow --keys "$keys" --role admin -- "$(cat "$keys/alice.pub")"
cat out err >>all
exits 0 "both are listed" "$WEIR" keys list --keys "$keys"
cat out err >>all
is "with their roles" sh -c 'grep -qE "worker +bob$" out && grep -qE "admin" out'
exits 0 "and as JSON" "$WEIR" keys list --keys "$keys" --json
cat out err >>all
holds "with their roles too" out '"role":"worker"'
exits 0 "one is denied" "$WEIR" keys deny "$keys/bob.pub" --keys "$keys"
exits 2 "once" "$WEIR" keys deny "$keys/bob.pub" --keys "$keys"
is "and is off the list" sh -c '! grep -q bob "$1"' - "$keys/allowed"

exits 2 "a role that is none" "$WEIR" keys allow "$keys/bob.pub" --role boss --keys "$keys"
holds "is named" err '"boss"'
exits 2 "a role is needed" "$WEIR" keys allow "$keys/bob.pub" --keys "$keys"
exits 2 "a key that is none" "$WEIR" keys allow nothing --role worker --keys "$keys"
exits 2 "an action that is none" "$WEIR" keys forget "$keys/bob.pub" --keys "$keys"
exits 2 "a secret is no public key" "$WEIR" keys allow "$keys/bob.key" --role worker --keys "$keys"
cat out err >>all

chmod 640 "$keys/alice.key"
exits 2 "a secret that others can read is refused" "$WEIR" keys list --keys "$keys"
cat out err >>all
holds "with what to do" err "chmod 600"
chmod 600 "$keys/alice.key"
sed -i 's/^public .*/public damaged/' "$keys/alice.key"
exits 2 "a damaged key is refused" "$WEIR" keys list --keys "$keys"
cat out err >>all
is "no secret is in any output" sh -c '! grep -qF -f secret all'

# The folder of a user.
exits 0 "HOME is where keys are" env -u XDG_CONFIG_HOME HOME="$PWD/h" "$WEIR" keys new own
is "below .config" test -f h/.config/weir/keys/own.key
exits 0 "XDG_CONFIG_HOME goes before it" env XDG_CONFIG_HOME="$PWD/c" HOME="$PWD/h" "$WEIR" keys new own
is "too" test -f c/weir/keys/own.key

# Many at once: no change of the list is lost.
for i in 1 2 3 4 5 6 7 8; do
    "$WEIR" keys new "k$i" --keys "$PWD/many" >/dev/null
done
for i in 1 2 3 4 5 6 7 8; do
    "$WEIR" keys allow "$PWD/many/k$i.pub" --role worker --keys "$PWD/many" >/dev/null &
done
wait
is "eight that are allowed at once are all on the list" test "$(grep -c ^worker many/allowed)" = 8
is "and no temporary file is left" test "$(ls many | wc -l)" = 17
