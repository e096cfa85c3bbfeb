#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drives the real command on a local store: every verb, every exit code that a
# local store can give, hostile input, closed and broken descriptors, signals.
#
#   BUILD_DIR=build/full PERSIST=build/full/bin/persist \
#       BACKENDS=build/full/lib/persist/backend-1 tests/integration/cli.sh
#
# Prints TAP. What a machine cannot do (mounting as an ordinary user) is a
# "# SKIP" with its reason.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${PERSIST:?path of the command}"
: "${BACKENDS:?directory of the backends}"
: "${BUILD_DIR:?directory of the build}"
work=$(mktemp -d)
mounted=
cleanup() {
    [ -z "$mounted" ] || umount "$mounted" 2>/dev/null || :
    chmod -R u+rwX "$work" 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT
chmod 755 "$work"

emulated=${PERSIST_TEST_EMULATED-}
# Nothing of the caller's configuration reaches the command.
for name in $(env | sed -n 's/^\(PERSIST_[A-Z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done
HOME=$work/home
XDG_CONFIG_HOME=$work/home/.config
XDG_DATA_HOME=$work/home/.local/share
PERSIST_BACKEND_DIR=$BACKENDS
export HOME XDG_CONFIG_HOME XDG_DATA_HOME PERSIST_BACKEND_DIR PERSIST
mkdir -p "$HOME"
cd "$work"

n=0
failed=0
ok() {
    n=$((n + 1))
    echo "ok $n - $1"
}
not_ok() {
    n=$((n + 1))
    failed=$((failed + 1))
    echo "not ok $n - $1"
    sed 's/^/#   out: /' out 2>/dev/null | head -5
    sed 's/^/#   err: /' err 2>/dev/null | head -5
}
skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}
# check NAME TEST...: one result.
check() {
    name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name"; fi
}
# p ARGUMENT...: the command with the test's configuration; out, err, $code.
p() {
    code=0
    "$PERSIST" -c "$work/persist.conf" "$@" >out 2>err || code=$?
}
# exits CODE NAME: what p ended with.
exits() {
    if [ "$code" -eq "$1" ]; then ok "$2"; else not_ok "$2 (exit $code)"; fi
}
says() { grep -q -- "$1" err; }
prints() { grep -q -- "$1" out; }
is_silent() { [ ! -s out ] && [ ! -s err ]; }
# Every line of out is a JSON object with a type; the last one satisfies the
# Python expression $1 on `last`, with `all` the whole list.
json() {
    /usr/bin/env python3 - "$1" <<'PY'
import json, sys
everything = [json.loads(line) for line in open("out", encoding="ascii")]
assert everything and all(isinstance(o["type"], str) for o in everything)
sys.exit(0 if eval(f"({sys.argv[1]})", {"all_": everything, "last": everything[-1]})
         else 1)
PY
}

mkdir -m 700 store
cat >persist.conf <<CONF
[persist]
store = main

[store main]
backend = local
root = $work/store

[store other]
backend = local
root = $work/other
CONF
chmod 600 persist.conf
mkdir -m 700 other
printf '{"step": 1}\n' >state.json
head -c 3000000 /dev/urandom >random.bin

# --- help, version, slips of the fingers ----------------------------------
p --version
exits 0 "--version"
check "--version prints one line" prints '^persist [0-9]'
p version --json
check "version --json" json 'last["type"] == "version" and last["library"]'
for verb in save restore list show verify delete import cleanup backends \
    doctor config version help; do
    p help $verb
    cp out page
    check "help $verb" prints "^usage: persist $verb"
    p $verb --help
    check "$verb --help is the same page" cmp -s out page
done
p help --json
check "help --json lists every verb" json 'len(all_) == 14'
p
exits 2 "no verb"
p sav
exits 2 "an unknown verb"
check "an unknown verb gets a suggestion" says 'did you mean "save"'
for word in prune copy; do
    p $word
    exits 2 "$word is reserved"
    check "$word says so" says "persist $word arrives with a later release"
done
for word in rm:delete ls:list cat:restore get:restore put:save; do
    p "${word%:*}" writer
    check "${word%:*} is called ${word#*:} here" says "did you mean \"${word#*:}\"?"
done
p list --timeout 5
exits 2 "a time without a unit"
check "it says how to write one" says '"5" is not a number with a unit (like'
p list --limit-upload fast
exits 2 "a bad rate"
p list --jsno
exits 2 "an unknown option"
check "it shows the usage line" says '^usage: persist list'
p save writer state.json --index x
exits 2 "a bad number"
p save --json
exits 2 "a missing operand with --json"
check "its object has code and exit code" json \
    'last["code"] == "invalid" and last["exit_code"] == 2'
p restore writer --overwrite
exits 2 "--overwrite without a file"
p restore writer --json
exits 2 "--json beside a payload"
p list writer -l 0
exits 2 "a limit of 0"
p list --long
exits 2 "--long without a session"
p list writer@3
exits 2 "an index where none belongs"
p save writer@3 state.json
exits 2 "an index in the address of a save"
for address in writer@3 writer@latest; do
    p save $address state.json
    check "save $address says what is taken" says '^hint: the next index is taken'
done
p list writer@latest
check "list of a snapshot names show" says '^hint: persist show writer@latest describes'
p -s other list main:
exits 2 "two stores"
check "two stores are named" says '"main", --store names "other"'
p delete writer
exits 2 "delete without an index"
p config chek
exits 2 "an unknown config action"
check "with a suggestion" says 'did you mean "check"'
p config check --origin
exits 2 "--origin with check"

# --- first contact, without any configuration -----------------------------
# As root the default store is /var/lib/persist, which is no test's business.
mkdir -p "$XDG_DATA_HOME"
ordinary=$PERSIST
REACHABLE=$work/reachable
export REACHABLE
if [ "$(id -u)" -eq 0 ]; then
    "$here/../support/reachable.sh" "$REACHABLE"
    ordinary="setpriv --reuid=65534 --regid=65534 --clear-groups env
        LD_LIBRARY_PATH=$REACHABLE/lib PERSIST_BACKEND_DIR=$REACHABLE/backends
        $REACHABLE/bin/persist"
    chown -R 65534:65534 "$HOME"
fi
# user ARGUMENT...: the command as an ordinary user, without configuration.
user() {
    code=0
    # shellcheck disable=SC2086 # words
    $ordinary "$@" >out 2>err || code=$?
}
if [ -e /etc/persist ]; then
    skip "first contact" "/etc/persist exists"
else
    user list
    exits 0 "first contact: list"
    user save writer state.json
    exits 0 "first contact: save"
    check "its store lies in XDG_DATA_HOME" test -d "$XDG_DATA_HOME/persist"
    user restore writer
    check "first contact: restore" cmp -s out state.json
fi

# --- list of nothing ------------------------------------------------------
p list
exits 0 "list of an empty store"
check "it prints no rows" test ! -s out
check "and says why" says 'holds no snapshots yet'
p list nobody
exits 4 "list of an unknown agent"
check "it is none of a store" test -z "$(grep hint err)"
p list other
exits 4 "list of a store without its colon"
check "it says how a store is listed" says 'hint: other is a store: persist list other:'

# --- save -----------------------------------------------------------------
p save writer state.json --label run=42 --label a=b --schema s1 \
    --description 'first one' --content-type application/json
exits 0 "save a file"
check "it prints the address" test "$(cat out)" = writer/default@0
check "and nothing else" test ! -s err
code=0
printf x | "$PERSIST" -c persist.conf save writer/night - >out 2>err || code=$?
check "save from a pipe" test "$(cat out)" = writer/night@0
code=0
"$PERSIST" -c persist.conf save writer <random.bin >out 2>err || code=$?
check "save standard input without an operand" \
    test "$(cat out)" = writer/default@1
: >empty
p save writer empty --json
check "save of 0 bytes, --json" json \
    'last["type"] == "snapshot" and last["address"] == "writer/default@2"
     and last["durability"] in ("full", "file") and not last["unchanged"]
     and last["uncompressed_size"] == 0'
p save writer random.bin --compression gzip --level 2 --json
check "save with gzip" json 'last["compression_algorithm"] == "gzip"'
p save writer random.bin --skip-unchanged
exits 0 "save --skip-unchanged"
check "it prints the equal snapshot" test "$(cat out)" = writer/default@3
check "and says so" says 'nothing was written'
p save writer state.json -n
exits 0 "save --dry-run"
check "it says so" says 'dry run'
p list writer/default --json
check "and writes nothing" json 'len(all_) == 4'
p -q save writer state.json
exits 0 "save --quiet"
check "is quiet" is_silent
p save writer state.json --index 0
exits 5 "save --index of an old index"
p save writer state.json --after 1
exits 5 "save --after where someone saved since"
p save writer state.json --after 4
exits 0 "save --after the latest"
p save writer missing.json
exits 4 "save of a missing file"
check "it names the file" says 'missing.json'
p save state.json writer
exits 4 "save with its operands exchanged"
check "says so" says '^hint: the address comes first: persist save writer state.json$'
p save writer .
exits 2 "save of a directory"
check "says how" says '^hint: tar -c . | persist save writer -$'
code=0
if [ -n "$emulated" ]; then
    skip "save with closed stdin fails" "qemu opens the program there"
else
    "$PERSIST" -c persist.conf save writer - <&- >out 2>err || code=$?
    check "save with closed stdin fails" test "$code" -ne 0
fi
code=0
"$PERSIST" -c persist.conf save writer - <. >out 2>err || code=$?
check "save with a directory as stdin fails" test "$code" -ne 0
p save writer state.json --label a=1 --label a=2
exits 2 "a label twice"
p save writer state.json --level 99
exits 2 "a level that is none"
check "those there are are told" says 'no level 99: zstd takes 1 to 19'
p list writer/default --json
check "failed saves left nothing" json 'len(all_) == 6'

# --- restore --------------------------------------------------------------
p restore writer@0
check "restore to stdout" cmp -s out state.json
p restore writer@1 -o back.bin
exits 0 "restore to a file"
check "it is equal" cmp -s back.bin random.bin
p restore writer@1 -o back.bin
exits 5 "restore over a file"
check "with a hint" says '^hint: --overwrite '
p restore main:writer@3 -o back.bin --overwrite --json
exits 0 "restore --overwrite"
check "its JSON names the path" json \
    'last["type"] == "restored" and last["path"] == "back.bin"'
p restore writer@2
check "restore of 0 bytes" is_silent
p restore writer@1 --range 1K+4096 -o -
dd if=random.bin bs=1024 skip=1 count=4 of=part status=none
check "restore --range" cmp -s out part
p restore writer@1 --range 4000000+1
exits 2 "a range behind the end"
p restore writer@0 --require-schema s1
exits 0 "restore --require-schema"
p restore writer@0 --require-schema s2
exits 5 "restore --require-schema of another"
p restore writer@99
exits 4 "restore of an index that is not"
p restore writer/nosuch
exits 4 "restore of a session that is not"
p restore writer@1 -n
exits 0 "restore --dry-run"
check "prints no payload" test ! -s out
p restore writer@1 -n -o back.bin
exits 5 "restore --dry-run over a file"
p restore writer@1 -n -o back.bin --overwrite --json
check "restore --dry-run --overwrite --json" json 'last["dry_run"]'
mkdir -p dir
p restore writer@0 -o dir
exits 2 "restore onto a directory"
p restore writer@0 -o dir --overwrite -n
exits 2 "restore --dry-run onto a directory"
ln -sf elsewhere link
p restore writer@0 -o link --overwrite
check "restore through a symlink is refused" test "$code" -eq 2
check "and wrote nothing" test ! -e elsewhere
mkfifo fifo
p restore writer@0 -o fifo --overwrite
exits 2 "restore onto a FIFO"
p restore writer@0 -o /dev/null
exits 2 "restore onto a device"
check "says how to" says '^hint: -o - > /dev/null'
p restore writer@0 -n -o /dev/null
check "in a dry run too" says '^hint: -o - > /dev/null'
p restore writer@0 -o nodir/file
check "restore into a missing directory" test "$code" -eq 4

# --- list, show -----------------------------------------------------------
p list
check "list shows agents" prints '^writer$'
p list --json
check "list --json" json \
    'last["type"] == "agent" and last["agent_id"] == "writer"'
p list writer
check "list AGENT shows sessions" prints '^writer/night  *0 '
p list writer --json
check "list AGENT --json" json 'last["type"] == "session" and
    [o["latest_index"] for o in all_] == [5, 0]'
p list main:writer/default
check "list shows snapshots, newest first" \
    test "$(sed -n 2p out | cut -c1-16)" = writer/default@5
p list writer/default -l 2 --json
check "list --limit" json '[o["snapshot_index"] for o in all_] == [5, 4]'
p list writer/default --long
check "list --long shows descriptions" prints 'first one'
check "list --long shows labels" prints ' a=b run=42 '
p list writer/default --long --json
check "list --long --json" json \
    'last["labels"] == {"a": "b", "run": "42"} and last["compressed_size"] > 0'
p list other:
exits 0 "list STORE:"
p show writer@0
check "show" prints '^labels  *a=b$'
p show writer@0 --json
check "show --json" json \
    'last["type"] == "snapshot" and last["schema"] == "s1" and
     last["content_type"] == "application/json" and
     last["description"] == "first one"'
p show writer@0 --timeout 10s
exits 0 "show with a deadline"
p show writer@99
exits 4 "show of what is not"

# --- verify, delete, damage -----------------------------------------------
p verify writer@0 writer@1 writer/night
exits 0 "verify several"
check "a line each" test "$(wc -l <out)" -eq 3
p -q verify writer@0
check "verify --quiet" is_silent
p verify writer@0 --json
check "verify --json" json 'last["type"] == "verified"'
p verify writer@0 writer@99
exits 3 "verify, partly"
p verify writer@0 writer@99 --json
check "the last object says partly" json \
    'last["code"] == "partly" and last["exit_code"] == 3'
p verify writer@98 writer@99
exits 4 "verify, none"
p save hurt random.bin
victim=$(find store/hurt -type f -size +1000k)
cp "$victim" whole
printf '\377\376\375' | dd of="$victim" bs=1 seek=100000 conv=notrunc \
    status=none
p verify hurt
exits 6 "verify of a damaged snapshot"
p restore hurt -o hurt.bin
exits 6 "restore of a damaged snapshot"
check "it leaves no file" test ! -e hurt.bin
check "and no temporary" test -z "$(find . -maxdepth 1 -name '.persist*')"
head -c 100 whole >"$victim"
p list hurt/default --long
check "list --long of a damaged one says so" prints '(corrupt)'
exits 6 "list --long, none readable"
p list hurt/default --long --json
check "its JSON says so" json 'all_[0]["metadata_error"] == "corrupt" and
    last["type"] == "error"'
p save hurt state.json
p list hurt/default --long
exits 3 "list --long, partly readable"
p list hurt/default -l 1
exits 0 "list without --long reads none of them"
p show hurt@0 --json
check "a damaged one is corrupt, not missing" json 'last["code"] == "corrupt"'
p delete writer@4 -n
check "delete --dry-run" prints '^would delete writer/default@4$'
p show writer@4
exits 0 "it is still there"
p delete writer@4 --json
check "delete --json" json 'last["type"] == "deleted" and
    last["address"] == "writer/default@4"'
p delete writer@4
exits 4 "delete again"
p delete writer@4 writer@3
exits 3 "delete, partly"
p delete writer@1 oops
exits 2 "delete checks every address first"
p show writer@1
exits 0 "before it deletes any"
p delete writer@latest
exits 0 "delete @latest"
p save writer state.json
check "an index is never given out again" test "$(cat out)" = writer/default@6

# --- cleanup, import, backends, config ------------------------------------
p cleanup --dry-run
exits 0 "cleanup --dry-run"
p cleanup writer --older-than 2h --json
exits 0 "cleanup of an agent"
p cleanup nosuch:
exits 4 "cleanup of a store that is not"
: >store/.persist-tmp.0123456789abcdef
touch -d '3 days ago' store/.persist-tmp.0123456789abcdef
p cleanup --older-than 1d -n
check "cleanup --dry-run shows a leftover" prints '^leftover .* 3d .*persist-tmp'
p cleanup --older-than 1d -n --json
check "cleanup --json" json 'last["type"] == "cleaned" and last["dry_run"] and
    last["kind"] == "leftover" and last["age_ms"] > 2 * 86400000'
check "a dry run removes nothing" \
    test -e store/.persist-tmp.0123456789abcdef
p -q cleanup --older-than 1d
check "cleanup --quiet" is_silent
check "cleanup removes it" test ! -e store/.persist-tmp.0123456789abcdef
p cleanup --older-than 1d
check "cleanup of nothing says so" says 'nothing to remove that is older than 1d'
data=${SOURCE_DIR:-$here/../..}/tests/data/persist-0.1
if [ -d "$data" ]; then
    p import -n "$data"/*.json.gz
    check "import --dry-run writes nothing" test ! -e store/planner
    p import "$data"/*.json.gz --json
    check "import" json 'any(o["type"] == "imported" for o in all_)'
    p import "$data"/*.json.gz
    check "import again skips" prints 'was imported before'
    p import -q "$data"/*.json.gz
    check "import --quiet" is_silent
    p import "$data"/minimal.json.gz nofile
    exits 3 "import, partly"
fi
printf 'no snapshot' >junk
p import junk
exits 2 "import of something else"
check "names the file" says 'junk'
p import nofile
exits 4 "import of a missing file"
p backends
exits 0 "backends"
check "local is there" prints '^local '
p backends --json
check "backends --json" json '[o for o in all_ if o["name"] == "local"]
    [0]["status"] == "ok"'
p backends local
check "backends NAME shows options" prints '^  root '
mkdir broken
printf 'no plugin' >broken/sick.so
chmod 755 broken
p --backend-dir broken backends
exits 0 "backends with one that is broken"
check "it is listed" prints '^sick  *(not loaded)'
check "with the reason" prints '^sick could not be loaded: '
p --backend-dir broken backends --json
check "in JSON too" json '[o["code"] for o in all_ if o["name"] == "sick"]
    == ["config"]'
p --backend-dir broken backends sick
exits 9 "backends NAME of a broken one"
p backends local --json
check "backends NAME --json" json 'any(o["key"] == "root" and o["required"]
    for o in last["options"])'
p backends local --probe x
exits 2 "backends with a name and --probe"
p backends nosuch
exits 4 "backends of what is not"
check "it lists what is there" says '^hint: backends found: .*local'
p backends --probe "$BACKENDS/local.so"
exits 0 "backends --probe"
check "it describes the plugin" prints '^name  *local'
p backends --probe "$BACKENDS/local.so" --json
check "backends --probe --json" json 'last["name"] == "local"'
check "a file that is called like its backend needs no word" test ! -s err
cp "$BACKENDS/local.so" renamed.so
p backends --probe renamed.so
exits 0 "backends --probe of a file with another name"
check "it says how the file must be called" says 'must be called local.so'
rm renamed.so
p backends --probe missing.so
exits 4 "backends --probe of a missing file"
p backends --probe state.json
exits 9 "backends --probe of no plugin"
plugin() {
    cat >bad.c <<C
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void start(void) { $1; }
__attribute__((visibility("default"))) const void *persist_backend_entry_v1(void);
const void *persist_backend_entry_v1(void) { return 0; }
C
    "${CC:-cc}" -shared -fPIC -o bad.so bad.c
}
plugin 'abort()'
p backends --probe bad.so
exits 9 "a plugin that crashes"
check "is reported so" says 'crashed while it was loaded (signal 6)'
plugin '_exit(0)'
p backends --probe bad.so --json
exits 9 "a plugin that ends the process"
check "is reported so" says 'ended the process'
check "with an error object" json 'last["code"] == "config"'
plugin 'for (;;) pause()'
begin=$(date +%s)
p backends --probe bad.so
exits 9 "a plugin that hangs"
check "is reported so" says 'did not finish loading'
check "within seconds" test $(($(date +%s) - begin)) -le 8
plugin 'write(3, "{}", 2)'
p backends --probe bad.so
exits 9 "a plugin that writes into the answer"
plugin 'for (;;) write(3, "                                ", 32)'
p backends --probe bad.so
exits 9 "a plugin that does not stop writing"
check "is reported so" says 'in more than'
plugin 'printf("noise"); fflush(stdout)'
p backends --probe bad.so --json
exits 9 "a plugin that prints and has no descriptor"
check "its noise is not in the data" json 'last["type"] == "error"'
plugin 'if (!fork()) { setsid(); sleep(30); _exit(0); }'
begin=$(date +%s)
p backends --probe bad.so
exits 9 "a plugin that leaves a child behind"
check "does not hold us up" test $(($(date +%s) - begin)) -le 8

p config check
exits 0 "config check"
p config check --json
check "config check --json" json 'last["ok"]'
p config show --origin
check "config show --origin names file and line" \
    prints "from .*persist.conf:[0-9]"
p config show --json
check "config show --json" json \
    'any(o["key"] == "root" and o["store"] == "main" for o in all_)'
p config files
check "config files" prints '^read  *.*persist.conf$'
p config files --json
check "config files --json" json 'last["path"].endswith("persist.conf") and
    last["read"]'
code=0
"$PERSIST" -c nosuch.conf list >out 2>err || code=$?
exits 9 "a configuration that is not there"
printf '[persist]\nstor = main\n' >bad.conf
code=0
"$PERSIST" -c bad.conf config check >out 2>err || code=$?
exits 9 "an unknown key"
check "names file and line" says 'bad.conf:2'
printf '[store x]\nbackend = local\nroot = %s\ncolour = red\n' "$work/store" \
    >bad.conf
code=0
"$PERSIST" -c bad.conf config check --json >out 2>err || code=$?
exits 9 "an unknown option of a store"
check "is an object too" json 'last["type"] == "error"'
p -s nosuch list
exits 4 "an unknown store"
p --set root=/nonexistent/persist list
check "--set reaches the backend" test "$code" -ne 0
check "and it says what is missing" says '/nonexistent/persist'
p --set root="$work/state.json" list
check "a root that is a file" test "$code" -ne 0
p config show --json --origin
check "config show --json --origin" json 'all("origin" in o for o in all_)'
p --set log_level=loud list
exits 9 "a bad setting"
p --backend-dir nodir list
exits 9 "a backend directory that is not there"
p --memory-limit 7M save writer state.json
exits 2 "a memory limit that is too small"
check "as in the configuration" says '"7M" is less than the lowest, 8M'
p --memory-limit 8M save writer random.bin --level 19
exits 1 "a memory limit that this save does not fit in"
check "how much it needs is told" says '^hint: raise --memory-limit to [0-9]*M or more$'
p --set memory_limit=8M save writer random.bin --level 19
check "in the words of where it was set" says '^hint: raise memory_limit to [0-9]*M or more$'
: >store/stray
p list
check "warnings of the library are logged" says 'level=warn.*stray'
p -q list
check "--quiet logs none" test ! -s err
p --set log_format=json list
check "log_format=json" sh -c 'tail -1 err | python3 -m json.tool >/dev/null'
p -v --set log_level=error list
check "-v wins over the configured level" says 'stray'
rm store/stray

# --- hostile names --------------------------------------------------------
hostile() {
    p save -- "$1" state.json
    if [ "$code" -eq 2 ]; then return 0; fi
    [ "$code" -eq 0 ] || return 1
    address=$(cat out)
    p restore -- "$address"
    [ "$code" -eq 0 ] && cmp -s out state.json || return 1
    # No raw control or bidi character comes back.
    p list
    LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" out && return 1
    LC_ALL=C grep -q "$(printf '\342\200\256')" out && return 1
    return 0
}
long=$(printf '%0300d' 0)
for name in '..' '.' '../x' 'a/../..' '/etc' '%2e%2e' '%2E%2E%2Fx' 'a%00b' \
    '-rf' '--' '%' '%zz' 'a//b' 'a/b/c' '@' 'a@' 'a@@1' ':' ':a' 'a%3Ab' \
    'a%40b' '.persist-tmp.x' '.hidden' '~' "$long" ' ' 'a b' '*' \
    "$(printf 'a\033[31mb')" "$(printf 'a\nb')" "$(printf '\342\200\256x')" \
    "$(printf '\377\376')" "$(printf 'a\tb')" 'con' 'ä' "$(printf '\177')"; do
    check "hostile name $(printf '%s' "$name" | od -An -c | tr -d ' \n' |
        cut -c1-30)" hostile "$name"
done
check "nothing was written beside the store" \
    test -z "$(find . -maxdepth 1 -newer persist.conf -name 'x*')"
p restore "$(printf 'no\033[2Jbody')"
check "errors escape names" sh -c "! LC_ALL=C grep -q '$(printf '\033')' err"
printf 'state' >"$(printf 'evil\033]0;x\007name')"
p save writer nofile "$(printf '\033[2J')"
check "usage errors escape names" \
    sh -c "! LC_ALL=C grep -q '$(printf '\033')' err"
p save writer state.json --description "$(printf 'a\033[2Jb')"
p show writer
check "metadata is escaped" sh -c "! LC_ALL=C grep -q '$(printf '\033')' out"
p show writer --json
check "and whole in JSON" json 'last["description"] == "a\x1b[2Jb"'

# --- symlinks planted in the store ----------------------------------------
mkdir outside
ln -s "$work/outside" store/planted
p save planted state.json
check "a planted symlink is not followed" test "$code" -ne 0
check "nothing reached its target" test -z "$(find outside -type f)"
rm store/planted

# --- descriptors ----------------------------------------------------------
code=0
"$PERSIST" -c persist.conf restore writer@1 >&- 2>err || code=$?
check "restore to a closed stdout fails" test "$code" -eq 1
check "and says so" says 'Bad file descriptor'
code=0
"$PERSIST" -c persist.conf list >&- 2>err || code=$?
check "list to a closed stdout fails" test "$code" -eq 1
code=0
"$PERSIST" -c persist.conf restore writer@1 >/dev/full 2>err || code=$?
check "restore to a full device" test "$code" -eq 10
code=0
"$PERSIST" -c persist.conf list --json >/dev/full 2>err || code=$?
check "list to a full device" test "$code" -eq 10
code=0
"$PERSIST" -c persist.conf save fulldevice state.json >/dev/full 2>err || code=$?
check "save whose address cannot be printed" test "$code" -eq 10
check "it says that the snapshot is saved" says '^hint: the snapshot is saved'
p restore fulldevice -o /dev/stdout
exits 2 "restore -o /dev/stdout"
check "it names standard output" says '^hint: -o - is standard output'
code=0
"$PERSIST" -c persist.conf list nobody 2>&- >out || code=$?
check "stderr may be closed" test "$code" -eq 4
code=0
"$PERSIST" -c persist.conf save writer state.json 0<&- >&- 2>&- || code=$?
check "all three may be closed" test "$code" -eq 1
"$PERSIST" -c persist.conf verify writer >out 2>err || :
check "which damaged nothing" prints ': ok'
(
    code=0
    "$PERSIST" -c persist.conf restore writer@1 2>err || code=$?
    echo $code >code
) | head -c 10 >/dev/null
check "a reader that goes away: exit 1" test "$(cat code)" -eq 1
check "without a message" test ! -s err

# --- exit codes that need an arrangement ----------------------------------
code=0
{ printf x && sleep 5; } | "$PERSIST" -c persist.conf --timeout 300ms \
    save slow - >out 2>err || code=$?
exits 8 "a deadline that passes"
p list slow
exits 4 "leaves no snapshot"
if [ "$(id -u)" -eq 0 ]; then
    mkdir -m 700 tiny
    if mount -t tmpfs -o size=1m persist-test tiny 2>err; then
        mounted=$work/tiny
        p --set root="$work/tiny" save full random.bin
        exits 10 "a full disk"
        p --set root="$work/tiny" list full
        exits 4 "leaves no snapshot"
        check "and no bytes" test -z "$(find tiny -type f -size +8k)"
        umount tiny
        mounted=
    else
        skip "a full disk" "$(tail -1 err)"
    fi
    mkdir -m 755 theirs
    user --set root="$work/theirs" save w state.json
    exits 7 "a store one may not write"
    check "the whole path is named" says "cannot make the folder $work/theirs/w/"
    check "and who needs access" says '^hint: give user [0-9]* access there'
    user --set root="$work/theirs" doctor
    check "doctor says so too" prints '^  FAIL writing .*denied$'
    check "and tries the same once" prints '  upload  *not tried: .*"write"$'
    check "a folder has no ops to permit" sh -c '! grep permit out | grep op'
else
    skip "a full disk" "mounting needs root"
    mkdir -m 555 theirs
    p --set root="$work/theirs" save w state.json
    exits 7 "a store one may not write"
fi

# --- doctor ----------------------------------------------------------------
p doctor
exits 0 "doctor of a store that works"
check "it names the store once" test "$(grep -c '^       store ' out)" = 1
check "it shows where a value comes from" \
    prints "root  *$work/store  *# from $work/persist.conf:6"
check "it creates, refuses to create twice and deletes" test \
    "$(grep -cE '^  ok   (write|create-if-absent|read|upload|delete) ' out)" = 5
check "it leaves nothing behind" test -z \
    "$(find store -name 'persist-doctor-*')"
p doctor other: --dry-run
exits 0 "doctor --dry-run"
check "it writes nothing" prints 'not tried'
p doctor main --json
check "its findings as JSON" json 'all(o["type"] == "finding" for o in all_) and
    {o["name"] for o in all_ if o["verdict"] == "ok"} >=
    {"write", "create-if-absent", "read", "list", "upload", "delete"} and
    any(o["group"] == "plugin" and o["name"] == "abi" for o in all_)'
p doctor main --store other
exits 2 "two different stores"
p doctor nosuch
exits 4 "doctor of a store nobody configured"
if [ -e /proc/self ]; then
    p doctor --set root=/proc
    exits 9 "doctor of a place that holds no files"
    p --set root=/proc save w state.json
    exits 9 "a save there"
    check "is refused at once" says 'cannot hold files (proc): choose another'
fi
p doctor --set root=/nonexistent/x
exits 9 "doctor of a store whose root is missing"
check "it says so" prints 'FAIL probe .*does not exist'
check "once" prints 'FAIL list  *as "probe" above'
check "and tries nothing in vain" prints 'write  *not tried'
p doctor --set rooot=/x --json
exits 9 "doctor of a bad configuration"
check "which is a finding" json 'last["type"] == "error" and
    any(o.get("name") == "open" and o["verdict"] == "fail" for o in all_[:-1])'

# --- resuming: a local store starts anew -------------------------------------
p save resumed random.bin --resume
exits 0 "--resume where the store cannot"
p restore resumed -o resumed.out
check "it is saved" cmp -s random.bin resumed.out

# --- limits ----------------------------------------------------------------
head -c 3000000 /dev/urandom >random
now_ms() { date +%s%3N; }
# takes MS COMMAND...: it takes at least that long.
takes() {
    least=$1
    shift
    began=$(now_ms)
    "$@"
    [ $(($(now_ms) - began)) -ge "$least" ]
}
# 3,000,000 bytes at 2M a second are 1,430 ms; 250 of them are saved up.
check "--limit-upload holds" takes 1100 \
    p save limited random --limit-upload 2M/s
check "--limit-download holds" takes 1100 \
    p restore limited -o limited.out --limit-download 2M
check "and nothing is lost" cmp -s random limited.out
PERSIST_LIMIT_UPLOAD=2M; export PERSIST_LIMIT_UPLOAD
check "limit_upload holds" takes 1100 p save limited random
unset PERSIST_LIMIT_UPLOAD
check "and --timeout counts the waiting" takes 300 \
    p save limited random --limit-upload 100K --timeout 300ms
exits 8 "a limit that is too low for the time"

# --- signals, terminals, the process --------------------------------------
code=0
PERSIST_TEST_EMULATED=$emulated \
    /usr/bin/env python3 "$here/cli_process.py" "$work/persist.conf" \
    >process 2>&1 || code=$?
grep -E '^(ok|not ok) ' process >results || :
while read -r line; do
    n=$((n + 1))
    case $line in
    not*) failed=$((failed + 1)) && echo "not ok $n - ${line#not ok }" ;;
    *) echo "ok $n - ${line#ok }" ;;
    esac
done <results
grep -vE '^(ok|not ok) ' process | sed 's/^/# /'
check "the process tests ran to their end" test "$code" -eq 0

# --- the documentation ----------------------------------------------------
check "docs/cli.md holds every help page" \
    /usr/bin/env python3 "$here/cli_docs.py"

echo "1..$n"
[ "$failed" -eq 0 ] || { echo "# $failed failed" && exit 1; }
