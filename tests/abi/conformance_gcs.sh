#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# conformance_gcs.sh SERVER: the GCS backend passes the conformance suite on
# fake-gcs-server (an emulator) and on faults-gcs (our own, strict, where uploads
# can be gone on with and a bucket refuses everything).
set -eu
program=$BUILD_DIR/bin/persist-backend-conformance
server=$1
set -- --backend "$BACKENDS/gcs.so" --timeout "$CONFORMANCE_TIMEOUT" --set prefix=team/conformance

# shellcheck disable=SC2016 # the variables are the servers'
case $server in
fake-gcs-server)
    exec ../servers/with "$server" -- sh -c \
        'exec "$@" --set bucket="$GCS_BUCKET"' sh "$program" "$@"
    ;;
faults-gcs)
    exec ../servers/with "$server" -- sh -c \
        'exec "$@" --set bucket="$GCS_BUCKET" --set endpoint="$GCS_ENDPOINT" \
            --set anonymous=true --denied bucket=denied' sh "$program" "$@"
    ;;
*)
    echo "conformance_gcs: no such server: $server" >&2
    exit 2
    ;;
esac
