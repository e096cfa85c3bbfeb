#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of the bad answers that s3_faults.py does not cover: throttling, tokens that expire, redirects,
other ETags, damaged bodies, too many and too small parts, requests that are denied and not needed.

usage: s3_answers.py [NAME]...

Each test runs the command against tests/faults/s3_server.py of its own, through a proxy where S3_VIA says so (s3.py).
"""
import os
import shutil
import socket
import sys
import tempfile
import threading
import time

from s3 import FAILED, MIB, UPLOAD, check, content, payload, with_server

EXIT = {"auth": 7, "config": 9, "corrupt": 6}  # docs/exit-codes.md


def kinds(server):
    with server.lock:
        return [entry["kind"] for entry in server.log]


def throttled(base):
    """503 SlowDown: tried again, after as long as the service asks for and no earlier."""
    small, path = payload(base, "t-small", 100, 1), payload(base, "throttled", UPLOAD, 1)
    for headers, least in (({}, 0), ({"Retry-After": "2"}, 2), ({"x-amz-retry-after": "1500"}, 1.5)):
        for kind in ("put", "part", "complete", "list"):
            server, store = with_server(base, {})
            store.must("save", "first", small)  # the proof that the service keeps its promise
            server.fault(kind, "status", status=503, code="SlowDown", headers=headers)
            start = time.monotonic()
            store.must("save", "agent", path)
            took = time.monotonic() - start
            check(took >= least, f"503 to {kind} with {headers}: again after {took:.2f} s")
            check(store.must("restore", "agent") == content(path), f"503 to {kind}: other bytes")
    # Longer than there is time: said at once.
    server, store = with_server(base, {})
    server.fault("any", "status", status=503, code="SlowDown", headers={"Retry-After": "600"}, times=1000)
    start = time.monotonic()
    text = store.must_fail("SlowDown|reduce|slow", "--timeout", "60s", "save", "agent", path)
    check(time.monotonic() - start < 30, f"waited for what cannot come: {text}")


PROGRAM = """#!/bin/sh
echo x >>%(folder)s/runs
if [ "$(wc -l <%(folder)s/runs)" -le %(expired)d ]; then token=old; else token=new; fi
echo '{"Version": 1, "AccessKeyId": "'$token'ak", "SecretAccessKey": "secret", "SessionToken": "'$token'token"}'
"""


def expired(base):
    """A token that S3 says has expired is renewed once and the request sent again; a second no is final."""
    path = payload(base, "expired", 100, 2)
    for bad, works in ((1, True), (100, False)):
        server, store = with_server(base, {}, access_key_id=None, secret_access_key=None, profile="p")
        server.keys["oldak"] = ["secret", "oldtoken", server.now() - 60]
        server.keys["newak"] = ["secret", "newtoken", server.now() + 3600]
        program = os.path.join(store.folder, "program")
        with open(program, "w", encoding="utf-8") as f:
            f.write(PROGRAM % {"folder": store.folder, "expired": bad})
        os.chmod(program, 0o700)
        config = os.path.join(store.folder, "aws-config")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"[profile p]\ncredential_process = {program}\n")
        store.env["AWS_CONFIG_FILE"] = config
        code, _, text = store.run("save", "agent", path)
        statuses = [e["status"] for e in server.log]
        if works:
            check(code == 0, f"with a renewed token: {text}")
            check(statuses.count(400) == 1, f"with a renewed token: {statuses}")
        else:
            check(code == EXIT["auth"] and "ExpiredToken" in text and "log in" in text, f"expired: {code} {text}")
            check("hint: persist doctor s shows" in text, f"expired: where to look: {text}")
            check(statuses == [400, 400], f"an expired token was sent {statuses}")


class Elsewhere(threading.Thread):
    """Counts who comes: nobody may."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.url = f"{self.host}/persist-test"
        self.came = 0
        self.start()

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            self.came += 1
            connection.close()


def redirected(base):
    """Another host is never asked, with keys or without, whatever kind of redirect names it. S3's own passes, and is
    repeated; of any other it is told where it leads."""
    path = payload(base, "redirected", UPLOAD, 3)
    elsewhere = Elsewhere()
    for status in (301, 302, 303, 307, 308):
        server, store = with_server(base, {})
        store.must("save", "there", path)
        for verb in (["save", "agent", path], ["restore", "there"], ["list"], ["delete", "there@0"]):
            server.fault("any", "proxy", status=status, headers={"Location": elsewhere.url}, times=100000)
            code, _, text = store.run("--timeout", "60s", *verb)
            server.clear()
            check(code == EXIT["config"], f"{status} to {verb[0]}: {code} {text}")
            check(f"redirects to {elsewhere.host}," in text, f"{status} to {verb[0]}: {text}")
    server, store = with_server(base, {})
    server.fault("any", "redirect", location=elsewhere.url, times=100000)
    store.must_fail("re-send", "--timeout", "5s", "list")
    check(len(kinds(server)) > 1, "S3's own redirect was not repeated")
    check(elsewhere.came == 0, f"{elsewhere.came} connections followed a redirect")


