#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The conformance suite finds bugs: each lie of the in-memory backend makes just
# the rules fail that it breaks (named below), and without it they pass.
set -eu
program=$BUILD_DIR/bin/persist-backend-conformance
backend=$TEST_BACKENDS/memory.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "conformance_finds: $1" >&2
    failures=$((failures + 1))
}

# run OUTPUT ID SETTING...: one rule, in a store of its own.
run() {
    out=$1 id=$2
    shift 2
    status=0
    # shellcheck disable=SC2086 # settings are words
    "$program" --backend "$backend" --timeout "$CONFORMANCE_TIMEOUT" --denied denied=true \
        --case "$id" --set resumable=true "$@" >"$out" 2>&1 || status=$?
    return 0
}

# finds LIE ID...
finds() {
    lie=$1
    shift
    for id; do
        run "$work/out" "$id" --set "lies=$lie"
        if [ "$status" -ne 1 ] || ! grep -q "^not ok 1 - $id\$" "$work/out"; then
            fail "the lie $lie passes $id (exit $status)"
            sed 's/^/    /' "$work/out" >&2
        fi
        run "$work/out" "$id"
        if [ "$status" -ne 0 ] || ! grep -q "^ok 1 - $id\$" "$work/out"; then
            fail "$id does not pass without the lie $lie (exit $status)"
            sed 's/^/    /' "$work/out" >&2
        fi
    done
}

finds ignore-if-absent semantics.put.if-absent-answers-exists \
    semantics.put.probe-key uploads.commit.if-absent-answers-exists \
    threads.put.if-absent-has-one-winner
finds racy-if-absent threads.put.if-absent-has-one-winner \
    threads.commit.if-absent-has-one-winner
finds commit-replaces uploads.commit.if-absent-answers-exists
finds commit-holes uploads.commit.hole-fails uploads.commit.wrong-size-fails
finds early-visible uploads.begin.invisible-before-commit
finds double-part uploads.part.sent-again
finds abort-not-found uploads.abort.idempotent \
    uploads.abort.after-commit-keeps
finds delete-not-found semantics.delete.idempotent \
    semantics.delete.of-what-never-was
finds delete-keeps semantics.delete.removes-one-object list.sees.own-writes
finds ignore-etag semantics.read.etag-pins-a-version \
    semantics.read.etag-of-a-deleted-object
finds short-read semantics.read.range-inside semantics.read.suffix-inside
finds wrong-total semantics.read.range-inside
finds suffix-fails semantics.read.suffix-larger-than-object
finds past-end-fails semantics.read.range-at-and-behind-the-end \
    semantics.read.range-of-empty-object
finds absent-as-io semantics.read.not-found semantics.head.not-found
finds denied-as-absent errors.denied.is-not-absent
finds torn-replace threads.put.replace-is-never-torn
finds drop-empty semantics.put.zero-bytes uploads.commit.empty-object
finds drop-last-byte semantics.put.every-byte-value
finds any-key keys.leaving-the-root.writes-are-invalid \
    keys.leaving-the-root.reads-are-invalid keys.malformed.writes-are-invalid \
    keys.malformed.reads-are-invalid
finds scrambled list.flat.matches-brute-force list.folders.match-brute-force
finds no-limit list.pages.of-one list.pages.of-three list.pages.of-folders
finds no-more list.pages.of-one list.pages.of-three
finds start-inclusive list.start-after.matches-brute-force
finds ignore-prefix list.flat.matches-brute-force \
    list.start-after.outside-the-prefix
finds folder-twice list.folders.match-brute-force
finds empty-not-found list.prefix.of-nothing-is-ok
finds ignore-emit list.emit.stops-the-listing
finds uploads-hidden uploads.list.until-aborted
finds unknown-code errors.all.codes-of-the-closed-set
finds cancel-internal cancellation.cancelled.writes-tell-the-truth \
    cancellation.cancelled.reads-stop-or-complete
finds silent errors.all.failures-have-one-line
finds many-status semantics.put-many.status-of-each
finds old-dates semantics.head.modified-time list.flat.matches-brute-force \
    uploads.list.until-aborted
finds no-key errors.all.emit-rules-kept
finds limits-size errors.all.writes-within-structs
finds close-keeps lifecycle.open.and-close-leave-nothing

# Calls of one store never meet there; those of two stores do.
backend=$TEST_BACKENDS/memory-serial.so
finds racy-if-absent threads.put.if-absent-has-one-winner \
    threads.commit.if-absent-has-one-winner
