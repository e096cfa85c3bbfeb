#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What an author does: installs the SDK, copies the template, builds it by CMake
# and by make, runs its tests, and drops it into a directory where persist finds
# it and saves and restores through it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

fail() {
    echo "template_test: $1" >&2
    exit 1
}

. "$SOURCE_DIR/tests/support/quietly.sh"

prefix=$work/prefix
quietly "installing the SDK" \
    cmake --install "$BUILD_DIR" --prefix "$prefix" --component sdk
pc=$(find "$prefix" -name persist-backend.pc)
[ -n "$pc" ] || fail "persist-backend.pc is not installed"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH

for variable in backenddir backend_abi backend_abi_minor conformance; do
    value=$(pkg-config --variable=$variable persist-backend)
    [ -n "$value" ] || fail "persist-backend.pc has no $variable"
done
[ -z "$(pkg-config --libs persist-backend)" ] ||
    fail "persist-backend.pc links something"
conformance=$(pkg-config --variable=conformance persist-backend)
[ -x "$conformance" ] || fail "no conformance program at $conformance"
backenddir=$(pkg-config --variable=backenddir persist-backend)
case $backenddir in
*/persist/backend-1) ;;
*) fail "backenddir is $backenddir" ;;
esac

template=$(pkg-config --variable=template persist-backend)
cp -R "$template" "$work/copy"
cd "$work/copy"

# The tests' patience reaches the program, and nothing does that was not asked.
given=$(CONFORMANCE_TIMEOUT=7 ./run-conformance echo ./example.so)
case $given in
*' --timeout 7') ;;
*) fail "run-conformance does not hand the time limit on: $given" ;;
esac
given=$(CONFORMANCE_TIMEOUT='' ./run-conformance echo ./example.so)
case $given in
*--timeout*) fail "run-conformance sets a time limit of its own: $given" ;;
esac

# The baseline frozen plugin and the template use nothing but the header: what is
# built here sees no other file of Persist.
quietly "configuring by CMake" cmake -S . -B build \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug
quietly "building by CMake" cmake --build build
quietly "the template's tests" ctest --test-dir build --output-on-failure \
    --no-tests=error
quietly "installing by CMake" cmake --install build
[ -e "$backenddir/example.so" ] || fail "example.so is not in $backenddir"
symbols=$(nm -D --defined-only "$backenddir/example.so" | awk '{ print $3 }')
[ "$symbols" = persist_backend_entry_v1 ] ||
    fail "example.so by CMake exports: $symbols"

quietly "building by make" make CFLAGS=-O1
quietly "make check" make check
# A file of the folder it is called in, named without "./".
quietly "conformance of a bare name" "$conformance" --backend example.so \
    --set root="$work" --case lifecycle.descriptor.valid
symbols=$(nm -D --defined-only example.so | awk '{ print $3 }')
[ "$symbols" = persist_backend_entry_v1 ] ||
    fail "example.so by make exports: $symbols"
rm "$backenddir/example.so"
quietly "make install" make install

# Now the whole of Persist uses it.
cp "$SOURCE_DIR/README.md" "$work/state"
# As the top of a file system has one.
mkdir "$work/root" "$work/root/lost+found"
cat >"$work/persist.conf" <<CONF
[persist]
store = flat
backend_dir = $backenddir

[store flat]
backend = example
root = $work/root
CONF
chmod 600 "$work/persist.conf"
persist() {
    "$PERSIST" --config "$work/persist.conf" "$@"
}
quietly "listing backends" persist backends
grep -q example "$work/out" || fail "persist backends does not show example"
quietly "saving through it" persist save writer "$work/state"
quietly "verifying through it" persist verify writer
persist restore writer >"$work/restored" || fail "restoring through it failed"
cmp "$work/state" "$work/restored" || fail "restored is not what was saved"
quietly "listing through it" persist list
grep -q writer "$work/out" || fail "persist list does not show the agent"
