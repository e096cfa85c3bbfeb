#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The metrics file, as many short-lived processes write it."""
import collections
import fcntl
import json
import os
import re
import stat
import subprocess
import tempfile

PERSIST = os.environ["PERSIST"]
FULL_KEY = re.compile(r"(writer|a\d+)/default")
failures = 0


def check(name, good, detail=""):
    global failures
    print(("ok - " if good else "not ok - ") + name)
    if not good:
        failures += 1
        print(f"#   {detail!r}")


class Place:
    def __init__(self, work):
        self.work = work
        self.dir = os.path.join(work, "collector")
        self.file = os.path.join(self.dir, "persist.prom")
        self.config = os.path.join(work, "persist.conf")
        os.mkdir(self.dir)
        os.mkdir(os.path.join(work, "store"))
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"[persist]\nmetrics_textfile = {self.file}\n"
                    f"[store main]\nbackend = local\nroot = {work}/store\n")
        self.env = dict(os.environ, PERSIST_BACKEND_DIR=os.environ["BACKENDS"])

    def start(self, *words, **how):
        return subprocess.Popen([PERSIST, "-c", self.config, *words],
                                env=self.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **how)

    def run(self, *words, data=b"x"):
        process = self.start(*words, stdin=subprocess.PIPE)
        out, err = process.communicate(data)
        return process.returncode, out.decode(), err.decode()

    def read(self):
        with open(self.file, "rb") as f:
            return f.read()

    def values(self):
        _, out, _ = self.run("metrics", "--json")
        values = collections.Counter()
        for line in out.splitlines():
            m = json.loads(line)
            key = (m["name"], *m["labels"].values())
            values[key] = m.get("value", m.get("count"))
        return values

    def names(self):
        return sorted(os.listdir(self.dir))


def saves(values):
    return values["persist_operations_total", "main", "save", "ok"]


def test_many_at_once(place):
    source = os.path.join(place.work, "state")
    with open(source, "wb") as f:
        f.write(b"x" * 1000)
    processes = [place.start("save", f"a{i}", source) for i in range(50)]
    results = [p.communicate() + (p.returncode,) for p in processes]
    bad = [r for r in results if r[2] != 0 or r[1]]
    check("50 saves at once succeed and say nothing", not bad, bad[:1])
    values = place.values()
    check("50 processes at once lose no count",
          saves(values) == 50 and
          values["persist_snapshot_state_bytes", "zstd"] == 50 and
          values["persist_storage_ops_total", "local", "save", "ok"] == 50,
          values)
    check("nothing else is left in the directory",
          place.names() == ["persist.prom", "persist.prom.lock"],
          place.names())
    check("everybody may read it",
          stat.S_IMODE(os.stat(place.file).st_mode) == 0o644)


def test_looking(place):
    before = place.read()
    code, out, _ = place.run("metrics")
    check("persist metrics shows the file", code == 0 and
          out.encode() == before)
    check("looking changes nothing", place.read() == before)
    _, out, _ = place.run("metrics", "--openmetrics")
    check("--openmetrics ends as it must", out.endswith("# EOF\n"))
    code, _, err = place.run("metrics", "--openmetrics", "--json")
    check("both formats at once are a slip", code == 2, err)


def test_damage(place):
    n = saves(place.values())
    whole = place.read()
    for name, damaged in (("cut", whole[:-7]), ("of others", b"up 1\n"),
                          ("binary", os.urandom(3000))):
        with open(place.file, "wb") as f:
            f.write(damaged)
        code, _, err = place.run("metrics")
        check(f"a file that is {name} is corrupt to who looks", code == 6, err)
        code, out, err = place.run("save", "writer", "-")
        check(f"a file that is {name} fails no save", code == 0 and out, err)
        check(f"a file that is {name} is set aside with a warning",
              "level=warn" in err and "set aside" in err, err)
        with open(place.file + ".damaged", "rb") as f:
            check("it is kept as it was", f.read() == damaged)
        check("counting begins anew", saves(place.values()) == 1)
    with open(place.file, "wb") as f:
        f.write(whole)
    place.run("save", "writer", "-")
    check("a whole file is added to", saves(place.values()) == n + 1)
    with open(place.file, "wb"):
        pass
    code, _, err = place.run("save", "writer", "-")
    check("an empty file holds no numbers", code == 0 and not err and
          saves(place.values()) == 1, err)
    os.unlink(place.file + ".damaged")


