#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: conformance_s3.sh SERVER [virtual]: the S3 backend passes the conformance
# suite against a server of tests/servers/with, and leaves no upload open.
#
# virtual: the bucket in the host name, which no resolver here knows: the server
# is asked as its own proxy.
set -eu
program=$BUILD_DIR/bin/persist-backend-conformance
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" != --inside ]; then
    exec "$here/../servers/with" "$1" -- "$0" --inside "$1" "${2:-path}"
fi
server=$2
style=$3
set -- --backend "$BACKENDS/s3.so" --timeout "$CONFORMANCE_TIMEOUT" \
    --set "bucket=$S3_BUCKET" --set prefix=conformance/deep
if [ "$style" = virtual ]; then
    port=${S3_ENDPOINT##*:}
    set -- "$@" --set "endpoint=http://s3.test:$port" --set addressing=virtual \
        --set allow_http=true --set "proxy=http://127.0.0.1:$port"
else
    set -- "$@" --set "endpoint=$S3_ENDPOINT"
fi
# What the environment says where the service is declares another limit.
if [ "$style" = path ] && ! AWS_ENDPOINT_URL_S3=$S3_ENDPOINT "$program" \
    --backend "$BACKENDS/s3.so" --timeout "$CONFORMANCE_TIMEOUT" \
    --set "bucket=$S3_BUCKET" --group limits; then
    echo "conformance_s3: $server: rules fail with an endpoint of the environment" >&2
    exit 1
fi
# A key nobody knows may do nothing at all. (LocalStack takes every key, and
# versitygw says 404 to one, which is not what S3 says.)
[ "$server" != faults-s3 ] ||
    set -- "$@" --set "access_key_id=$AWS_ACCESS_KEY_ID" \
        --set "secret_access_key=$AWS_SECRET_ACCESS_KEY" --denied access_key_id=nobody
out=$(mktemp)
trap 'rm -f "$out"' EXIT
status=0
"$program" "$@" >"$out" || status=$?
cat "$out"
# LocalStack looks whether there is an object and then makes it: one in eight times
# two commits at the same moment both win. That alone is tried again.
race=threads.commit.if-absent-has-one-winner
for _ in 1 2 3; do
    [ "$server $status" = "localstack 1" ] || break
    [ "$(sed -n 's/^not ok [0-9]* - //p' "$out")" = "$race" ] || break
    "$program" "$@" --case "$race" >"$out" && status=0
    cat "$out"
done
if [ "$status" -ne 0 ]; then
    echo "conformance_s3: $server ($style): rules fail, see above" >&2
    exit 1
fi
