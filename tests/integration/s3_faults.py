#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every request of saving to and restoring from S3 fails, once and for good, in twelve ways.

usage: s3_faults.py [--long] [--only TEXT]

A store that fails as it is told to (tests/faults/s3_server.py) stands for the service. A clean run tells
which requests an operation makes; then one run for each of them and each fault. What must hold:

    acknowledged means complete and equal, as a run without faults reads it
    not acknowledged means absent, or complete and equal (the answer was lost), never anything else
    no upload stays open (but one whose beginning was answered for the last time by a broken reply)
    what one repetition cures is cured: the operation succeeds
    a deadline is kept; a 403 is not repeated
    a restore that fails leaves no file

The short form leaves out some of the runs that fail for good, which take their whole time limit.
"""
import argparse
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "faults"))
import s3_server  # noqa: E402
from asked import identity  # noqa: E402

FOREVER = 1000000
LIMIT_S = 3
CURED_S = 120  # for what ends by itself
MARGIN_S = 20  # 5 for what a save does after its end, 15 for a loaded machine
WORKERS = 3

# name -> (what, more, cured by one repetition?)
FAULTS = {
    "reset-head": ("reset", {}, True),
    "reset-body": ("reset_body", {}, True),
    "500": ("status", {"status": 500, "code": "InternalError"}, True),
    "503-retry-after": ("status", {"status": 503, "code": "SlowDown",
                                   "headers": {"Retry-After": "0"}}, True),
    "403": ("status", {"status": 403, "code": "AccessDenied"}, False),
    "307": ("redirect", {"location": "http://127.0.0.1:1/elsewhere"}, True),
    "error-in-200": ("error_in_200", {"code": "InternalError"}, None),
    "lost": ("lost", {}, True),
    "truncated": ("truncated", {}, True),
    "garbage": ("garbage", {}, None),
    "stall": ("stall", {}, True),
    "wrong-checksum": ("wrong_checksum", {}, None),
}
SHORT_FOR_GOOD = {"reset-head", "503-retry-after", "403", "lost", "garbage"}


class World:
    """One server and one configuration: what a worker thread works with."""

    def __init__(self, folder, small, big):
        self.server = s3_server.start()
        self.folder = folder
        self.payloads = {"single": small, "multi": big}
        self.n = 0
        self.conf = os.path.join(folder, "persist.conf")
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(f"[store s]\nbackend = s3\nbucket = persist-test\nprefix = x\n"
                    f"endpoint = {self.server.url}\naccess_key_id = testak\n"
                    "secret_access_key = testsecret\npart_size = 5M\nstall_timeout = 400ms\n")
        os.chmod(self.conf, 0o600)
        self.prepared = {}

    def persist(self, *words, state="state"):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "XDG_"))}
        env.update(XDG_STATE_HOME=os.path.join(self.folder, state), HOME=self.folder,
                   XDG_CONFIG_HOME=self.folder, AWS_EC2_METADATA_DISABLED="true",
                   AWS_REGION="us-east-1")
        start = time.monotonic()
        done = subprocess.run([os.environ["PERSIST"], "--backend-dir", os.environ["BACKENDS"],
                               "--config", self.conf, *words],
                              capture_output=True, env=env, check=False)
        return done.returncode, done.stderr.decode(errors="replace"), time.monotonic() - start

    def fresh(self):
        self.n += 1
        return f"agent/s{self.n}"

    def save(self, kind, address, limit=None):
        more = ["--timeout", f"{limit}s"] if limit else []
        # A state of its own: the proof that the service keeps its promise is part of the run.
        return self.persist("--store", "s", *more, "save", address, self.payloads[kind],
                            state=f"state{self.n}")

    def restore(self, address, target, limit=None):
        more = ["--timeout", f"{limit}s"] if limit else []
        return self.persist("--store", "s", *more, "restore", address, "--output", target)

    def requests(self):
        with self.server.lock:
            return list(self.server.log)


def same(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        return f.read() == g.read()


def is_absent(code, text):
    return code != 0 and ("no snapshot" in text or "not found" in text or "no session" in text
                          or "nothing" in text or "no agent" in text)


def check_reads(world, kind, address, code):
    """What a run without faults finds behind the save that ended with code."""
    target = os.path.join(world.folder, "check")
    found, text, _ = world.restore(address, target)
    try:
        if found == 0:
            return None if same(target, world.payloads[kind]) else "other bytes than were saved"
        if code == 0:
            return f"acknowledged, and not there: {text}"
        return None if is_absent(found, text) else f"neither there nor absent: {text}"
    finally:
        if os.path.exists(target):
            os.unlink(target)


def check_uploads(world, request, what, for_good):
    open_uploads = world.server.state()["uploads"]
    allowed = 1 if for_good and request["kind"] == "create" and what in s3_server.APPLIED else 0
    if for_good and request["kind"] == "abort":
        allowed = 1
    return f"uploads stay open: {open_uploads}" if len(open_uploads) > allowed else None


def check_denied(world, request):
    """The request that was answered with 403 is not sent again."""
    entries = [e for e in world.requests() if e["kind"] == request["kind"]]
    denied = [i for i, e in enumerate(entries) if e.get("status") == 403]
    if not denied:
        return None
    first = identity(entries[denied[0]])
    again = [e for e in entries[denied[0] + 1:] if identity(e) == first]
    return f"sent again after 403: {first}" if again else None


def plan(world, request, name, for_good):
    what, more, _ = FAULTS[name]
    world.server.clear()
    with world.server.lock:
        world.server.log.clear()
    world.server.fault(request["kind"], what, nth=request["nth"],
                       times=FOREVER if for_good else 1, **more)


def is_patient(request, name):
    """A commit may think in silence for as long as it is given."""
    return request["kind"] == "complete" and name == "stall"


def run_save(world, kind, request, name, for_good):
    what, _, cured = FAULTS[name]
    address = world.fresh()
    plan(world, request, name, for_good)
    limit = LIMIT_S if for_good or is_patient(request, name) else CURED_S
    code, text, took = world.save(kind, address, limit)
    problems = [check_denied(world, request) if name == "403" else None,
                check_uploads(world, request, what, for_good)]
    world.server.clear()
    problems.append(check_reads(world, kind, address, code))
    if took > limit + MARGIN_S:
        problems.append(f"took {took:.1f} s")
    if cured and not for_good and not is_patient(request, name) and code != 0:
        problems.append(f"was not cured: {text}")
    with world.server.lock:
        for upload in list(world.server.uploads):
            world.server.uploads.pop(upload)
    return [p for p in problems if p], text


def run_restore(world, kind, request, name, for_good):
    _, _, cured = FAULTS[name]
    target = os.path.join(world.folder, "restored")
    limit = LIMIT_S if for_good else CURED_S
    plan(world, request, name, for_good)
    code, text, took = world.restore(world.prepared[kind], target, limit)
    world.server.clear()
    problems = [check_denied(world, request) if name == "403" else None]
    if code == 0 and not same(target, world.payloads[kind]):
        problems.append("restored other bytes")
    if code != 0 and os.path.exists(target):
        problems.append("a failed restore left a file")
    if code != 0 and is_absent(code, text) and "corrupt" not in text:
        problems.append(f"a fault was taken for absence: {text}")
    if took > limit + MARGIN_S:
        problems.append(f"took {took:.1f} s")
    if cured and not for_good and code != 0:
        problems.append(f"was not cured: {text}")
    if os.path.exists(target):
        os.unlink(target)
    return [p for p in problems if p], text


def count(world):
    """The requests of one clean run, each with its number among those of its kind."""
    seen, requests = {}, []
    for entry in world.requests():
        seen[entry["kind"]] = seen.get(entry["kind"], 0) + 1
        requests.append({"kind": entry["kind"], "nth": seen[entry["kind"]]})
    return requests


def prepare(world):
    """Clean runs; the requests of each operation."""
    found = {}
    for kind in ("single", "multi"):
        address = world.fresh()
        with world.server.lock:
            world.server.log.clear()
        code, text, _ = world.save(kind, address)
        if code != 0:
            sys.exit(f"s3_faults: a save without faults failed: {text}")
        found["save", kind] = count(world)
        world.prepared[kind] = address
        with world.server.lock:
            world.server.log.clear()
        target = os.path.join(world.folder, "clean")
        code, text, _ = world.restore(address, target)
        if code != 0 or not same(target, world.payloads[kind]):
            sys.exit(f"s3_faults: a restore without faults failed: {text}")
        os.unlink(target)
        found["restore", kind] = count(world)
    return found


def cases_of(found, is_long):
    for (verb, kind), requests in found.items():
        for request in requests:
            for name in FAULTS:
                yield verb, kind, request, name, False
                if is_long or (name in SHORT_FOR_GOOD and request["nth"] == 1):
                    yield verb, kind, request, name, True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true", default="PERSIST_LONG" in os.environ)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    base = tempfile.mkdtemp(prefix="persist-s3-faults-")
    try:
        small, big = os.path.join(base, "small"), os.path.join(base, "big")
        random.seed(1)
        with open(small, "wb") as f:
            f.write(random.randbytes(4096))
        with open(big, "wb") as f:
            f.write(random.randbytes((10 << 20) + 65536))  # two parts of 5 MiB, and a last one
        sys.exit(sweep(base, small, big, options))
    finally:
        shutil.rmtree(base, ignore_errors=True)


def sweep(base, small, big, options):
    local = threading.local()
    worlds = []
    lock = threading.Lock()

    def world_of_thread():
        if not hasattr(local, "world"):
            with lock:
                folder = os.path.join(base, f"w{len(worlds)}")
                os.mkdir(folder)
                local.world = World(folder, small, big)
                worlds.append(local.world)
            local.requests = prepare(local.world)
        return local.world

    def run(case):
        verb, kind, request, name, for_good = case
        world = world_of_thread()
        function = run_save if verb == "save" else run_restore
        problems, text = function(world, kind, request, name, for_good)
        title = (f"{verb} {kind}: {request['kind']} {request['nth']}, {name} "
                 f"{'for good' if for_good else 'once'}")
        return [f"{title}: {p}\n    {text.strip()}" for p in problems]

    folder = os.path.join(base, "first")
    os.mkdir(folder)
    found = prepare(World(folder, small, big))
    cases = [c for c in cases_of(found, options.long)
             if options.only in f"{c[0]} {c[1]} {c[2]['kind']} {c[2]['nth']} {c[3]} {c[4]}"]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(run, cases))
    bad = [line for lines in results for line in lines]
    for line in bad:
        print(line)
    for (verb, kind), requests in found.items():
        print(f"{verb} {kind}: {len(requests)} requests: "
              + " ".join(r["kind"] for r in requests))
    print(f"s3_faults: {len(cases)} runs, {len(bad)} violations")
    return 1 if bad or not cases else 0


main()