def test_links(place):
    victim = os.path.join(place.work, "victim")
    with open(victim, "w", encoding="ascii") as f:
        f.write("precious\n")
    for name in ("persist.prom", "persist.prom.lock", "persist.prom.tmp"):
        path = os.path.join(place.dir, name)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(victim, path)
        code, _, err = place.run("save", "writer", "-")
        check(f"a save succeeds with a link at {name}", code == 0, err)
        with open(victim, encoding="ascii") as f:
            check(f"what a link at {name} leads to is untouched",
                  f.read() == "precious\n")
        if name != "persist.prom.tmp":
            check(f"a link at {name} is told", "missing in the metrics" in err,
                  err)
        if os.path.lexists(path):
            os.unlink(path)


def test_lock(place):
    with open(place.file + ".lock", "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        process = place.start("save", "writer", "-", stdin=subprocess.PIPE)
        process.stdin.close()
        before = place.read() if os.path.exists(place.file) else b""
        try:
            process.wait(1)
            waited = False
        except subprocess.TimeoutExpired:
            waited = True
        now = place.read() if os.path.exists(place.file) else b""
        check("nobody writes while another holds the lock",
              waited and before == now)
        fcntl.flock(f, fcntl.LOCK_UN)
        check("and goes on when it is free", process.wait(20) == 0)
    process.stdout.close()
    process.stderr.close()


def test_missing_directory(place):
    os.rename(place.dir, place.dir + "-away")
    code, out, err = place.run("save", "writer", "-")
    check("a missing directory fails no save", code == 0 and out, err)
    check("but is told", "warning" in err and "metrics" in err, err)
    os.rename(place.dir + "-away", place.dir)


def test_log(place):
    """INFO names the last part of a key only, DEBUG the whole."""
    plan = [("save", "writer", "-"), ("save", "writer", "-", "--after", "99"),
            ("list",), ("list", "writer/default", "--long"),
            ("show", "writer"), ("verify", "writer"), ("restore", "writer"),
            ("restore", "nobody"), ("delete", "writer@latest"),
            ("cleanup", "--older-than", "1ms"), ("doctor",)]
    info, debug = [], []
    for words in plan:
        info += place.run("-v", *words)[2].splitlines()
        debug += place.run("-vv", *words)[2].splitlines()
    info = [line for line in info if line.startswith("ts=")]
    debug = [line for line in debug if line.startswith("ts=")]
    told = {m.group(1) for line in info
            for m in [re.search(r" msg=(\w+)", line)] if m}
    check("-v tells every operation",
          {"save", "list", "show", "verify", "restore", "delete",
           "cleanup"} <= told, told)
    leaks = [line for line in info if FULL_KEY.search(line)]
    check("-v names no whole key", not leaks, leaks[:1])
    whole = [line for line in debug if FULL_KEY.search(line)]
    check("-vv names whole keys, at debug only",
          whole and all(" level=debug " in line for line in whole), whole[:1])
    check("-vv tells every request",
          all(any(f"msg=request op={op} " in line for line in debug)
              for op in ("put", "read", "list", "list_uploads")), debug)


def main():
    with tempfile.TemporaryDirectory() as work:
        place = Place(work)
        code, out, err = place.run("metrics")
        check("without a file there is nothing yet",
              code == 0 and not out and "nothing has been counted" in err, err)
        test_many_at_once(place)
        test_looking(place)
        test_damage(place)
        test_links(place)
        place.run("save", "writer", "-")
        test_lock(place)
        test_missing_directory(place)
        test_log(place)
        code, _, err = place.run("--set", "metrics_textfile=/x", "metrics")
        check("a name that is none of a metrics file is refused", code == 9,
              err)
    if failures:
        raise SystemExit(f"{failures} failed")


main()
