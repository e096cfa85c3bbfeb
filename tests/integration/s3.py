#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The persist command with S3 stores, against servers of tests/servers/with.

usage: with SERVER [delay=S3_ENDPOINT resets=S3_ENDPOINT] -- s3.py GROUP...

S3_VIA=DELAY_ENDPOINT or RESETS_ENDPOINT: everything goes through that proxy.

Groups: basics (any server), many (ten processes, one session), kill (SIGKILL during uploads), resume (the same, and
going on; servers that tell their requests), links (the two proxies), files (which files a save opens), kms (LocalStack), services (what tests/faults/s3_server.py can pretend), tls.
"""
import ctypes
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "faults"))
MIB = 1 << 20
UPLOAD = 9 * MIB  # more than one put holds: an upload of two parts, and several reads
FAILED = []
PROCESSES = []  # that end with this one
# Where the command finds the service; S3_VIA names the variable of a proxy in front of it.
ENDPOINT = os.environ.get(os.environ.get("S3_VIA", "S3_ENDPOINT"), os.environ.get("S3_ENDPOINT", ""))


def check(holds, what):
    if not holds:
        FAILED.append(what)
        print(f"not ok: {what}", file=sys.stderr)
    return holds


class Store:
    """A configuration with one store, and the command with it."""

    n = 0

    def __init__(self, base, **options):
        Store.n += 1
        self.folder = os.path.join(base, f"store{Store.n}")
        os.mkdir(self.folder)
        settings = {"backend": "s3", "bucket": os.environ.get("S3_BUCKET", "persist-test"),
                    "prefix": f"store{Store.n}/deep", "endpoint": ENDPOINT}
        settings.update(options)
        self.conf = os.path.join(self.folder, "persist.conf")
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write("[persist]\nstore = s\n[store s]\n")
            f.writelines(f"{k} = {v}\n" for k, v in settings.items() if v is not None)
        os.chmod(self.conf, 0o600)
        self.env = dict(os.environ, XDG_STATE_HOME=os.path.join(self.folder, "state"),
                        XDG_CONFIG_HOME=self.folder, HOME=self.folder)

    def words(self, *words):
        return [os.environ["PERSIST"], "--backend-dir", os.environ["BACKENDS"], "--config",
                self.conf, *words]

    def start(self, *words, **more):
        return subprocess.Popen(self.words(*words), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                                **more)

    def run(self, *words, stdin=b"", env=None):
        done = subprocess.run(self.words(*words), input=stdin, capture_output=True, check=False,
                              env=dict(self.env, **(env or {})))
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def must(self, *words, stdin=b""):
        code, out, text = self.run(*words, stdin=stdin)
        check(code == 0, f"persist {' '.join(words)}: {text.strip()}")
        return out

    def must_fail(self, message, *words, env=None):
        code, _, text = self.run(*words, env=env)
        check(code != 0, f"persist {' '.join(words)}: succeeded")
        check(re.search(message, text), f"persist {' '.join(words)}: {message!r} is not in {text!r}")
        return text


def payload(base, name, size, seed):
    path = os.path.join(base, name)
    with open(path, "wb") as f:
        f.write(random.Random(seed).randbytes(size))
    return path


def content(path):
    with open(path, "rb") as f:
        return f.read()


# ---------------------------------------------------------------- groups

NAMES = ["agent", "my agent/séss*ion", "100%25/50%2f", "a.b/.hidden", "UPPER/Case", "..", "a+b/c d",
         "-rf/--help", "x" * 200]


def basics(base):
    store = Store(base)
    small, big = payload(base, "small", 4096, 1), payload(base, "big", 20 * MIB, 2)
    for name in NAMES:
        out = store.must("save", "--", name, small)
        check(out.decode().rstrip().endswith("@0"), f"{name}: the first snapshot is {out!r}")
        check(store.must("restore", "--", name) == content(small), f"{name}: other bytes")
    listed = [json.loads(line) for line in store.must("list", "--json").splitlines()]
    check(len(listed) >= len(NAMES), f"{len(listed)} agents are listed")
    store.must("save", "agent/big", big)
    store.must("save", "agent/big", "-", stdin=content(big)[:12 * MIB + 5])
    check(store.must("restore", "agent/big@0") == content(big), "a file of 20 MiB")
    check(store.must("restore", "agent/big") == content(big)[:12 * MIB + 5], "a pipe of 12 MiB")
    store.must("save", "agent/empty", "-")
    check(store.must("restore", "agent/empty") == b"", "an empty payload")
    store.must("verify", "agent/big@0")
    store.must("verify", "agent/big@1")
    store.must("delete", "agent/big@0")
    store.must_fail("was deleted", "restore", "agent/big@0")
    check(store.must("restore", "agent/big") == content(big)[:12 * MIB + 5], "what was not deleted")
    store.must_fail("no |not found", "restore", "nobody/nothing")
    store.must("cleanup", "--dry-run")
    code, out, text = store.run("doctor", "s")
    check(code == 0, f"doctor: {code} {out.decode()} {text}")
    n = out.decode().count("\n  warn ")
    check("nothing is wrong" in text if n == 0 else f"works, with {n} warning" in text, f"doctor: {n} warnings: {text}")
    check(os.environ["AWS_SECRET_ACCESS_KEY"] not in out.decode() + text
          or os.environ["AWS_SECRET_ACCESS_KEY"] == "test", "doctor shows the secret key")


def many(base):
    """Ten processes save to one session at once: ten indexes, ten payloads."""
    store = Store(base)
    files = [payload(base, f"many{i}", 3000 + i, 10 + i) for i in range(10)]
    children = [store.start("--timeout", "60s", "save", "shared/session", f) for f in files]
    given = {}
    for child, path in zip(children, files):
        out, text = child.communicate()
        if check(child.returncode == 0, f"one of ten savers: {text.decode()}"):
            given[out.decode().rstrip().rpartition("@")[2]] = path
    check(sorted(map(int, given)) == list(range(10)), f"the indexes are {sorted(given)}")
    for index, path in given.items():
        check(store.must("restore", f"shared/session@{index}") == content(path),
              f"index {index} holds another payload")


def kill(base):
    """A saver that is killed leaves nothing to be seen, or the whole."""
    store = Store(base)
    big = payload(base, "killed", 30 * MIB, 3)
    store.must("save", "warm/up", big)
    start = time.monotonic()
    store.must("save", "warm/up", big)
    whole = time.monotonic() - start
    for i in range(12):
        child = store.start("save", f"killed/s{i}", big)
        time.sleep(whole * i / 10)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        code, out, text = store.run("restore", f"killed/s{i}")
        if code == 0:
            check(out == content(big), f"killed {i}: other bytes")
        else:
            check("corrupt" not in text and re.search("no |not found", text), f"killed {i}: {text}")
        store.must("save", f"killed/s{i}", "-", stdin=b"next")
        check(store.must("restore", f"killed/s{i}") == b"next", f"killed {i}: the next save")


def requests_of_uploads():
    """(operation, upload id or "", part number or 0, status) of each answered request of an upload."""
    found = []
    if "VERSITYGW_LOG" not in os.environ:
        with urllib.request.urlopen(os.environ["S3_ENDPOINT"] + "/_faults/log", timeout=30) as reply:
            return [(e["kind"], e["query"].get("uploadId", ""), int(e["query"].get("partNumber", 0)),
                     e.get("status")) for e in json.load(reply)
                    if e["kind"] in ("create", "part", "complete", "abort")]
    kinds = {"CreateMultipartUpload": "create", "UploadPart": "part",
             "CompleteMultipartUpload": "complete", "AbortMultipartUpload": "abort"}
    with open(os.environ["VERSITYGW_LOG"], encoding="utf-8") as log:
        for kind, url, status in re.findall(r" s3_(\w+) \S+ (\S+) (\d+) ", log.read()):
            if kind in kinds:
                query = dict(urllib.parse.parse_qsl(url.partition("?")[2]))
                found.append((kinds[kind], query.get("uploadId", ""),
                              int(query.get("partNumber", 0)), int(status)))
    return found


def parts_since(start):
    return [number for kind, _, number, status in requests_of_uploads()[start:]
            if kind == "part" and status == 200]


def kill_in_upload(store, path, start, parts):
    """A save with --resume that is killed once the server has answered so many parts."""
    child = store.start("--limit-upload", "15M", "save", "--resume", "resumed/s", path)
    end = time.monotonic() + 120
    while len(parts_since(start)) < parts and child.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    check(child.returncode == -signal.SIGKILL, f"the save to be killed ended with {child.returncode}")


def resume(base):
    """SIGKILL in the middle of an upload, twice: what the server has acknowledged is not sent again."""
    parallel, parts = 2, 15
    store = Store(base, part_size="5M", parallel=str(parallel))
    path = payload(base, "resumed", parts * 5 * MIB - 12345, 21)
    start = len(requests_of_uploads())
    sent = []
    for stop in (4, 9):
        kill_in_upload(store, path, start, stop)
        time.sleep(1)  # what was under way
        code, _, text = store.run("restore", "resumed/s")
        check(code != 0 and "corrupt" not in text, f"an unfinished upload can be seen: {text}")
        sent.append(parts_since(start))
    time.sleep(2)
    shown = store.must("cleanup", "--dry-run", "--older-than", "1s", "--json").count(b'"kind":"upload"')
    check(shown == 1, f"cleanup shows the upload {shown} times")
    check(len(set(sent[0])) >= 4 and len(set(sent[1])) > len(set(sent[0])), f"killed too early: {sent}")
    check(store.must("save", "--resume", "resumed/s", path).strip() == b"resumed/s@0",
          "the resumed save has its index")
    everything = parts_since(start)
    check(set(everything) == set(range(1, max(everything) + 1)) and max(everything) >= parts,
          f"the parts that arrived: {sorted(everything)}")
    # A part whose answer had not been noted when the process died goes out again: at most those
    # that were under way at either kill.
    again = len(everything) - len(set(everything))
    check(again <= 2 * parallel, f"{again} parts were sent again: {everything}")
    done = requests_of_uploads()[start:]
    check([r[0] for r in done].count("create") == 1, f"another upload was begun: {done}")
    check(len({r[1] for r in done if r[0] in ("part", "complete")}) == 1, f"two uploads: {done}")
    check("abort" not in [r[0] for r in done], f"something was aborted: {done}")
    check(store.must("restore", "resumed/s") == content(path), "a resumed save: other bytes")
    left = os.path.join(store.folder, "state", "persist", "resume")
    # Of a process that is killed in the middle of writing it a file of 0600 stays, for cleanup.
    files = [n for n in os.listdir(left) if not n.startswith(".tmp-")] if os.path.isdir(left) else []
    check(not files, f"state files stay: {files}")

    # Another file under the same name is not taken for the rest of the first: its time tells, and each part's
    # checksum where it does not.
    for seed, same_time in ((22, False), (23, True)):
        start = len(requests_of_uploads())
        kill_in_upload(store, path, start, 3)
        when = os.stat(path)
        os.replace(payload(base, "other", parts * 5 * MIB - 12345, seed), path)
        if same_time:
            os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
        store.must("save", "--resume", "resumed/s", path)
        name = f"another file{' of the same time' if same_time else ''}"
        check(store.must("restore", "resumed/s") == content(path), f"{name}: other bytes")
        begun = [r[0] for r in requests_of_uploads()[start:]].count("create")
        check(begun == 2, f"{name}: {begun} uploads")


def links(base):
    big = payload(base, "links", 20 * MIB, 4)
    for name in ("DELAY_ENDPOINT", "RESETS_ENDPOINT"):
        store = Store(base, endpoint=os.environ[name])
        for i in range(3):
            store.must("save", f"linked/s{i}", big)
            check(store.must("restore", f"linked/s{i}") == content(big), f"{name}: other bytes")
        for i in range(20):
            store.must("save", "linked/small", "-", stdin=b"%d" % i)
        check(store.must("restore", "linked/small@19") == b"19", f"{name}: small ones")


OURS = re.compile(r"/(persist\.conf|conf\.d|backend-1|lib[^/]*\.so[^/]*|[^/]*\.so)$")
SYSTEM = re.compile(r"^/(etc|usr|lib|lib64|proc|sys|dev)(/|$)")


def files(base):
    """A save opens configuration, credentials, libraries, CA files, its state and the payload."""
    if shutil.which("strace") is None:
        sys.exit("files: strace is missing")
    store = Store(base)
    big = payload(base, "traced", UPLOAD, 5)
    trace = os.path.join(base, "trace")
    # The leak checker of a sanitizer traces, too, and cannot be traced.
    env = dict(store.env, ASAN_OPTIONS=store.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,creat", "-o", trace,
                           *store.words("save", "traced/s", big)],
                          env=env, capture_output=True, check=False)
    if done.returncode != 0 and b"ptrace" in done.stderr:
        sys.exit("files: this machine allows no tracing")
    check(done.returncode == 0, f"the traced save: {done.stderr.decode()}")
    with open(trace, encoding="utf-8", errors="replace") as f:
        opened = re.findall(r'open(?:at2?)?\((?:[^",]*, )?"([^"]*)".*= (\d+)', f.read())
    strange = []
    for path, _ in opened:
        if path == big or SYSTEM.search(path) or OURS.search(path) or "/.aws" in path:
            continue
        if path.startswith((os.environ["BUILD_DIR"], store.folder + "/state")):
            continue
        if path.startswith("/") and path not in os.path.realpath(store.folder) and path != store.folder:
            strange.append(path)
    check(opened, "nothing was traced")
    check(not strange, f"a save opened {sorted(set(strange))}")


def kms_call(action, body):
    request = urllib.request.Request(
        os.environ["S3_ENDPOINT"], data=json.dumps(body).encode(),
        headers={"X-Amz-Target": f"TrentService.{action}",
                 "Content-Type": "application/x-amz-json-1.1",
                 "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kms/"
                                  "aws4_request, SignedHeaders=host, Signature=x"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def object_headers(key):
    request = urllib.request.Request(
        f"{os.environ['S3_ENDPOINT']}/{os.environ['S3_BUCKET']}/{key}", method="HEAD",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/"
                                  "aws4_request, SignedHeaders=host, Signature=x"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return dict(reply.headers)


def kms(base):
    """Encryption with a key of KMS, asked for with one put and with an upload."""
    key = kms_call("CreateKey", {})["KeyMetadata"]["Arn"]
    store = Store(base, sse="aws:kms", kms_key_id=key, bucket_key="true")
    for name, size in (("small", 5000), ("big", UPLOAD)):
        path = payload(base, "kms-" + name, size, 6)
        store.must("save", f"kms/{name}", path)
        check(store.must("restore", f"kms/{name}") == content(path), f"kms {name}: other bytes")
    found = 0
    request = f"{os.environ['S3_ENDPOINT']}/{os.environ['S3_BUCKET']}?list-type=2&prefix=store"
    with urllib.request.urlopen(urllib.request.Request(request, headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, "
                             "SignedHeaders=host, Signature=x"}), timeout=30) as reply:
        keys = re.findall(r"<Key>([^<]*)</Key>", reply.read().decode())
    for name in keys:
        if "/kms/" not in name:
            continue
        headers = {k.lower(): v for k, v in object_headers(name).items()}
        found += 1
        check(headers.get("x-amz-server-side-encryption") == "aws:kms", f"{name}: {headers}")
        check(headers.get("x-amz-server-side-encryption-aws-kms-key-id") == key, f"{name}: {headers}")
    check(found >= 3, f"{found} objects: {keys}")


PROXIES = {"DELAY_ENDPOINT": ["--round-trip-ms", "20"], "RESETS_ENDPOINT": ["--reset-every", "50"]}
LIBC = ctypes.CDLL(None)


def through_proxy(url):
    """The same server, behind a proxy of the kind S3_VIA names; it dies with this process."""
    if "S3_VIA" not in os.environ:
        return url
    words = [os.path.join(os.environ["BUILD_DIR"], "tests/bin/tcp-proxy"), "--to", url.rpartition(":")[2],
             *PROXIES[os.environ["S3_VIA"]]]
    proxy = subprocess.Popen(words, stdout=subprocess.PIPE, text=True,
                             preexec_fn=lambda: LIBC.prctl(1, signal.SIGKILL, 0, 0, 0))
    PROCESSES.append(proxy)
    return url.rpartition(":")[0] + ":" + proxy.stdout.readline().split()[-1]


def with_server(base, settings, **options):
    import s3_server
    server = s3_server.start()
    for name, value in settings.items():
        setattr(server, name, value)
    options = {"endpoint": through_proxy(server.url), "access_key_id": "testak",
               "secret_access_key": "testsecret", **options}
    return server, Store(base, **options)


TEMPORARY = 8  # "transient": docs/exit-codes.md


def conflict(base, big):
    """A conflict on a commit spends the upload. What can be read again is sent again; a pipe cannot."""
    server, store = with_server(base, {})
    server.fault("complete", "status", status=409, code="ConditionalRequestConflict")
    store.must("save", "a", big)
    kinds = [e["kind"] for e in server.log]
    check(kinds.count("create") == 2 and kinds.count("complete") == 2, f"after a conflict: {kinds}")
    check(store.must("restore", "a") == content(big), "after a conflict: other bytes")
    check(not server.state()["uploads"], "after a conflict: uploads stay")

    server, store = with_server(base, {})
    server.fault("complete", "status", status=409, code="ConditionalRequestConflict")
    code, _, text = store.run("save", "a", "-", stdin=content(big))
    check(code == TEMPORARY, f"a conflict behind a pipe: {code} {text}")
    check("ConditionalRequestConflict" in text, f"a conflict behind a pipe: {text}")
    store.must_fail("no ", "restore", "a")
    check(not server.state()["uploads"], "a conflict behind a pipe: uploads stay")
    store.must("save", "a", "-", stdin=content(big))
    check(store.must("restore", "a") == content(big), "the next save behind a conflict")


def services(base):
    """What a person gets wrong, and what services do."""
    small, big = payload(base, "s-small", 500, 7), payload(base, "s-big", UPLOAD, 8)
    server, store = with_server(base, {}, secret_access_key="wrong")
    store.must_fail("check the secret key", "save", "a", small)
    server, store = with_server(base, {}, access_key_id="nobody")
    store.must_fail("access key", "save", "a", small)
    server, store = with_server(base, {}, bucket="no-such-bucket")
    store.must_fail("bucket", "save", "a", small)
    store.must_fail("bucket", "restore", "a")
    store.must_fail("bucket", "list")

    # Another region than was configured: found out once, then used.
    server, store = with_server(base, {"region": "eu-north-1"}, region="us-east-1")
    store.must("save", "a", big)
    check(store.must("restore", "a") == content(big), "in another region")

    # A clock that is 20 minutes off, either way.
    for offset in (1200, -1200):
        server, store = with_server(base, {"clock_offset_s": offset})
        store.must("save", "a", big)
        check(store.must("restore", "a") == content(big), f"with a clock {offset} s off")
        check("clock" in store.run("doctor", "s")[1].decode(), "doctor and the clock")

    # A service that does not keep its promise is refused for writing, and read.
    server, store = with_server(base, {"if_none_match": "ignore"})
    store.must_fail(".", "save", "a", small)
    check(not [k for k in server.state()["objects"]["persist-test"] if ".persist-probe" not in k],
          "something was written to a service that ignores If-None-Match")
    server, store = with_server(base, {"if_none_match": "501"})
    store.must_fail(".", "save", "a", small)

    # Repeated commits: as AWS, as MinIO, as others.
    for answer in (200, 404, 412):
        server, store = with_server(base, {"repeat_complete": answer})
        server.fault("complete", "lost")
        store.must("save", "a", big)
        check(store.must("restore", "a") == content(big), f"repeated commit answered {answer}")
        check(not server.state()["uploads"], f"repeated commit answered {answer}: uploads stay")

    conflict(base, big)

    # No checksum headers: known after the first refusal.
    for checksums in ("refuse", "ignore"):
        server, store = with_server(base, {"checksums": checksums})
        store.must("save", "a", big)
        store.must("save", "a", small)
        check(store.must("restore", "a@0") == content(big), f"checksums: {checksums}")

    # Listings that lie.
    invented = ["store/../etc", "/etc/passwd", "zzz/../../x", "a//b"]
    server, store = with_server(base, {"invented": invented, "list_plus": True, "page_max": 1})
    store.must("save", "agent/s", small)
    store.must("save", "agent/s", big)
    check(store.must("list").decode().split() == ["AGENT", "agent"], "invented keys are listed")
    check(store.must("restore", "agent/s@0") == content(small), "pages of one entry")

    # White space for some seconds before the result of a commit.
    server, store = with_server(base, {}, stall_timeout="1s")
    server.fault("complete", "whitespace", seconds=3)
    store.must("save", "a", big)

    store = Store(base, endpoint="http://192.0.2.1:9000")
    store.must_fail("allow_http", "save", "a", small)
    store = Store(base, endpoint="http://127.0.0.1:1", part_size="1M")
    store.must_fail("part_size", "save", "a", small)


def tls(base):
    """An authority made on the spot: accepted where it is named, and nowhere else."""
    import s3_server
    cert, key = os.path.join(base, "cert.pem"), os.path.join(base, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    server = s3_server.start(tls=(cert, key))
    big = payload(base, "t-big", UPLOAD, 9)
    keys = {"endpoint": server.url, "access_key_id": "testak", "secret_access_key": "testsecret"}
    store = Store(base, ca_bundle=cert, **keys)
    store.must("save", "a", big)
    check(store.must("restore", "a") == content(big), "over TLS")
    unsigned = [e for e in server.log if e["kind"] == "part"]
    check(unsigned and all(e["headers"]["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
                           and "x-amz-checksum-crc32c" in e["headers"] for e in unsigned),
          "parts over TLS carry a checksum and no hash")
    store = Store(base, **keys)
    store.must_fail("certificate", "save", "a", big)
    code, _, text = store.run("save", "a", big, env={"AWS_CA_BUNDLE": cert})
    check(code == 0, f"with AWS_CA_BUNDLE: {text}")


def main():
    base = tempfile.mkdtemp(prefix="persist-s3-")
    try:
        for name in sys.argv[1:]:
            before = len(FAILED)
            globals()[name](base)
            print(f"{'ok' if len(FAILED) == before else 'not ok'}: {name}")
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
