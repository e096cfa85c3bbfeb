#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The local backend passes the conformance suite, in a fresh root, and leaves
# nothing half written behind.
set -eu
program=$BUILD_DIR/bin/persist-backend-conformance
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
mkdir "$work/root"

set -- --backend "$BACKENDS/local.so" --timeout "$CONFORMANCE_TIMEOUT" --set "root=$work/root"
# Where permissions mean something, a root that may not be entered is denied.
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 000 "$work/denied"
    set -- "$@" --denied "root=$work/denied"
fi
if ! "$program" "$@" --junit "$work/junit.xml"; then
    echo "conformance_local: the local backend fails rules, see above" >&2
    exit 1
fi
left=$(find "$work/root" -name '.persist-tmp*')
if [ -n "$left" ]; then
    echo "conformance_local: temporaries are left: $left" >&2
    exit 1
fi
