#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A backend built against the frozen header of ABI 1.0 passes conformance today,
# and today's loader takes it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
baseline=$SOURCE_DIR/tests/abi/baseline

fail() {
    echo "frozen_plugin: $1" >&2
    exit 1
}

for header in "$baseline"/backend-1.*.h; do
    name=$(basename "$header" .h)
    rm -rf "$work/sdk" "$work/backends" "$work/root"
    mkdir -p "$work/sdk/persist" "$work/backends" "$work/root"
    cp "$header" "$work/sdk/persist/backend.h"
    cc -std=c11 -D_GNU_SOURCE -O1 -fPIC -fvisibility=hidden -shared \
        "-I$work/sdk" "$baseline/example.c" "$baseline/folder.c" \
        -o "$work/backends/example.so" -Wl,-z,defs ||
        fail "the backend does not compile against $name"
    "$BUILD_DIR/bin/persist-backend-conformance" \
        --backend "$work/backends/example.so" --timeout "$CONFORMANCE_TIMEOUT" --set "root=$work/root" \
        >"$work/tap" || {
        grep -A2 '^not ok' "$work/tap" >&2
        fail "a backend built against $name does not pass conformance"
    }
    "$PERSIST" backends --probe "$work/backends/example.so" \
        >"$work/out" 2>&1 || {
        cat "$work/out" >&2
        fail "the loader does not take a backend built against $name"
    }
    grep -q example "$work/out" || fail "the probe does not name the backend"
done
