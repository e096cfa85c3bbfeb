#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills or fails the command at every system call it makes.

usage: syscalls.py kill new|append|overwrite|folder|delete|long|batch
       syscalls.py faults
       syscalls.py short

kill    SIGKILL before the n-th call of every name, for all (name, n).
faults  every (name, n) of the calls that touch the store x EIO ENOSPC EDQUOT
        EINTR EACCES EMFILE EROFS ENOSYS, as an ordinary user where possible.
short   short and interrupted writes everywhere.

Invariants: what was there before is there and equal; the new snapshot is
complete or absent; what was acknowledged is there; a failed save says so in one
line, leaves no temporary and syncs no descriptor twice after a failed sync.
"""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

PERSIST = os.environ["PERSIST"]
BACKENDS = os.environ["BACKENDS"]
BUILD = os.environ["BUILD_DIR"]
SOURCE = os.environ["SOURCE_DIR"]
LONG = bool(os.environ.get("PERSIST_LONG"))
OLD = b"old state\n" * 300
NEW = b"new state\n" * 500
# Longer than the 8 MiB a single put holds: goes through claim and upload.
BIG = os.urandom(1 << 20) * 9
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EACCES", "EMFILE", "EROFS",
          "ENOSYS")
STORE_CALLS = {
    "openat2", "mkdirat", "write", "pwrite64", "fsync", "fdatasync", "linkat",
    "renameat", "renameat2", "unlinkat", "fallocate", "ftruncate", "fchmod",
    "getdents64", "flock", "sync_file_range", "statx", "fcntl",
}


class Store:
    """One store in a folder of its own, and the command on it."""

    def __init__(self, base, user=None):
        self.folder = tempfile.mkdtemp(dir=base)
        self.root = os.path.join(self.folder, "store")
        os.mkdir(self.root)
        os.chmod(self.folder, 0o755)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder,
                    "PERSIST_BACKEND_DIR": BACKENDS}
        self.program = PERSIST
        if user is not None:
            reachable = os.path.join(base, "reachable")
            self.program = os.path.join(reachable, "bin", "persist")
            self.env["LD_LIBRARY_PATH"] = os.path.join(reachable, "lib")
            self.env["PERSIST_BACKEND_DIR"] = os.path.join(reachable,
                                                           "backends")
        self.config = os.path.join(self.folder, "persist.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"[store main]\nbackend = local\nroot = {self.root}\n")
        os.chmod(self.config, 0o644)

    def command(self, *arguments):
        return [self.program, "-c", self.config, *arguments]

    def run(self, *arguments, stdin=b"", extra=None):
        return self.run_command(self.command(*arguments), stdin, extra=extra)

    def run_command(self, command, stdin=b"", extra=None, user=None):
        env = dict(self.env, **(extra or {}))
        return subprocess.run(command, input=stdin, capture_output=True,
                              env=env, user=user, timeout=60, check=False)

    def must(self, *arguments, stdin=b""):
        result = self.run(*arguments, stdin=stdin)
        if result.returncode != 0:
            raise AssertionError(f"{arguments}: {result.returncode} "
                                 f"{result.stderr.decode()}")
        return result.stdout

    def restore(self, address):
        """The payload, or None where there is no such snapshot."""
        result = self.run("restore", address)
        if result.returncode == 4:
            return None
        if result.returncode != 0:
            raise AssertionError(f"restore {address}: {result.returncode} "
                                 f"{result.stderr.decode()}")
        return result.stdout

    def temporaries(self):
        return [os.path.join(folder, name)
                for folder, _, names in os.walk(self.root)
                for name in names if name.startswith(".persist-tmp")]

    def give_to(self, uid):
        for folder, _, names in os.walk(self.folder):
            os.chown(folder, uid, uid)
            for name in names:
                os.chown(os.path.join(folder, name), uid, uid)

    def remove(self):
        shutil.rmtree(self.folder)


class Scenario:
    """What stands in the store before, the command, and what may stand after."""

    def __init__(self, kind):
        self.kind = kind

    def prepare(self, store):
        if self.kind in ("append", "delete", "long", "overwrite", "batch"):
            store.must("save", "writer", "-", stdin=OLD)
        if self.kind == "batch":
            self.payload = os.path.join(store.folder, "payload")
            with open(self.payload, "wb") as f:
                f.write(NEW)
        if self.kind == "folder":
            store.must("save", "other/line", "-", stdin=OLD)
        if self.kind == "overwrite":
            self.target = os.path.join(store.folder, "target")
            with open(self.target, "wb") as f:
                f.write(NEW)

    def arguments(self):
        if self.kind == "delete":
            return ["delete", "writer@0"]
        if self.kind == "overwrite":
            return ["restore", "writer", "-o", self.target, "--overwrite"]
        return ["save", "writer", "-"]

    def command(self, store):
        """A batch has no verb of the command: a program of its own."""
        if self.kind == "batch":
            return [os.path.join(BUILD, "tests", "crash_batch"), store.config,
                    store.env["PERSIST_BACKEND_DIR"], self.payload]
        return store.command(*self.arguments())

    def stdin(self):
        return BIG if self.kind == "long" else NEW

    def check(self, store, result):
        acknowledged = result.returncode == 0
        if self.kind == "overwrite":
            with open(self.target, "rb") as f:
                content = f.read()
            assert content in (OLD, NEW), "the target is neither old nor new"
            assert not acknowledged or content == OLD, "acknowledged, not there"
        elif self.kind == "delete":
            content = store.restore("writer@0")
            assert content in (OLD, None), "neither there nor gone"
            assert not acknowledged or content is None, "deleted, still there"
        elif self.kind == "batch":
            self.check_batch(store, result, acknowledged)
        else:
            self.check_save(store, result, acknowledged)

    def check_batch(self, store, result, acknowledged):
        """Each item by itself: complete or absent, and there if acknowledged."""
        assert store.restore("writer@0") == OLD, "writer@0 was harmed"
        told = result.stdout.decode().split()
        assert not acknowledged or len(told) == 6, "acknowledged in part"
        found = set()
        for session, first in (("writer/default", 1), ("other/line", 0)):
            for index in range(first, first + 3):
                content = store.restore(f"{session}@{index}")
                assert content in (NEW, None), "a part of a snapshot"
                if content is not None:
                    found.add(f"{session}@{index}")
            after = store.must("save", session, "-", stdin=OLD).decode().strip()
            assert after not in found, "index reused"
        assert set(told) <= found, "acknowledged, not there"

    def check_save(self, store, result, acknowledged):
        expected = {}
        if self.kind == "folder":
            expected["other/line@0"] = OLD
        if self.kind in ("append", "long"):
            expected["writer@0"] = OLD
        for address, payload in expected.items():
            assert store.restore(address) == payload, f"{address} was harmed"
        index = 1 if self.kind in ("append", "long") else 0
        content = store.restore(f"writer@{index}")
        assert content in (self.stdin(), None), "a part of a snapshot"
        if acknowledged or b"writer/default@" in result.stdout:
            assert content == self.stdin(), "acknowledged, not there"
        # The next save always works and never reuses the index.
        after = store.must("save", "writer", "-", stdin=OLD).decode()
        assert content is None or f"@{index}\n" not in after, "index reused"

    def check_rest(self, store):
        store.must("cleanup", "--older-than", "1ms")
        assert not store.temporaries(), "cleanup left a temporary"


def strace_available():
    return subprocess.run(["strace", "-o", "/dev/null", "true"],
                          capture_output=True, check=False).returncode == 0


def calls_of(scenario, base):
    """Every (name, n) of one undisturbed run."""
    store = Store(base)
    scenario.prepare(store)
    log = os.path.join(store.folder, "trace")
    result = store.run_command(["strace", "-f", "-qq", "-o", log,
                                *scenario.command(store)], scenario.stdin())
    assert result.returncode == 0, result.stderr.decode()
    counts = collections.Counter()
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            match = re.match(r"\d+\s+(\w+)\(", line)
            if match:
                counts[match.group(1)] += 1
    store.remove()
    counts.pop("execve", None)
    return counts


def inject(scenario, base, what, user=None):
    store = Store(base, user)
    scenario.prepare(store)
    if user is not None:
        store.give_to(user)
    log = os.path.join(store.folder, "trace")
    name = what.split(":")[0]
    before = ["strace", "-f", "-qq", "-o", log, "-e", f"trace={name},fsync",
              "-e", f"inject={what}"]
    result = store.run_command([*before, *scenario.command(store)],
                               scenario.stdin(), user=user)
    return store, result, log


def kill(kind):
    scenario = Scenario(kind)
    runs = killed = needed = spared = 0
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        counts = calls_of(scenario, base)
        for name, total in sorted(counts.items()):
            for n in range(1, total + 1):
                if not LONG and total > 60 and n % (total // 30) != 0:
                    continue
                store, result, _ = inject(scenario, base,
                                          f"{name}:signal=KILL:when={n}")
                runs += 1
                killed += result.returncode != 0
                # How many others there are (of reads of a pipe, of what starts
                # a thread) hangs on what else the machine does: a run with
                # fewer than the counted one is not killed.
                if name in STORE_CALLS:
                    needed += 1
                    spared += result.returncode == 0
                try:
                    scenario.check(store, result)
                    scenario.check_rest(store)
                except AssertionError as error:
                    sys.exit(f"kill {kind} at {name} {n}: {error}")
                store.remove()
    print(f"kill {kind}: {runs} runs, {killed} killed, 0 violations")
    if spared > needed // 5 or killed < runs // 2:
        sys.exit(f"too few runs were killed: of {needed} that had to be "
                 f"{spared} were not")


def second_sync(log):
    """A descriptor synced again after its sync failed, or None."""
    failed = set()
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            match = re.search(r"f(?:data)?sync\((\d+)\)\s+= (-?\d+)", line)
            if match and match.group(1) in failed:
                return match.group(1)
            if match and match.group(2) != "0":
                failed.add(match.group(1))
            closed = re.search(r"\bclose\((\d+)\)", line)
            if closed:
                failed.discard(closed.group(1))
    return None


def check_fault(scenario, store, result, log, error):
    text = result.stderr.decode(errors="replace")
    assert result.returncode >= 0, f"died of signal {-result.returncode}"
    assert "Sanitizer" not in text, text
    if result.returncode != 0:
        lines = [x for x in text.splitlines() if x.startswith("persist")]
        assert len(lines) == 1, f"not one error line: {text!r}"
        assert not store.temporaries(), "a temporary was left"
    scenario.check(store, result)
    assert "fsync" not in log or second_sync(log) is None, "synced twice"
    assert result.returncode not in (4, 6), f"{error} read as {text!r}"


def faults():
    user = 65534 if os.getuid() == 0 else None
    runs = failures = 0
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        if user is not None:
            subprocess.run([os.path.join(SOURCE, "tests/support/reachable.sh"),
                            os.path.join(base, "reachable")], check=True)
        for kind in ("new", "append", "delete"):
            scenario = Scenario(kind)
            for name, total in sorted(calls_of(scenario, base).items()):
                if name not in STORE_CALLS:
                    continue
                for n in range(1, total + 1):
                    for error in ERRORS:
                        what = f"{name}:error={error}:when={n}"
                        store, result, log = inject(scenario, base, what, user)
                        runs += 1
                        failures += result.returncode != 0
                        try:
                            check_fault(scenario, store, result, log, error)
                        except AssertionError as why:
                            sys.exit(f"fault {kind} {what}: {why}")
                        store.remove()
    print(f"faults: {runs} runs, {failures} failed saves, 0 violations")
    if runs < 400:
        sys.exit("fewer than 400 runs")


def short():
    shim = os.path.join(BUILD, "tests", "shim.so")
    with tempfile.TemporaryDirectory() as base:
        for payload in (b"", b"x", OLD, BIG):
            store = Store(base)
            extra = {"LD_PRELOAD": shim}
            saved = store.run("save", "writer", "-", stdin=payload, extra=extra)
            assert saved.returncode == 0, saved.stderr.decode()
            target = os.path.join(store.folder, "out")
            restored = store.run("restore", "writer", "-o", target, extra=extra)
            assert restored.returncode == 0, restored.stderr.decode()
            with open(target, "rb") as f:
                assert f.read() == payload, "short writes changed the bytes"
            store.must("verify", "writer")
            store.remove()
    print("short writes: 4 payloads equal")


def main():
    if sys.argv[1] != "short":
        if not shutil.which("strace") or not strace_available():
            print("strace cannot trace here")
            sys.exit(77)
    if sys.argv[1] == "kill":
        kill(sys.argv[2])
    elif sys.argv[1] == "faults":
        faults()
    elif os.environ.get("SANITIZE"):
        print("a sanitizer runtime does not share a process with the shim")
        sys.exit(77)
    else:
        short()


if __name__ == "__main__":
    main()
