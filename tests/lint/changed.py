#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks C files with clang-tidy or cppcheck, but for those that passed before and are what they were.

usage: changed.py --self-test
       changed.py tidy|cppcheck BUILD FILE...

BUILD holds compile_commands.json. A file that passes is remembered under a hash of all that the verdict hangs on: the
file and each header it includes byte for byte, the command line, the tool's version, its configuration. What fails is
never remembered. The memory is the folder lint of the tests' cache; what nobody asked for in a month leaves it.
"""
import concurrent.futures
import contextlib
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.environ.get("PERSIST_TEST_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "persist-tests")
KEPT_S = 30 * 86400
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include\b[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)?', re.MULTILINE)
# Counts of what the filters hid.
NOISE = re.compile(r"^\d+ (?:warning|error)s?.* generated|^Suppressed|^Use -header-filter")


def output(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def content(path):
    with open(path, "rb") as f:
        return f.read()


class Memory:
    """Which keys passed: an empty file each."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def path(self, key):
        return os.path.join(self.folder, key)

    def passed(self, key):
        try:
            os.utime(self.path(key))
        except FileNotFoundError:
            return False
        return True

    def remember(self, key):
        with open(self.path(key), "wb"):
            pass

    def forget_old(self):
        for entry in os.scandir(self.folder):
            if entry.stat().st_mtime < time.time() - KEPT_S:
                os.unlink(entry.path)


class Tool:
    """What both have in common: the key of a file."""

    def __init__(self, root, build):
        self.root, self.build = root, build

    def key(self, path):
        """The same wherever the tree stands."""
        parts = [path, *self.settings(path)]
        for name in self.reads(path):
            parts += [name, hashlib.sha256(content(os.path.join(self.root, name))).hexdigest()]
        text = "\0".join(parts).replace(self.root + "/", "")
        return hashlib.sha256(text.encode()).hexdigest()


class Tidy(Tool):
    """clang-tidy, on one file at a time: of several it is wrong about va_start."""

    def __init__(self, root, build):
        super().__init__(root, build)
        self.version = output("clang-tidy", "--version")
        self.commands = {}
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
            for entry in json.load(f):
                self.commands.setdefault(os.path.relpath(entry["file"], root), []).append(entry)

    def settings(self, path):
        return ["clang-tidy", self.version, *(entry["command"] for entry in self.commands[path])]

    def reads(self, path):
        found = {path}
        for entry in self.commands[path]:
            words = shlex.split(entry["command"])
            at = words.index("-o")
            made = subprocess.run(["clang", *words[1:at], *words[at + 2:], "-w", "-M"], check=False,
                                  capture_output=True, text=True, cwd=entry["directory"])
            if made.returncode != 0:  # clang-tidy says why
                raise LookupError(made.stderr)
            names = made.stdout.partition(": ")[2].replace("\\\n", " ").split()
            found.update(os.path.join(entry["directory"], name) for name in names)
        folder = os.path.join(self.root, path)
        while folder != self.root:
            folder = os.path.dirname(folder)
            if os.path.exists(os.path.join(folder, ".clang-tidy")):
                found.add(os.path.relpath(os.path.join(folder, ".clang-tidy"), self.root))
        return sorted(found)

    def check(self, paths):
        """Those that pass, one by one."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, good in zip(paths, pool.map(self.check_one, paths)):
                if good:
                    yield path

    def check_one(self, path):
        done = subprocess.run(["clang-tidy", "-p", self.build, "--quiet", "--warnings-as-errors=*",
                               os.path.join(self.root, path)], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if not NOISE.match(line)]
            print(done.stdout + "\n".join(said), flush=True)
        return done.returncode == 0


class Cppcheck(Tool):
    """cppcheck sees no header of the system; it looks at every branch of #if."""

    DIRS = ("core", "core/include", "sdk/include", "plugins")
    SUPPRESSED = "tests/lint/cppcheck.txt"

    def __init__(self, root, build):
        super().__init__(root, build)
        self.version = output("cppcheck", "--version")
        self.dirs = [os.path.join(root, name) for name in self.DIRS] + [os.path.join(build, "include")]
        self.included = {}

    def command(self):
        return ["cppcheck", "--quiet", "--error-exitcode=1", "--enable=warning,portability", "--inline-suppr",
                "--suppressions-list=" + self.SUPPRESSED, "--std=c11", f"-j{os.cpu_count()}",
                *(f"-I{os.path.relpath(name, self.root)}" for name in self.dirs), "--file-list=-"]

    def settings(self, path):
        return [self.version, *self.command()]

    def includes(self, path):
        """The headers a file names, whatever the branch; those of the system are not found."""
        if path not in self.included:
            self.included[path] = found = set()
            for near, far in INCLUDE.findall(content(path)):
                if not near and not far:
                    raise ValueError(f"{path}: an #include by macro, which nobody follows here")
                for folder in ([os.path.dirname(path)] if near else []) + self.dirs:
                    header = os.path.normpath(os.path.join(folder, (near or far).decode()))
                    if os.path.isfile(header):
                        found.add(header)
        return self.included[path]

    def reads(self, path):
        found, left = set(), [os.path.join(self.root, path)]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self.includes(name)
        return sorted(os.path.relpath(name, self.root) for name in found) + [self.SUPPRESSED]

    def check(self, paths):
        """All or none: which of them failed stands in what it prints."""
        done = subprocess.run(self.command(), check=False, input="\n".join(paths) + "\n", cwd=self.root, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(done.stdout, end="", flush=True)
        self.included.clear()
        return paths if done.returncode == 0 else []


def key_or_none(tool, path):
    try:
        return tool.key(path)
    except LookupError:
        return None


def keys(tool, paths):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(paths, pool.map(lambda path: key_or_none(tool, path), paths)))