def damaged(base):
    """A body that is not what was stored: never given out as if it were, never taken for absence."""
    for size in (4096, UPLOAD):
        path = payload(base, "damaged", size, 4)
        server, store = with_server(base, {})
        store.must("save", "agent", path)
        before = len(kinds(server))
        check(store.must("restore", "agent@0") == content(path), "before the damage")
        gets = kinds(server)[before:].count("get")
        for what, more in (("corrupt", {}), ("corrupt", {"at": 0}), ("short", {}), ("wrong_etag", {}),
                           ("wrong_checksum", {}), ("whole", {})):
            for nth in range(1, gets + 1):
                target = os.path.join(base, "restored")
                server.fault("get", what, nth=nth, times=1, **more)
                code, _, text = store.run("--timeout", "120s", "restore", "agent@0", "-o", target)
                server.clear()
                name = f"{size} bytes, {what} {more} in read {nth} of {gets}"
                if code == 0:
                    check(content(target) == content(path), f"{name}: other bytes")
                    os.unlink(target)
                    continue
                check(not os.path.exists(target), f"{name}: a file is left")
                check(not text or "no snapshot" not in text, f"{name}: taken for absence: {text}")
                check(what != "corrupt", f"{name}, and none in the next one: exit code {code}: {text}")


def damaged_on_the_way(base):
    """What was read with damage is read once more, on a new connection; what is damaged then too is corrupt."""
    for size, limit in ((4096, "256M"), (UPLOAD, "256M"), (UPLOAD, "24M")):
        path = payload(base, "way", size, 5)
        server, store = with_server(base, {})
        store.must("save", "agent", path)
        for verb in (["restore", "agent@0"], ["verify", "agent@0"]):
            again = 0
            words = ["--memory-limit", limit, *verb]
            server.clear()
            want = store.must(*words)
            gets = kinds(server).count("get")
            for nth in range(1, gets + 1):
                name = f"{size} bytes within {limit}, {verb[0]}, damage in read {nth} of {gets}"
                server.fault("get", "corrupt", nth=nth)
                code, out, text = store.run(*words)
                reads, links = kinds(server).count("get"), server.connections
                server.clear()
                check(code == 0 and out == want, f"{name}: exit code {code}, other bytes: {text}")
                # Some reads reach further than what is looked at.
                check(("read once more" in text) == (reads > gets), f"{name}: {reads} reads: {text}")
                check(reads == gets or links > 1, f"{name}: on {links} connections")
                again += reads > gets
            check(again >= (gets + 1) // 2, f"{name}: only {again} times read again")
            server.fault("get", "corrupt", times=1000)
            code, _, text = store.run(*words)
            reads = kinds(server).count("get")
            server.clear()
            check(code == EXIT["corrupt"], f"{name}, and in all others: exit code {code}: {text}")
            check(reads <= 2 * gets + 2, f"{name}, and in all others: {reads} reads: {text}")


def other_etags(base):
    """ETags are the service's own affair when written, and what pins a version when read."""
    path = payload(base, "etags", UPLOAD, 5)
    for kind in ("put", "complete"):
        server, store = with_server(base, {})
        server.fault(kind, "wrong_etag", times=100)
        store.must("save", "agent", path)
        server.clear()
        check(store.must("restore", "agent") == content(path), f"{kind} told another ETag")
    # Of a part it is what the commit has to name: the service refuses it, and nothing stays.
    server, store = with_server(base, {})
    server.fault("part", "wrong_etag", nth=1)
    store.must_fail("InvalidPart", "--timeout", "60s", "save", "agent", path)
    check(not server.state()["uploads"], "a part with another ETag: uploads stay")


def too_many_parts(base):
    """What cannot fit into 10,000 parts is refused before anything is written."""
    server, store = with_server(base, {}, part_size="5M")
    path = os.path.join(base, "sparse")
    with open(path, "wb") as f:
        f.truncate(60 << 30)
    code, _, text = store.run("save", "agent", path)
    check(code == 2 and "at most 48.8 GiB" in text, f"60 GiB in parts of 5 MiB: {code} {text}")
    written = [k for k in kinds(server) if k in ("part", "create", "complete")]
    check(not written, f"60 GiB in parts of 5 MiB: {written}")
    check(not server.state()["uploads"], "60 GiB in parts of 5 MiB: uploads stay")


def small_parts(base):
    """A service with a larger least size than S3's says so at the commit."""
    path = payload(base, "parts", 12 * MIB, 6)
    server, store = with_server(base, {"part_min": 6 * MIB}, part_size="5M")
    store.must_fail("EntityTooSmall|smaller than the minimum", "save", "agent", path)
    check(not server.state()["uploads"], "too small parts: uploads stay")
    server, store = with_server(base, {"part_min": 6 * MIB}, part_size="6M")
    store.must("save", "agent", path)


def bucket_denied(base):
    """Looking at the bucket itself is never needed."""
    small, big = payload(base, "b-small", 100, 7), payload(base, "b-big", UPLOAD, 8)
    server, store = with_server(base, {})
    server.fault("bucket", "status", status=403, code="AccessDenied", times=1000000)
    store.must_fail("no ", "restore", "agent")
    for path in (small, big):
        store.must("save", "agent", path)
        check(store.must("restore", "agent") == content(path), "without looking at the bucket")
    store.must("list")
    store.must("verify", "agent@1")
    store.must("delete", "agent@0")
    store.must("cleanup", "--dry-run")


def main():
    base = tempfile.mkdtemp(prefix="persist-s3-answers-")
    names = sys.argv[1:] or ["throttled", "expired", "redirected", "damaged", "damaged_on_the_way", "other_etags", "too_many_parts",
                             "small_parts", "bucket_denied"]
    try:
        for name in names:
            before = len(FAILED)
            globals()[name](base)
            print(f"{'ok' if len(FAILED) == before else 'not ok'}: {name}", flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
