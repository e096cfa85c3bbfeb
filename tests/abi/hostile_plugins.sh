#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins that crash, leave, hang, shout or scribble while they are loaded or
# asked: a probe loads them in a process of its own, ends within its time limit,
# says in one line which file and why, exits 9, and leaves nothing running.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
include=$SOURCE_DIR/sdk/include
limit_s=8 # the probe's own limit is 5 s
failures=0

fail() {
    echo "hostile_plugins: $1" >&2
    failures=$((failures + 1))
}

cat >"$work/prelude.h" <<'C'
#include <persist/backend.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define CONSTRUCTOR __attribute__((constructor))
#define ENTRY const struct persist_backend_descriptor * \
    persist_backend_entry_v1(const struct persist_backend_host *host)
C

# plugin NAME: compiles stdin, behind a prelude, to NAME.so.
plugin() {
    {
        cat "$work/prelude.h"
        cat
    } >"$work/$1.c"
    cc -std=c11 -D_GNU_SOURCE -w -fPIC -fvisibility=hidden -shared \
        "-I$include" "$work/$1.c" -o "$work/$1.so" ||
        fail "the fixture $1 does not compile"
}

# probe NAME: its exit code in status, its seconds in took.
probe() {
    status=0
    begin=$(date +%s)
    timeout -k 1 60 "$PERSIST" backends --probe "$work/$1.so" \
        >"$work/out" 2>"$work/err" </dev/null || status=$?
    took=$(($(date +%s) - begin))
}

# refused NAME [WORD]: the probe refuses it; WORD stands in the line.
refused() {
    name=$1 word=${2-}
    probe "$name"
    # A processor that others keep busy is not slow three times in a row.
    for _ in 2 3; do
        [ "$took" -le "$limit_s" ] || probe "$name"
    done
    [ "$status" -eq 9 ] || fail "$name: exit code $status, not 9"
    [ "$took" -le "$limit_s" ] || fail "$name: took $took s"
    [ ! -s "$work/out" ] || fail "$name: wrote to stdout: $(cat "$work/out")"
    lines=$(grep -vc '^hint: ' "$work/err" || true)
    [ "$lines" -eq 1 ] || fail "$name: $lines lines of error, not 1"
    grep -q "$name.so" "$work/err" || fail "$name: the error names no file"
    [ -z "$word" ] || grep -q "$word" "$work/err" ||
        fail "$name: the error does not say '$word'"
    if [ "$status" -ne 9 ] || [ "$lines" -ne 1 ]; then
        sed 's/^/    /' "$work/err" >&2
    fi
}

plugin ctor-crashes <<'C'
CONSTRUCTOR static void crash(void) { raise(SIGSEGV); }
ENTRY { return NULL; }
C
plugin ctor-aborts <<'C'
CONSTRUCTOR static void leave(void) { abort(); }
ENTRY { return NULL; }
C
plugin ctor-exits-0 <<'C'
CONSTRUCTOR static void leave(void) { exit(0); }
ENTRY { return NULL; }
C
plugin ctor-exits-3 <<'C'
CONSTRUCTOR static void leave(void) { _exit(3); }
ENTRY { return NULL; }
C
plugin ctor-hangs <<'C'
CONSTRUCTOR static void hang(void) { for (;;) pause(); }
ENTRY { return NULL; }
C
plugin ctor-spins-deaf <<'C'
CONSTRUCTOR static void hang(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (volatile unsigned long n = 0;; n++) {}
}
ENTRY { return NULL; }
C
plugin ctor-leaves-child <<'C'
CONSTRUCTOR static void leave(void)
{
    if (fork() == 0) {
        /* Keeps every descriptor it was given, for longer than the limit. */
        sleep(30);
        _exit(0);
    }
    _exit(0);
}
ENTRY { return NULL; }
C
plugin ctor-shouts <<'C'
CONSTRUCTOR static void shout(void)
{
    static char noise[4096];
    memset(noise, 'x', sizeof(noise));
    for (int i = 0; i < 5000; i++)
        for (int fd = 3; fd < 10; fd++)
            if (write(fd, noise, sizeof(noise)) < 0) {}
    _exit(0);
}
ENTRY { return NULL; }
C
plugin entry-crashes <<'C'
ENTRY { raise(SIGBUS); return NULL; }
C
plugin entry-hangs <<'C'
ENTRY { for (;;) pause(); }
C
plugin entry-null <<'C'
ENTRY { return NULL; }
C
plugin entry-wild <<'C'
ENTRY { return (const struct persist_backend_descriptor *)16; }
C
plugin wild-ops <<'C'
static const struct persist_backend_descriptor d = {
    PERSIST_BACKEND_PROLOGUE, .thread_model = PERSIST_BACKEND_PARALLEL,
    .name = "wild-ops", .version = "1", .vendor = "", .licence = "0BSD",
    .ops = (const struct persist_backend_ops *)8,
};
ENTRY { return &d; }
C
plugin no-entry <<'C'
int something_else(void) { return 0; }
C
plugin missing-symbol <<'C'
void persist_there_is_no_such_function(void);
ENTRY { persist_there_is_no_such_function(); return NULL; }
C

refused ctor-crashes
refused ctor-aborts
refused ctor-exits-0
refused ctor-exits-3
refused ctor-hangs
refused ctor-spins-deaf
refused ctor-leaves-child
refused ctor-shouts
refused entry-crashes
refused entry-hangs
refused entry-null
refused entry-wild
refused wild-ops
refused no-entry persist_backend_entry_v1
refused missing-symbol persist_there_is_no_such_function
: >"$work/empty.so"
refused empty
echo 'not a shared object' >"$work/text.so"
refused text
head -c 3000 "$work/no-entry.so" >"$work/truncated.so"
refused truncated

# After all that the command still works, on a good one too.
"$PERSIST" backends --probe "$BACKENDS/local.so" >"$work/out" 2>&1 ||
    fail "the local backend is not taken: $(cat "$work/out")"
grep -q local "$work/out" || fail "the probe does not describe local"

# Nothing that was probed is still running (but the child that one left, which
# no longer is the probe's).
left=$(pgrep -f "$work/ctor-[hs]" || true)
[ -z "$left" ] || fail "still running: $left"

if [ "$failures" -ne 0 ]; then
    echo "hostile_plugins: $failures failures" >&2
    exit 1
fi
