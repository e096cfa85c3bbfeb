#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every request of an upload and a download fails, once and for good, in 12 ways, for snapshots
of one request and of a resumable upload (line 12 of the bar): what is acknowledged is there,
complete and equal; no upload stays open; the deadline is kept; 403 is not repeated.

The long form (PERSIST_LONG) takes every combination; the short one every request and way once,
"once" and "for good" by turns.
"""
import os
import subprocess
import sys
import tempfile
import time

import gcs_server
from asked import identity

HERE = os.path.dirname(os.path.abspath(__file__))
PERSIST = os.environ["PERSIST"]
M = 1 << 20
DEADLINE_S = 3

WAYS = (("reset", {}), ("reset_body", {}), ("status", {"status": 500}),
        ("status", {"status": 503, "headers": {"Retry-After": "1"}}),
        ("status", {"status": 403, "reason": "forbidden"}),
        ("status", {"status": 307, "headers": {"Location": "http://127.0.0.1:1/"}}),
        ("garbage", {}), ("lost", {}), ("truncated", {}), ("body_reset", {}),
        ("stall", {"seconds": 10}), ("corrupt", {}))
SMALL, LARGE = b"small" * 1000, os.urandom(10 * M)
failures = 0


def check(name, good, detail=""):
    global failures
    if not good:
        failures += 1
        print(f"not ok {name}: {detail!r}")


class Run:
    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.env.update(HOME=folder, PERSIST_BACKEND_DIR=os.environ["BACKENDS"])
        self.env.pop("XDG_STATE_HOME", None)
        self.config = os.path.join(folder, "persist.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"[store cloud]\nbackend = gcs\nbucket = bucket\nendpoint = {server.url}\n"
                    "anonymous = true\nchunk_size = 4M\nstall_timeout = 500ms\n")
        os.chmod(self.config, 0o600)

    def persist(self, *words, data=None):
        begin = time.monotonic()
        done = subprocess.run(
            [PERSIST, "-c", self.config, "--timeout", f"{DEADLINE_S}s", *words], input=data,
            env=self.env, capture_output=True, check=False, timeout=120)
        return done, time.monotonic() - begin

    def source(self, payload):
        path = os.path.join(self.folder, f"source-{len(payload)}")
        if not os.path.exists(path):
            with open(path, "wb") as f:
                f.write(payload)
        return path


def requests_of(run, words, setup):
    """How many requests of each kind an undisturbed run makes."""
    run.server.buckets["bucket"].clear()
    setup()
    run.server.clear()
    done, _ = run.persist(*words)
    assert done.returncode == 0, done.stderr
    counts = {}
    for entry in run.server.log:
        counts[entry["kind"]] = counts.get(entry["kind"], 0) + 1
    return sorted(counts.items())


def one(run, name, payload, words, setup, fault, is_save):
    kind, nth, what, more, for_good = fault
    server = run.server
    server.buckets["bucket"].clear()
    server.sessions.clear()
    setup()
    server.clear()
    server.fault(kind, what, nth=nth, times=10 ** 6 if for_good else 1, **more)
    done, took = run.persist(*words)
    asked = [identity(entry) for entry in server.of_kind(kind)]
    server.clear()
    check(name, took < DEADLINE_S + 45, f"took {took:.1f} s")
    if more.get("status") == 403:
        # Reads run side by side: another may be out when one is denied.
        alone = len(asked) == len(set(asked)) if kind == "read" else len(asked) <= nth
        check(name, alone, f"403 was repeated: {asked}")
        check(name, done.returncode != 0, "403 went unnoticed")
    if done.returncode == 0:
        out = os.path.join(run.folder, "out")
        back, _ = run.persist("restore", "w/x", "-o", out, "--overwrite") if is_save else (done, 0)
        with open(out, "rb") as f:
            check(name, back.returncode == 0 and f.read() == payload, back.stderr)
    elif not for_good and what in ("reset", "lost", "reset_body", "truncated") and \
            kind not in ("cancel",):
        check(name, False, f"one {what} was too much: {done.stderr[-300:]!r}")
    if is_save and kind != "cancel":
        open_sessions = [s for s in server.sessions.values()
                         if not s.finished and not s.cancelled]
        told = b"upload" in done.stderr
        check(name, not open_sessions or told or what == "lost" and kind == "start" or
              kind == "start", f"{len(open_sessions)} uploads left open and not told")


def campaign(run, payload, is_save, long_form, turn):
    source = run.source(payload)
    out = os.path.join(run.folder, "out")

    def nothing():
        pass

    def save_first():
        done, _ = run.persist("save", "w/x", source)
        assert done.returncode == 0, done.stderr

    words = ("save", "w/x", source) if is_save else ("restore", "w/x", "-o", out, "--overwrite")
    setup = nothing if is_save else save_first
    count = 0
    for kind, n in requests_of(run, words, setup):
        for nth in range(1, n + 1) if long_form else sorted({1, n}):
            for what, more in WAYS:
                turn += 1
                for for_good in (False, True) if long_form else (turn % 3 == 0,):
                    label = f"{'save' if is_save else 'restore'} {len(payload)} {kind} {nth} " \
                            f"{what} {more.get('status', '')} {'always' if for_good else 'once'}"
                    one(run, label, payload, words, setup, (kind, nth, what, more, for_good),
                        is_save)
                    count += 1
    return count, turn


def main():
    long_form = "PERSIST_LONG" in os.environ
    turn = total = 0
    server = gcs_server.start()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder, server)
        for payload in (SMALL, LARGE):
            for is_save in (True, False):
                count, turn = campaign(run, payload, is_save, long_form, turn)
                total += count
    server.stop_stalls.set()
    print(f"{total - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