def run(tool, paths, memory):
    """How many were checked, and whether all are good."""
    known = keys(tool, paths)
    changed = [path for path in paths if not (known[path] and memory.passed(known[path]))]
    passed = 0
    for path in tool.check(changed) if changed else []:
        passed += 1
        if known[path] and known[path] == key_or_none(tool, path):  # nobody edited it meanwhile
            memory.remember(known[path])
    memory.forget_old()
    return len(changed), passed == len(changed)


class Planted:
    """A house of two files, for the test of this program."""

    GOOD = {"core/a.c": '#include "a.h"\nint a(void);\nint a(void)\n{\n    return TWICE(2);\n}\n',
            "core/a.h": "#define TWICE(x) ((x)*2)\n",
            "core/b.c": "int b(int *p);\nint b(int *p)\n{\n    return *p;\n}\n",
            "tests/lint/cppcheck.txt": "",
            ".clang-tidy": "Checks: '-*,bugprone-macro-parentheses'\nHeaderFilterRegex: '.*'\n"}

    def __init__(self, folder, make):
        self.folder, self.make = os.path.join(folder, make.__name__), make
        self.memory = Memory(os.path.join(self.folder, "memory"))
        os.mkdir(os.path.join(self.folder, "build"))
        for name, text in self.GOOD.items():
            self.write(name, text)
        self.flags("-DX=1")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def flags(self, words):
        self.write("build/compile_commands.json", json.dumps([
            {"directory": self.folder + "/build", "file": f"{self.folder}/core/{name}.c",
             "command": f"cc {words} -o {name}.o -c {self.folder}/core/{name}.c"} for name in "ab"]))

    def expect(self, what, checked, good):
        tool = self.make(self.folder, os.path.join(self.folder, "build"))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            got = run(tool, ["core/a.c", "core/b.c"], self.memory)
        if got != (checked, good):
            sys.exit(f"{said.getvalue()}{self.make.__name__}: {what}: {got}, not {(checked, good)} (checked, good)")


def self_test(folder, make, bad):
    house = Planted(folder, make)
    house.expect("never seen", 2, True)
    house.expect("unchanged", 0, True)
    house.write("core/a.h", bad)
    # cppcheck remembers nothing of a run that failed; here b.c was good before.
    house.expect("a bad header", 1, False)
    house.expect("a bad header, again", 1, False)
    house.write("core/a.h", house.GOOD["core/a.h"])
    house.expect("the header as it was", 0, True)
    house.write("core/a.h", house.GOOD["core/a.h"] + "/* a comment may switch a check off */\n")
    house.expect("a comment", 1, True)
    house.write("core/b.c", "#error no\n" if make is Tidy else "int b(int *p)\n{\n")
    house.expect("no C", 1, False)
    house.expect("no C, again", 1, False)
    house.write("core/b.c", house.GOOD["core/b.c"])
    house.expect("C as it was", 0, True)
    if make is Tidy:
        house.flags("-DX=2")
        house.expect("other flags", 2, True)
    name = ".clang-tidy" if make is Tidy else Cppcheck.SUPPRESSED
    house.write(name, house.GOOD[name] + ("# another\n" if make is Tidy else "zerodiv:core/c.c\n"))
    house.expect("another configuration", 2, True)
    for entry in os.scandir(house.memory.folder):
        os.utime(entry.path, (0, 0))
    house.expect("not asked for in a month: last time", 0, True)
    left = len(os.listdir(house.memory.folder))
    if left != 2:
        sys.exit(f"{make.__name__}: {left} keys are kept, not those of two files")


def main():
    if sys.argv[1:] == ["--self-test"]:
        with tempfile.TemporaryDirectory() as folder:
            for make, bad in ((Tidy, "#define TWICE(x) (x * 2)\n"),
                              (Cppcheck, "#define TWICE(x) ((x) / 0)\n")):
                os.mkdir(os.path.join(folder, make.__name__))
                self_test(os.path.realpath(folder), make, bad)
        return 0
    if len(sys.argv) < 4 or sys.argv[1] not in ("tidy", "cppcheck"):
        sys.exit(__doc__)
    make, build, paths = {"tidy": Tidy, "cppcheck": Cppcheck}[sys.argv[1]], sys.argv[2], sys.argv[3:]
    checked, good = run(make(ROOT, os.path.abspath(build)), paths, Memory(os.path.join(CACHE, "lint")))
    print(f"{checked} of {len(paths)} checked, the rest unchanged")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
