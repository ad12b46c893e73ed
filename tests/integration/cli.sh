#!/bin/sh
# command line: verbs, exit codes, wrong jobs, installing
. "$TOP/tests/support/check.sh"
flock=$TOP/config/jobs/flock.toml

# ---- verbs and usage ----
exits 2 "no verb is a usage error" "$WEIR"
holds "which lists the verbs" err "weir check JOB"
exits 0 "help lists them on standard output" "$WEIR" help
holds "with a line each" out "weir operators [KIND]"
for verb in run check graph operators snapshot keys sim version help; do
    exits 0 "help $verb" "$WEIR" help $verb
    holds "shows its usage" out "usage: weir $verb"
    exits 0 "$verb --help is the same" "$WEIR" $verb --help
    cp out out2
    "$WEIR" help $verb >out
    is "word for word" cmp out out2
done
exits 2 "an unknown verb" "$WEIR" rum
holds "has a nearest one" err 'unknown verb "rum" (did you mean "run"?)'
exits 2 "help on an unknown verb" "$WEIR" help rum
holds "too" err 'did you mean "run"?'
exits 0 "help jobs" "$WEIR" help jobs
holds "shows the sections of a job file" out "every_steps"
exits 2 "run without a job" "$WEIR" run
holds "names what is missing" err "an argument is missing"
exits 2 "run with two jobs" "$WEIR" run a b
exits 2 "an unknown option" "$WEIR" run "$flock" --thread 2
holds "has a nearest one" err 'unknown option "--thread" (did you mean "--threads"?)'
exits 2 "no threads" "$WEIR" run "$flock" --threads 0
exits 2 "an empty directory" "$WEIR" run "$flock" --directory ""
exits 2 "two forms of a graph" "$WEIR" graph "$flock" --dot --json
exits 0 "version" "$WEIR" version
holds "names the library's level" out x86-64-v
exits 0 "--version" "$WEIR" --version
exits 0 "version --json" "$WEIR" version --json
holds "is an object" out '{"version":"'
exits 1 "a full disk under standard output" sh -c "'$WEIR' operators >/dev/full"
holds "is told" err "standard output: No space left on device"

# ---- operators: each kind, from its descriptor ----
exits 0 "operators" "$WEIR" operators
sed -nE 's/^  ([a-z_0-9]+)  .*/\1/p' out | sort -u >kinds
is "there are kinds" test "$(wc -l <kinds)" -ge 9
for kind in $(cat kinds); do
    exits 0 "operators $kind" "$WEIR" operators "$kind"
    exits 0 "operators $kind --json" "$WEIR" operators "$kind" --json
done
exits 2 "an unknown kind" "$WEIR" operators boid
holds "has a nearest one" err 'unknown kind "boid" (did you mean "boids"?)'
exits 2 "a shared object that is not there" "$WEIR" operators ./none.so:crawl

# ---- wrong jobs never start and leave nothing ----
exits 2 "a job that is not there" "$WEIR" run none.toml
holds "is named" err "none.toml"
sed -e 's/^radius  *= "radius"/raduis = "radius"/' -e 's/^\(seed *=\).*/\1 "x"/' "$flock" >wrong.toml
exits 2 "a wrong job" "$WEIR" run wrong.toml
holds "with every error: an option" err 'unknown parameter "raduis" (did you mean "radius"?)'
holds "with every error: a value" err 'seed'
is "each with its place" sh -c 'grep -qE "^wrong\.toml:[0-9]+:[0-9]+: " err'
is "and nothing is left behind" test ! -e runs
exits 2 "check says the same" "$WEIR" check wrong.toml
cp err err2
"$WEIR" run wrong.toml 2>err
is "word for word" cmp err err2
exits 2 "check --json" "$WEIR" check wrong.toml --json
holds "has the errors as data" out '"ok":false'
is "and no other output" test ! -s err
exits 0 "check --json of a right job" "$WEIR" check "$flock" --json
holds "is ok" out '"ok":true,"error_count":0'
exits 2 "a stream that does not exist" "$WEIR" check "$flock" --set state.birds.first=egg
holds "is named" err '"egg"'
exits 2 "an unknown --set" "$WEIR" run "$flock" --set birbs=3
holds "is an error" err birbs
exits 2 "a binary file as a job" "$WEIR" check "$WEIR"

# ---- a folder where a sink's file is to be, or a file where its folder is: said before anything begins ----
mkdir -p placed/there
: >placed/file
short="--set birds=500 --steps 3 --directory placed"
for kind in csv hdf5 png; do
    case $kind in
    csv) sed 's/"mood.csv"/"there"/' "$flock" ;;
    hdf5) sed 's/"mood.csv"/"there"/; s/"csv"/"hdf5"/' "$flock" ;;
    png) sed 's/"flock.png"/"there"/' "$flock" ;;
    esac >placed.toml
    for how in "run placed.toml" "run placed.toml --workers 2" "coordinator placed.toml --workers 1"; do
        # shellcheck disable=SC2086
        exits 2 "a folder for a file of $kind: weir $how" "$WEIR" $how $short
        is "is told with its place" grep -qE '^placed\.toml:[0-9]+:1: sink "[a-z]*": file: placed/there is a folder$' err
    done
done
# shellcheck disable=SC2086
exits 2 "a file for a folder" "$WEIR" run "$flock" $short --set 'sink.mood.file="file/x/y"'
holds "is told" err 'flock.toml: sink "mood": file: placed/file is no folder'
is "nothing was begun" test "$(find placed | wc -l)" -eq 3
rm -r placed

# ---- a machine that flushes denormals is refused ----
printf '__attribute__((constructor)) static void flush(void)\n{ __builtin_ia32_ldmxcsr(0x9fc0); }\n' >flush.c
if ! nm -D "$WEIR" | grep -q __asan && gcc -shared -fPIC -o flush.so flush.c; then
    exits 1 "denormals flushed" env LD_PRELOAD=./flush.so "$WEIR" version
    holds "says why" err "denormal"
fi

# ---- installing ----
is "install" make -C "$TOP" install DESTDIR="$PWD/root" PREFIX=/opt/weir
exits 0 "the installed program runs" root/opt/weir/bin/weir version
is "with its own library" sh -c "ldd root/opt/weir/bin/weir | grep -q 'root/opt/weir/bin/../lib'"
exits 0 "and its jobs" root/opt/weir/bin/weir check root/opt/weir/share/weir/jobs/flock.toml
is "a kind builds against the installed header" sh -c \
    'echo "#include <weir/operator.h>" >k.c && gcc -Iroot/opt/weir/include -fsyntax-only k.c'
melt="root/opt/weir/bin/weir run root/opt/weir/share/weir/jobs/melt.toml --quiet --set cells=6 --steps 1"
exits 0 "its hdf5 sink finds its library" $melt
rm root/opt/weir/lib/glibc-hwcaps/*/libweir_hdf5.so
exits 1 "without it the sink does not open" $melt
holds "and says why" err 'libweir_hdf5.so: cannot open shared object file'
exits 0 "other jobs do without" root/opt/weir/bin/weir version
is "uninstall" make -C "$TOP" uninstall DESTDIR="$PWD/root" PREFIX=/opt/weir
is "leaves no file" test -z "$(find root -type f)"
