#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/servers/with: the command's status is its own, servers are ready when the
# command runs, and nothing is left behind however it ends.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
with="$here/with"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
TMPDIR=$scratch
export TMPDIR

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# gone PID: within five seconds.
gone() {
    for _ in $(seq 50); do
        kill -0 "$1" 2>/dev/null || return 0
        [ "$(awk '/^State/ { print $2 }' "/proc/$1/status" 2>/dev/null)" != Z ] ||
            return 0
        sleep 0.1
    done
    return 1
}

# child PID WORD: the child of PID whose command line holds WORD.
child() {
    for status in /proc/[0-9]*/status; do
        dir=${status%/status}
        [ "$(awk '/^PPid/ { print $2 }' "$status" 2>/dev/null)" = "$1" ] ||
            continue
        tr '\0' ' ' 2>/dev/null <"$dir/cmdline" | grep -q "$2" || continue
        echo "${dir#/proc/}"
    done
}

rc=0
"$with" faults-s3 -- sh -c 'exit 7' || rc=$?
[ $rc -eq 7 ] || fail "the status was $rc, not 7"

# shellcheck disable=SC2016 # for the inner shell
AWS_PROFILE=x http_proxy=http://127.0.0.1:1 "$with" faults-s3 -- sh -c '
    [ -z "${AWS_PROFILE:-}${http_proxy:-}" ] &&
    [ "$AWS_ACCESS_KEY_ID" = testak ] && [ "$S3_BUCKET" = persist-test ] &&
    case $S3_ENDPOINT in http://127.0.0.1:*) ;; *) exit 1 ;; esac' ||
    fail "the environment is not as it should be"

"$with" no-such-server -- true 2>/dev/null && fail "an unknown server is one"
"$with" faults-s3 2>/dev/null && fail "no command is one"
[ -z "$(ls "$scratch")" ] || fail "left behind: $(ls "$scratch")"

for signal in TERM KILL; do
    # shellcheck disable=SC2016 # for the inner shell
    "$with" faults-s3 -- sh -c ': >"$1"; exec sleep 60' sh "$scratch/ready" &
    pid=$!
    for _ in $(seq 100); do
        [ ! -e "$scratch/ready" ] || break
        sleep 0.1
    done
    server=$(child $pid s3_server)
    command=$(child $pid 'sleep 60')
    [ -n "$server" ] || fail "no server runs"
    [ -n "$command" ] || fail "no command runs"
    kill -s $signal $pid
    gone "$server" || fail "the server outlived SIG$signal"
    gone "$command" || fail "the command outlived SIG$signal"
    wait $pid 2>/dev/null || true
    rm "$scratch/ready"
done

# What the killed one left is swept by the next.
"$with" faults-s3 -- true
[ -z "$(ls "$scratch")" ] || fail "not swept: $(ls "$scratch")"
# Another's sweep between the making of a folder and its lock: another is made.
python3 - "$with" <<'PY' || fail "a folder that another swept is used"
import fcntl, importlib.machinery, importlib.util, os, sys

loader = importlib.machinery.SourceFileLoader("servers_with", sys.argv[1])
servers_with = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("servers_with", loader))
sys.dont_write_bytecode = True
loader.exec_module(servers_with)
made, lock, make = [], fcntl.flock, servers_with.tempfile.mkdtemp

def mkdtemp(**words):
    made.append(make(**words))
    return made[-1]

def swept_before(fd, how):
    if len(made) == 1:
        os.rmdir(made[0])
    lock(fd, how)

servers_with.tempfile.mkdtemp, fcntl.flock = mkdtemp, swept_before
folder = servers_with.make_folder()
assert folder == made[-1] and len(made) == 2 and os.path.isdir(folder), made
os.rmdir(folder)
PY
# One that runs already is used and left alone; each run has its own bucket.
cat >"$scratch/server.py" <<'PY'
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        print(self.command, self.path, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_PUT = answer

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 "$scratch/server.py" >"$scratch/requests" &
running=$!
for _ in $(seq 100); do
    [ ! -s "$scratch/requests" ] || break
    sleep 0.1
done
port=$(head -n 1 "$scratch/requests")
for run in 1 2; do
    # shellcheck disable=SC2016 # for the inner shell
    PERSIST_TEST_LOCALSTACK=http://127.0.0.1:$port/ "$with" localstack -- \
        sh -c 'echo "$S3_ENDPOINT $LOCALSTACK_ENDPOINT $AWS_ACCESS_KEY_ID $S3_BUCKET"' \
        >"$scratch/$run"
done
grep -q "^http://127.0.0.1:$port http://127.0.0.1:$port test persist-test-" "$scratch/1" ||
    fail "a running server: $(cat "$scratch/1")"
! cmp -s "$scratch/1" "$scratch/2" || fail "two runs share a bucket"
for run in 1 2; do
    grep -qx "PUT /$(sed 's/.* //' "$scratch/$run")" "$scratch/requests" ||
        fail "the bucket was not made: $(cat "$scratch/$run" "$scratch/requests")"
done
kill -0 $running || fail "a server that ran already was ended"
kill $running

# silent PORT: nobody listens, within ten seconds.
silent() {
    python3 - "$1" <<'PY'
import socket, sys, time

end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
    except ConnectionRefusedError:
        sys.exit(0)
    time.sleep(0.05)
sys.exit(1)
PY
}

# One for several runs, which ends when it is told to, and with whoever asked for it.
cache=$scratch/cache
# shellcheck source=tests/servers/pins.sh disable=SC1091
. "$here/pins.sh"
mkdir -p "$cache/servers/localstack/bin"
printf '%s\n' "$LOCALSTACK_PINS" >"$cache/servers/localstack/installed"
cat >"$cache/servers/localstack/bin/python" <<SH
#!/bin/sh
sed 's/("127.0.0.1", 0)/("127.0.0.1", '"\${GATEWAY_LISTEN##*:}"')/' "$scratch/server.py" >server.py
exec python3 server.py
SH
chmod +x "$cache/servers/localstack/bin/python"
shared=$scratch/shared
# for_all COMMAND...
for_all() { PERSIST_TEST_CACHE=$cache PERSIST_TEST_SHARED=$shared "$@"; }
for ending in told asker; do
    # shellcheck disable=SC2016 # for the inner shell
    env PERSIST_TEST_CACHE="$cache" PERSIST_TEST_SHARED="$shared" \
        sh -c '"$1" --serve localstack && : >"$2" && exec sleep 60' sh \
        "$with" "$scratch/ready" &
    pid=$!
    for _ in $(seq 100); do
        [ ! -e "$scratch/ready" ] || break
        sleep 0.1
    done
    [ -s "$shared/localstack" ] || fail "nothing is served"
    for run in 1 2; do
        # shellcheck disable=SC2016 # for the inner shell
        for_all "$with" localstack -- sh -c 'echo "$S3_ENDPOINT $S3_BUCKET"' >"$scratch/$run"
    done
    grep -q "^$(cat "$shared/localstack") persist-test-" "$scratch/1" ||
        fail "what is shared is not used: $(cat "$scratch/1")"
    ! cmp -s "$scratch/1" "$scratch/2" || fail "two runs share a bucket"
    url=$(cat "$shared/localstack")
    case $ending in
    told) for_all "$with" --end localstack ;;
    asker) kill $pid ;;
    esac
    silent "${url##*:}" || fail "what is shared outlived its end ($ending)"
    [ ! -e "$shared/localstack" ] || fail "its file is left ($ending)"
    kill $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    rm "$scratch/ready"
done
echo "ok"
