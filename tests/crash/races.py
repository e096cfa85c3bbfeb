#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two processes race for one index, again and again: one winner each time.

Short form: 200 races (10,000 with PERSIST_LONG). Each pair asks for the same
index with --index; exactly one may be acknowledged, the other must say
conflict (exit 5), and the winner's bytes must be there. A second part lets four
writers append freely: all are acknowledged, indices distinct, payloads intact.
"""
import os
import subprocess
import sys
import tempfile

PERSIST = os.environ["PERSIST"]
RACES = 10000 if os.environ.get("PERSIST_LONG") else 200
ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent",
       "PERSIST_BACKEND_DIR": os.environ["BACKENDS"]}


def start(config, *arguments):
    return subprocess.Popen([PERSIST, "-c", config, *arguments],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=ENV)


def finish(process, payload):
    out, err = process.communicate(payload, timeout=60)
    return process.returncode, out.decode(), err.decode()


def fenced(config):
    for index in range(RACES):
        payloads = [f"{who} {index}".encode() for who in ("a", "b")]
        processes = [start(config, "save", "race", "-", "--index", str(index))
                     for _ in payloads]
        results = [finish(process, payload)
                   for process, payload in zip(processes, payloads)]
        codes = sorted(result[0] for result in results)
        if codes != [0, 5]:
            sys.exit(f"race {index}: exit codes {codes}: {results}")
        winner = payloads[[r[0] for r in results].index(0)]
        restored = finish(start(config, "restore", f"race@{index}"), b"")
        if restored[0] != 0 or restored[1].encode() != winner:
            sys.exit(f"race {index}: the winner's bytes are not there")


def free(config):
    rounds = RACES // 10
    seen = {}
    for turn in range(rounds):
        payloads = [f"{who} {turn}" for who in range(4)]
        processes = [start(config, "save", "free", "-") for _ in payloads]
        for process, payload in zip(processes, payloads):
            code, out, err = finish(process, payload.encode())
            if code != 0:
                sys.exit(f"free save failed: {code} {err}")
            if out.strip() in seen:
                sys.exit(f"{out.strip()} was acknowledged twice")
            seen[out.strip()] = payload
    for address, payload in seen.items():
        code, out, err = finish(start(config, "restore", address), b"")
        if code != 0 or out != payload:
            sys.exit(f"{address}: {code} {out!r} {err}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "persist.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"[store main]\nbackend = local\nroot = {folder}/s\n")
        os.mkdir(os.path.join(folder, "s"))
        os.chmod(config, 0o600)
        fenced(config)
        free(config)
    print(f"{RACES} races for one index, one winner each")


if __name__ == "__main__":
    main()
