#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles what a build compiles as 32-bit code, with all of its warnings, and links nothing.

usage: narrow.py [--self-test] BUILD-DIR FOLDER

BUILD-DIR holds compile_commands.json of an x86-64 gcc build; the objects go to FOLDER. What does not fit
into a size_t of 32 bits is an error there and goes unseen here. --self-test fails first unless a narrowing
and a size that is another one there are found. CMAKE_C_COMPILER_LAUNCHER compiles, so that what did not
change costs next to nothing where that is a cache. tests/platforms/run runs such a build, too.
"""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import tempfile

# Headers of libraries are the same but for sizes that they ask the compiler; -O0 compiles three times as fast.
WORDS = ["-m32", "-O0", "-isystem", "/usr/include/x86_64-linux-gnu", "-Wno-psabi"]
LEFT_OUT = ("-MD",)
WITH_A_VALUE = ("-o", "-MF", "-MT")


def narrowed(command, out):
    """The words of a compiler's command, for 32 bits and another object."""
    words, skip = shlex.split(os.environ.get("CMAKE_C_COMPILER_LAUNCHER", "")), False
    for word in shlex.split(command):
        if skip or word in LEFT_OUT or word.startswith("-O"):
            skip = False
        elif word in WITH_A_VALUE:
            skip = True
        else:
            words.append(word)
    return words + WORDS + ["-o", out]


def compiled(entry, out):
    """What the compiler says of it; empty: nothing."""
    done = subprocess.run(narrowed(entry["command"], out), cwd=entry["directory"], check=False,
                          capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr or "it failed without a word\n"


def entries(build):
    """One for each C file, however many targets it is in."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        found = {entry["file"]: entry for entry in json.load(f) if entry["file"].endswith(".c")}
    return [found[name] for name in sorted(found)]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "a.c")
        command = f"cc -Wconversion -Werror -O2 -o a.o -c {source}"
        for text, good in (("int f(void);\n", True),
                           ("#include <stdint.h>\n#include <stddef.h>\n"
                            "size_t f(uint64_t n);\nsize_t f(uint64_t n) { return n; }\n", False),
                           ("_Static_assert(sizeof(void *) == 8, \"\");\n", False)):
            with open(source, "w", encoding="utf-8") as f:
                f.write(text)
            said = compiled({"command": command, "directory": folder}, os.path.join(folder, "b.o"))
            if (said == "") != good:
                sys.exit(f"narrow.py: self-test: {text!r}: {said or 'not found'}")


def main():
    words = sys.argv[1:]
    if words[:1] == ["--self-test"]:
        self_test()
        words = words[1:]
    if len(words) != 2:
        sys.exit(__doc__)
    build, folder = words
    found = entries(build)
    if not found:
        sys.exit(f"narrow.py: {build} compiles nothing")
    os.makedirs(folder, exist_ok=True)
    outs = [os.path.abspath(os.path.join(folder, f"{i}.o")) for i in range(len(found))]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for said in pool.map(compiled, found, outs):
            failed += said != ""
            sys.stdout.write(said)
    print(f"{len(found)} files compiled as 32-bit code, {failed} failed")
    sys.exit(failed > 0)


main()
