#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The symbols file of the Debian package names what libpersist exports, no more
# and no less.
set -eu
file=$SOURCE_DIR/packaging/debian/libpersist0.symbols
now=$(mktemp)
trap 'rm -f "$now"' EXIT
"$SOURCE_DIR/packaging/deb-symbols" "$BUILD_DIR/lib/libpersist.so.0" VERSION |
    sed 's/ VERSION$//' >"$now"
[ "$(grep -c persist_ "$now")" -gt 50 ]
sed 's/\(@PERSIST_0\) [^ ]*$/\1/' "$file" | diff - "$now" ||
    { echo "write it anew: packaging/deb-symbols LIBRARY VERSION" >&2 && exit 1; }
