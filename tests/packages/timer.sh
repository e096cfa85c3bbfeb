#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In a booted chroot with the package: jobs by timer, as docs/cookbook.md tells
# to make them. Run by tests/packages/run through tests/packages/boot.
set -eu
fail() {
    echo "timer: $1" >&2
    systemctl status --no-pager -n 20 'persist-save@*' >&2 || true
    exit 1
}
edit() {
    mkdir -p "/etc/systemd/system/$1.d"
    cat >"/etc/systemd/system/$1.d/override.conf"
}
# comes ADDRESS: within two minutes.
comes() {
    for _ in $(seq 240); do
        ! persist show "$1" >/dev/null 2>&1 || return 0
        sleep 0.5
    done
    return 1
}

# By timer: twice.
printf 'ADDRESS=host\nFILE=/etc/hostname\n' >/etc/persist/jobs/host.conf
edit persist-save@host.timer <<'CONF'
[Timer]
OnCalendar=
OnCalendar=*:*:0/2
RandomizedDelaySec=0
AccuracySec=100ms
CONF
systemctl daemon-reload
systemctl enable -q --now persist-save@host.timer
comes host@1 || fail "the timer saved nothing"
systemctl disable -q --now persist-save@host.timer
persist restore host | cmp - /etc/hostname || fail "something else was saved"

# A command: quotes, a pipe, the home folder, options.
cat >/etc/persist/jobs/dump.conf <<'CONF'
# a dump
ADDRESS=dump/nightly
COMMAND="printf '%s\n' \"two words\" \"$HOME\" | sort"
OPTIONS='--label kind=job --resume'
CONF
systemctl start persist-save@dump.service || fail "a command cannot be saved"
[ "$(persist restore dump/nightly)" = '/root
two words' ] || fail "of the command: $(persist restore dump/nightly)"
persist show dump/nightly | grep -q 'kind=job' || fail "the options were not used"

# What fails says so, and nothing is saved.
echo 'ADDRESS=broken
COMMAND="echo half; exit 1"' >/etc/persist/jobs/broken.conf
# shellcheck disable=SC2016 # the unit's
echo 'ADDRESS=other
COMMAND="runuser -u nobody -- id"' >/etc/persist/jobs/other.conf
printf 'ADDRESS=broken\nCOMMAND="(echo half; false) | cat"\n' >/etc/persist/jobs/pipe.conf
printf 'ADDRESS=broken\nFILE=/tmp/x\n' >/etc/persist/jobs/tmp.conf
printf 'ADDRESS=broken\nFILE=~/x\n' >/etc/persist/jobs/tilde.conf
echo here >/tmp/x
for job in broken other no-such-job pipe tmp tilde; do
    ! systemctl start "persist-save@$job.service" 2>/dev/null || fail "$job did not fail"
done
journalctl -q --no-pager -u persist-save@no-such-job.service |
    grep -q 'there is no /etc/persist/jobs/no-such-job.conf' ||
    fail "it is not said that there is no such job"
says() {
    journalctl -q --no-pager -u "persist-save@$1.service" | grep -q "$2" ||
        fail "of $1 it is not said: $2"
}
says tmp 'a /tmp of its own'
says tilde 'not an absolute path'
! persist show broken >/dev/null 2>&1 || fail "half a dump was saved"
journalctl -q --no-pager -u persist-save@other.service | grep -q 'not permitted' ||
    fail "it is not said why a command may not become another user"

# Another folder, another user, and numbers for node_exporter.
mkdir -p /srv/snapshots /var/lib/prometheus/node-exporter
cat >/etc/persist/persist.conf <<'CONF'
[persist]
store = local
metrics_textfile = /var/lib/prometheus/node-exporter/persist.prom

[store local]
backend = local
root = /var/lib/persist

[store srv]
backend = local
root = /srv/snapshots

[store nobody]
backend = local
root = /var/lib/persist-nobody
CONF
printf 'ADDRESS=srv:host\nFILE=/etc/hostname\n' >/etc/persist/jobs/srv.conf
! systemctl start persist-save@srv.service 2>/dev/null || fail "the unit writes where it may not"
edit persist-save@srv.service <<'CONF'
[Service]
ReadWritePaths=/srv/snapshots
CONF
echo 'ADDRESS=nobody:mine
COMMAND="id -un"' >/etc/persist/jobs/nobody.conf
edit persist-save@nobody.service <<'CONF'
[Service]
User=nobody
StateDirectory=
StateDirectory=persist-nobody
StateDirectoryMode=0700
CacheDirectory=
CacheDirectory=persist-nobody
CacheDirectoryMode=0700
CONF
systemctl daemon-reload
systemctl start persist-save@host.service || fail "a job by hand"
persist metrics | grep -q 'operation="save",status="ok"} 1$' || fail "a job is in no metrics"
systemctl start persist-save@srv.service || fail "a drop-in for another folder does not do"
systemctl start persist-save@nobody.service || fail "a drop-in for another user does not do"
[ "$(persist restore nobody:mine)" = nobody ] || fail "another user than nobody"
[ "$(stat -c %a /var/lib/persist-nobody)" = 700 ] || fail "a store anybody can read"
