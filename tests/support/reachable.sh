#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies the command, its library and its backends below FOLDER and gives them
# to everybody: a source tree below /root is closed to the ordinary user as
# whom root's tests run some of the commands.
#
#   PERSIST=... BACKENDS=... BUILD_DIR=... tests/support/reachable.sh FOLDER
#
# Run FOLDER/bin/persist with LD_LIBRARY_PATH=FOLDER/lib and
# PERSIST_BACKEND_DIR=FOLDER/backends.
set -eu
umask 022
mkdir -p "$1/bin" "$1/lib" "$1/backends"
cp "$PERSIST" "$1/bin/persist"
cp -P "$BUILD_DIR"/lib/libpersist.so* "$1/lib"
cp "$BACKENDS"/*.so "$1/backends"
