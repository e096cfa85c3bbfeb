#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a user of the library does: installs into a prefix that was not known when
# it was configured, moves the tree, builds a program by pkg-config and by CMake,
# and runs it. It has nothing to set up: the library finds the backends that were
# installed with it.
set -eu
[ -z "${SANITIZE:-}" ] || {
    echo "an uninstrumented program cannot load an instrumented library"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

fail() {
    echo "installed: $1" >&2
    exit 1
}

. "$SOURCE_DIR/tests/support/quietly.sh"

# ours COMMAND...: with nothing said in the environment but where snapshots go.
ours() {
    mkdir -p "$work/home"
    env -i PATH="$PATH" HOME="$work/home" PERSIST_STORE_LOCAL_ROOT="$work/store" \
        PERSIST_STORE_LOCAL_CREATE=true "$@"
}

quietly "installing" cmake --install "$BUILD_DIR" --prefix "$work/first"
mv "$work/first" "$work/prefix"
prefix=$work/prefix
pc=$(find "$prefix" -name persist.pc)
[ -n "$pc" ] || fail "persist.pc is not installed"
PKG_CONFIG_PATH=$(dirname "$pc")
libdir=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH
cd "$work"

cp "$SOURCE_DIR/tests/abi/consumer.cc" .
# shellcheck disable=SC2046 # flags are words
quietly "building by pkg-config" c++ -std=c++17 consumer.cc -o by-pkg-config \
    $(pkg-config --cflags --libs persist)
quietly "the program built by pkg-config" \
    ours LD_LIBRARY_PATH="$libdir" ./by-pkg-config

cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.24)
project(consumer LANGUAGES CXX)
find_package(Persist 0.2 REQUIRED)
add_executable(consumer consumer.cc)
target_compile_features(consumer PRIVATE cxx_std_17)
target_link_libraries(consumer PRIVATE Persist::persist)
CMAKE
quietly "configuring by CMake" cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix"
quietly "building by CMake" cmake --build build
quietly "the program built by CMake" ours build/consumer

# The command of that installation, and that it is its backends which are used.
printf 'from C++' >expected
ours "$prefix/bin/persist" restore consumer@3 >restored ||
    fail "the command does not find what the programs saved"
cmp expected restored
ours "$prefix/bin/persist" backends --json >found
grep -qF "\"$libdir/persist/backend-1/local.so\"" found ||
    fail "backends are looked for elsewhere: $(cat found)"

# What only lies beside the library is not trusted for that.
chmod g+w "$libdir/persist/backend-1/local.so"
if ours "$prefix/bin/persist" list >"$work/out" 2>&1; then
    fail "a backend that others may write was loaded"
fi
grep -q 'not trusted' "$work/out" || fail "not refused for that: $(cat "$work/out")"
chmod g-w "$libdir/persist/backend-1/local.so"
# A library without backends beside it names the directory it was built for.
mv "$libdir/persist" "$work/away"
ours "$prefix/bin/persist" backends nobodys >"$work/out" 2>&1 || :
if grep -qF "$prefix" "$work/out"; then
    fail "a directory that is not there is searched: $(cat "$work/out")"
fi
grep -q 'there is no backend nobodys in /.*/persist/backend-1' "$work/out" ||
    fail "no directory is named: $(cat "$work/out")"
