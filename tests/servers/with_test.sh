#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/servers/with: the command's status is its own, servers are ready when the
# command runs, and nothing is left behind however it ends.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
with="$here/with"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
TMPDIR=$scratch
export TMPDIR

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# gone PID: within five seconds.
gone() {
    for _ in $(seq 50); do
        kill -0 "$1" 2>/dev/null || return 0
        [ "$(awk '/^State/ { print $2 }' "/proc/$1/status" 2>/dev/null)" != Z ] ||
            return 0
        sleep 0.1
    done
    return 1
}

# child PID WORD: the child of PID whose command line holds WORD.
child() {
    for status in /proc/[0-9]*/status; do
        dir=${status%/status}
        [ "$(awk '/^PPid/ { print $2 }' "$status" 2>/dev/null)" = "$1" ] ||
            continue
        tr '\0' ' ' 2>/dev/null <"$dir/cmdline" | grep -q "$2" || continue
        echo "${dir#/proc/}"
    done
}

rc=0
"$with" faults-s3 -- sh -c 'exit 7' || rc=$?
[ $rc -eq 7 ] || fail "the status was $rc, not 7"

# shellcheck disable=SC2016 # for the inner shell
AWS_PROFILE=x http_proxy=http://127.0.0.1:1 "$with" faults-s3 -- sh -c '
    [ -z "${AWS_PROFILE:-}${http_proxy:-}" ] &&
    [ "$AWS_ACCESS_KEY_ID" = testak ] && [ "$S3_BUCKET" = persist-test ] &&
    case $S3_ENDPOINT in http://127.0.0.1:*) ;; *) exit 1 ;; esac' ||
    fail "the environment is not as it should be"

"$with" no-such-server -- true 2>/dev/null && fail "an unknown server is one"
"$with" faults-s3 2>/dev/null && fail "no command is one"
[ -z "$(ls "$scratch")" ] || fail "left behind: $(ls "$scratch")"

for signal in TERM KILL; do
    # shellcheck disable=SC2016 # for the inner shell
    "$with" faults-s3 -- sh -c ': >"$1"; exec sleep 60' sh "$scratch/ready" &
    pid=$!
    for _ in $(seq 100); do
        [ ! -e "$scratch/ready" ] || break
        sleep 0.1
    done
    server=$(child $pid s3_server)
    command=$(child $pid 'sleep 60')
    [ -n "$server" ] || fail "no server runs"
    [ -n "$command" ] || fail "no command runs"
    kill -s $signal $pid
    gone "$server" || fail "the server outlived SIG$signal"
    gone "$command" || fail "the command outlived SIG$signal"
    wait $pid 2>/dev/null || true
    rm "$scratch/ready"
done

# What the killed one left is swept by the next.
"$with" faults-s3 -- true
[ -z "$(ls "$scratch")" ] || fail "not swept: $(ls "$scratch")"
echo "ok"
