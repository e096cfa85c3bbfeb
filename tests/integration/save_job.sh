#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What persist-save@.service runs, with an /etc of its own; how systemd runs it
# is tried by tests/packages/timer.sh.
set -eu
if [ "${1:-}" != inside ]; then
    if ! unshare --map-root-user --mount true 2>/dev/null; then
        echo "save_job: there are no mount namespaces here"
        exit 77
    fi
    exec unshare --map-root-user --mount "$0" inside
fi
fail() {
    echo "save_job: $1" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mount -t tmpfs tmpfs /etc
mkdir -p /etc/persist/jobs "$work/bin" "$work/cache"
: >/etc/persist/jobs/dump.conf

# Keeps what it was told and what it would have saved.
cat >"$work/bin/persist" <<'SH'
#!/bin/sh
printf '%s\n' "$@" >"$WORK/told"
for file; do :; done
cp "$file" "$WORK/saved"
SH
chmod 755 "$work/bin/persist"
export WORK="$work" HOME="$work" CACHE_DIRECTORY="$work/cache" ADDRESS=a
export PATH="$work/bin:$PATH"
job() {
    "$SOURCE_DIR/packaging/systemd/save-job" dump
}
kept() {
    find "$work/cache" -type f
}

# What the command writes is saved and does not stay.
COMMAND='echo whole' job
[ "$(cat "$work/saved")" = whole ] || fail "of the command: $(cat "$work/saved")"
[ -z "$(kept)" ] || fail "it stays: $(kept)"
! COMMAND='echo half; false' job 2>/dev/null || fail "a command that fails is a success"
[ -z "$(kept)" ] || fail "of a command that fails stays: $(kept)"

# shellcheck disable=SC2016 # the job's
# Nor of a job that is stopped, as systemd does it: all its processes at once.
COMMAND='echo half; echo >"$WORK/begun"; sleep 60' setsid \
    "$SOURCE_DIR/packaging/systemd/save-job" dump 2>/dev/null &
pid=$!
while [ ! -e "$work/begun" ]; do sleep 0.05; done
env kill -TERM -- "-$pid"
! wait "$pid" || fail "a job that was stopped is a success"
[ -z "$(kept)" ] || fail "of a job that was stopped stays: $(kept)"

# What one left that was killed goes with the next; other jobs' does not.
: >"$work/cache/dump.aBcD12"
: >"$work/cache/dump.old.aBcD12"
: >"$work/cache/dump"
COMMAND='echo whole' job
[ "$(kept | sort)" = "$work/cache/dump
$work/cache/dump.old.aBcD12" ] || fail "after a killed one: $(kept)"

# Options are words; nothing is made of what they look like.
cd "$work"
: >"$work/state"
FILE=$work/state OPTIONS='--label *=? --skip-unchanged' job
[ "$(cat "$work/told")" = "save
--label
*=?
--skip-unchanged
--
a
$work/state" ] || fail "persist was told: $(cat "$work/told")"
FILE=$work/state OPTIONS='--description *' job
grep -qx '\*' "$work/told" || fail "a * became names of files: $(cat "$work/told")"