finds torn-replace threads.put.replace-is-never-torn
backend=$TEST_BACKENDS/memory.so

# A lie that no line above names would be a hole in this test.
lies=$(sed -n 's/.*\[LIE_[A-Z_]*\] = "\([a-z-]*\)",$/\1/p' \
    "$SOURCE_DIR/tests/support/memory_options.c")
[ -n "$lies" ] || fail "no lies found in memory_options.c"
for lie in $lies; do
    grep -q "^finds $lie " "$0" || fail "nothing is expected of the lie $lie"
done

# Limits that no upload can keep are told, and nobody tries to.
for part in 65M 100G; do
    run "$work/out" limits.part.smallest-is-taken --set part_min=$part
    grep -q '^ok 1 .* # SKIP limits ask for parts' "$work/out" ||
        fail "parts of $part are not skipped (exit $status): $(cat "$work/out")"
done
# The ids that --list prints are those that run.
"$program" --list | sort >"$work/listed"
"$program" --backend "$backend" --timeout "$CONFORMANCE_TIMEOUT" |
    sed -n 's/^ok [0-9]* - \([a-z.-]*\).*/\1/p' | sort >"$work/ran"
diff "$work/listed" "$work/ran" >&2 || fail "--list names other rules than run"

# Failures that are no lies: an op that fails for good, and a hang.
"$program" --backend "$backend" --timeout "$CONFORMANCE_TIMEOUT" --group semantics \
    --set fail_op=put --set fail_times=0 --set fail_status=io >"$work/out" 2>&1 &&
    fail "a store that takes no put passes"
# Wherever the components of a long key end, it is no other key.
for max in 200 1000 1024; do
    run "$work/out" limits.key.longer-is-not-another --set key_max=$max
    [ "$status" -eq 0 ] || fail "keys of up to $max bytes do not pass"
done
# What is only passing is repeated, and told; what stays is found.
transient() {
    run "$work/out" semantics.put.one-byte --set "fail_op=$1" \
        --set "fail_times=$2" --set "fail_status=$3"
}
for op in put read delete; do
    transient $op 4 transient
    [ "$status" -eq 0 ] || fail "a store whose $op fails four times does not pass"
    grep -q '^# 4 transient or throttled requests were repeated$' "$work/out" ||
        fail "four repeated requests of $op are not told"
done
transient put 1 throttled
[ "$status" -eq 0 ] || fail "a store that throttles once does not pass"
transient put 5 transient
[ "$status" -eq 1 ] || fail "a store whose put fails five times passes"
transient put 1 timeout
[ "$status" -eq 1 ] || fail "a store whose put is late without reason passes"
"$program" --backend "$backend" --timeout 1 --set latency=1h \
    --case semantics.put.one-byte >"$work/out" 2>&1 &&
    fail "a store that hangs passes"
grep -q 'Bail out! a call hangs in semantics.put.one-byte' "$work/out" ||
    fail "a hang is not named"
# As if it had crashed there; SIGABRT, which no sanitizer takes for itself.
timeout -s ABRT 1 "$program" --backend "$backend" --timeout 60 --set latency=1h \
    --case semantics.put.one-byte >"$work/out" 2>&1 &&
    fail "a store that crashes passes"
grep -q 'Bail out! the backend crashes in semantics.put.one-byte' "$work/out" ||
    fail "a crash is not named"

# Before the first case and behind the last.
cat >"$work/stuck.c" <<'C'
#include <persist/backend.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void here(const char *place)
{
    if (!strcmp(getenv("HANGS_IN"), place))
        for (;;) pause();
    if (!strcmp(getenv("CRASHES_IN"), place))
        raise(SIGABRT);
}
static int32_t open_store(const struct persist_backend_host *host,
                          const struct persist_backend_config *config, void **out,
                          struct persist_backend_error *error)
{
    here("open");
    *out = strcmp(getenv("HANGS_IN"), "nowhere") ? out : NULL;
    return 0;
}
static void close_store(void *store) { here("close"); }
static int32_t limits(void *store, struct persist_backend_limits *out) { return 0; }
static int32_t list(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_list_args *args,
                    struct persist_backend_list_result *result,
                    struct persist_backend_error *error) { return 0; }
#define NONE (void *)limits
static const struct persist_backend_ops ops = {
    .struct_size = sizeof(ops), .open = open_store, .close = close_store,
    .limits = limits, .put = NONE, .upload_begin = NONE, .upload_part = NONE,
    .upload_commit = NONE, .upload_abort = NONE, .read = NONE, .head = NONE,
    .delete_object = NONE, .list = list};
static const struct persist_backend_descriptor descriptor = {
    PERSIST_BACKEND_PROLOGUE, .thread_model = PERSIST_BACKEND_PARALLEL,
    .name = "stuck", .version = "1", .vendor = "", .licence = "", .ops = &ops};
const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    here("entry");
    return &descriptor;
}
C
cc -std=c11 -D_GNU_SOURCE -w -fPIC -shared "-I$SOURCE_DIR/sdk/include" \
    "$work/stuck.c" -o "$work/stuck.so"
# stuck PLACE STEP: what is said of it.
stuck() {
    for how in HANGS CRASHES; do
        status=0
        HANGS_IN='' CRASHES_IN='' env "${how}_IN=$1" timeout -k 1 30 "$program" \
            --backend "$work/stuck.so" --timeout 3 \
            --case lifecycle.descriptor.valid >"$work/out" 2>&1 || status=$?
        grep -q "^Bail out! .* \(hangs\|crashes\) in $2\$" "$work/out" ||
            fail "$how in $1 is not named (exit $status): $(cat "$work/out")"
    done
}
stuck entry 'loading the file'
stuck open 'opening the store'
stuck close 'closing the store'
HANGS_IN=nowhere CRASHES_IN='' "$program" --backend "$work/stuck.so" >"$work/out" 2>&1 &&
    fail "a store that is none passes"
grep -q ': open answered ok and gave no store$' "$work/out" ||
    fail "a store that is none is not named: $(cat "$work/out")"

# What a host refuses of a table or a descriptor, the suite finds: the line changes
# d, the descriptor, or o, two options.
refused() {
    {
        sed '/^const struct persist_backend_descriptor \*$/,$d' "$work/stuck.c"
        cat <<C
static struct persist_backend_descriptor d;
static struct persist_backend_ops table;
static struct persist_backend_option o[2] = {
    {.key = "one", .help = "a", .type = PERSIST_BACKEND_STRING},
    {.key = "two", .help = "b", .type = PERSIST_BACKEND_STRING}};
const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    d = descriptor, table = ops, d.ops = &table;
    d.options = o, d.n_options = 2, d.option_size = sizeof(o[0]);
    d.licence = "0BSD";
    $1;
    return &d;
}
C
    } >"$work/refused.c"
    mkdir -p "$work/r"
    cc -std=c11 -D_GNU_SOURCE -w -fPIC -shared -Wl,-z,nodelete \
        "-I$SOURCE_DIR/sdk/include" "$work/refused.c" -o "$work/r/stuck.so"
    status=0
    HANGS_IN='' CRASHES_IN='' "$PERSIST" backends --probe "$work/r/stuck.so" \
        >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$2" ] ||
        fail "the host's exit code for $1 is $status: $(cat "$work/out")"
    status=0
    HANGS_IN='' CRASHES_IN='' "$program" --backend "$work/r/stuck.so" \
        --case lifecycle.descriptor.valid --case lifecycle.descriptor.options-valid \
        >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$3" ] ||
        fail "the suite's exit code for $1 is $status: $(cat "$work/out")"
}
refused ';' 0 0
refused 'o[1].key = "one"' 9 1
refused 'o[1].alias = "one"' 9 1
refused 'o[1].alias = "two"' 9 1
refused 'o[1].alias = "Two"' 9 1
refused 'o[1].key = "max_io"' 9 1
refused 'o[1].alias = "backend"' 9 1
refused 'o[1].flags = PERSIST_BACKEND_REPEATABLE' 9 1
refused 'static const char *const c[] = {"x", NULL}; o[1].choices = c' 9 1
refused 'o[1].type = PERSIST_BACKEND_CHOICE' 9 1
refused 'd.version = "1\n2"' 9 1
refused 'd.n_options = 100000' 9 2
refused 'd.option_size = 100000' 9 2
refused 'table.struct_size = 100000' 9 2
# A default that needs the choices that are not there.
refused 'o[1].type = PERSIST_BACKEND_CHOICE; o[1].default_text = "x"' 9 2

if [ "$failures" -ne 0 ]; then
    echo "conformance_finds: $failures failures" >&2
    exit 1
fi
