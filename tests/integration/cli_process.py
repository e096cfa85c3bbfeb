#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command as a process: signals, a terminal, /proc.

usage: cli_process.py CONFIG

Called by cli.sh, with its environment. Prints `ok NAME` and `not ok NAME`.
"""
import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PERSIST = os.environ["PERSIST"]
CONFIG = sys.argv[1]
BLOCK = os.urandom(1 << 20)
failures = 0


def check(name, good, detail=""):
    global failures
    print(("ok " if good else "not ok ") + name)
    if not good:
        failures += 1
        print(f"  {detail!r}")


def command(*words):
    return [PERSIST, "-c", CONFIG, *words]


def run(*words):
    return subprocess.run(command(*words), capture_output=True, check=False)


def start_save(agent, **how):
    process = subprocess.Popen(command("save", agent, "-"),
                               stdin=subprocess.PIPE, **how)
    process.stdin.write(BLOCK * 12)
    process.stdin.flush()
    time.sleep(0.2)
    return process


def temporaries():
    root = os.path.join(os.path.dirname(CONFIG), "store")
    return [os.path.join(folder, name)
            for folder, _, names in os.walk(root) for name in names
            if name.startswith(".persist-tmp")]


def test_signal(number, name):
    agent = f"signal-{name}"
    # A shell starts what is in its background with SIGINT ignored.
    process = start_save(agent, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    process.send_signal(number)
    begin = time.monotonic()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
    took = time.monotonic() - begin
    process.stdin.close()
    err = process.stderr.read()
    check(f"{name} during a save exits with 130", process.returncode == 130,
          (process.returncode, err))
    check(f"{name} is answered at once", took < 10, took)
    check(f"{name} leaves no snapshot",
          run("list", agent).returncode == 4, run("list", agent))
    check(f"{name} leaves no temporary", not temporaries(), temporaries())
    check(f"after {name} the next save works",
          run("save", agent, CONFIG).returncode == 0)


def test_ignored_signal():
    process = start_save("nohup", stdout=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                          signal.SIG_IGN))
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    out, _ = process.communicate()
    check("an ignored SIGINT stays ignored",
          process.returncode == 0 and out == b"nohup/default@0\n",
          (process.returncode, out))


def on_terminal(words, feed, seconds):
    """Runs with standard error on a terminal of 100 columns and a payload that
    takes that long; returns exit code, standard output, what the terminal
    saw."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(command(*words), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    for _ in range(feed):
        process.stdin.write(BLOCK)
        process.stdin.flush()
        time.sleep(seconds / feed)
    process.stdin.close()
    out = process.stdout.read()
    process.wait()
    seen = b""
    while select.select([leader], [], [], 0.2)[0]:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(leader)
    return process.returncode, out, seen


def test_progress():
    code, out, seen = on_terminal(["save", "bar", "-"], 10, 1.5)
    check("a long save draws a bar", code == 0 and b"MiB/s" in seen
          and seen.startswith(b"\rsave bar"), seen[:200])
    check("the bar is gone at the end", seen.endswith(b"\r\x1b[K"), seen[-40:])
    check("standard output is untouched", out == b"bar/default@0\n", out)
    check("no line is wider than the terminal",
          all(len(part) <= 100 for part in
              seen.replace(b"\x1b[K", b"").split(b"\r")), seen)
    code, out, seen = on_terminal(["save", "bar", "-"], 1, 0)
    check("a short save draws none", code == 0 and seen == b"", seen)
    code, out, seen = on_terminal(
        ["--progress", "never", "save", "bar", "-"], 5, 1)
    check("--progress never", code == 0 and seen == b"", seen)
    code, out, seen = on_terminal(["-q", "save", "bar", "-"], 5, 1)
    check("--quiet draws none", code == 0 and seen == b"", seen)
    code, out, seen = on_terminal(
        ["-vv", "--progress", "always", "save", "bar", "-"], 3, 0.6)
    lines = seen.replace(b"\r\n", b"\n").split(b"\n")
    check("log lines and the bar do not mix", code == 0 and all(
        b"level=" not in line or line.split(b"\x1b[K")[-1].split(b"\r")[-1]
        .startswith((b"time=", b"ts=", b"level=")) for line in lines), seen)
    done = subprocess.run(command("--progress", "always", "save", "bar", CONFIG),
                          capture_output=True, check=False)
    check("--progress always without a terminal prints plain lines",
          b"\r" not in done.stderr and b"save bar" in done.stderr, done.stderr)
    process = subprocess.run(command("save", "bar"), stdin=pty.openpty()[1],
                             capture_output=True, check=False)
    check("a forgotten FILE on a terminal is a slip",
          process.returncode == 2 and b"hint:" in process.stderr,
          process.stderr)
    # As from cron; nothing is saved under the name of the file.
    process = subprocess.run(command("save", "state.json"), stdin=subprocess.DEVNULL,
                             capture_output=True, check=False)
    check("a forgotten address, with nothing to read, is a slip",
          process.returncode == 2 and b"standard input is /dev/null" in process.stderr,
          process.stderr)
    process = subprocess.run(command("save", "empty", "-"), stdin=subprocess.DEVNULL,
                             capture_output=True, check=False)
    check("\"-\" takes nothing, too", process.returncode == 0, process.stderr)


def restore_on_terminal(*words):
    """Exit code, standard error, what the terminal got."""
    terminal, stdout = pty.openpty()
    process = subprocess.Popen(command("restore", *words), stdout=stdout,
                               stderr=subprocess.PIPE)
    os.close(stdout)
    seen = b""
    try:
        while piece := os.read(terminal, 65536):
            seen += piece
    except OSError:  # nobody holds the other end
        pass
    err = process.stderr.read()
    os.close(terminal)
    return process.wait(), err, seen


def test_binary():
    for payload, name in ((b"\x1b\0\x07" * 9, "binary"), (b"text", "text")):
        subprocess.run(command("save", "-q", name, "-"), input=payload, check=True)
    code, err, seen = restore_on_terminal("binary")
    check("a binary payload is not shown on a terminal",
          code == 2 and not seen and b"hint: -o FILE" in err, (code, err, seen))
    code, err, seen = restore_on_terminal("binary", "-o", "-")
    check("but where -o - asks for it", code == 0 and b"\0" in seen, err)
    code, err, seen = restore_on_terminal("text")
    check("a text is", code == 0 and seen == b"text", (err, seen))


def test_dump():
    """The kernel gives /proc/PID of a process that may not be dumped to root,
    which shows only where somebody else owns the process."""
    words, program = {}, PERSIST
    if os.getuid() == 0:
        reachable = os.environ["REACHABLE"]
        program = os.path.join(reachable, "bin", "persist")
        words = {"user": 65534, "group": 65534, "extra_groups": [],
                 "env": dict(os.environ,
                             LD_LIBRARY_PATH=os.path.join(reachable, "lib"))}
    process = subprocess.Popen(
        [program, "--set", "root=/nonexistent", "save", "x", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        **words)
    owner = None
    deadline = time.monotonic() + 5
    while owner != 0 and time.monotonic() < deadline:
        try:
            owner = os.stat(f"/proc/{process.pid}/maps").st_uid
        except FileNotFoundError:
            break
    process.communicate()
    check("the process is not dumpable",
          owner == 0 or bool(os.environ.get("SANITIZE")), owner)


def test_settings():
    if os.environ.get("PERSIST_TEST_EMULATED"):
        check("values of --set leave the process list (skipped: it shows the"
              " emulator's command line)", True)
        return
    root = os.path.join(os.path.dirname(CONFIG), "canary")
    os.mkdir(root, 0o700)
    process = subprocess.Popen(command("--set", f"root={root}", "save", "x", "-"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    # It has taken more than a pipe holds, so it is past its command line.
    process.stdin.write(BLOCK)
    process.stdin.flush()
    with open(f"/proc/{process.pid}/cmdline", "rb") as f:
        words = f.read()
    process.communicate()
    check("values of --set leave the process list",
          process.returncode == 0 and b"root=x" in words
          and b"canary" not in words, words)


def test_start():
    """--version opens no configuration and loads no backend."""
    trace = subprocess.run(["strace", "-f", "-e", "trace=openat", PERSIST,
                            "--version"], capture_output=True, check=False)
    if trace.returncode != 0:
        check("--version opens nothing (skipped: strace does not work here)",
              True)
        return
    opened = [line for line in trace.stderr.decode().splitlines()
              if "persist.conf" in line or "backend-" in line]
    check("--version opens no configuration and no backend", not opened,
          opened)


def with_file_limit(*words):
    """A file may have 1 MB."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))
    return subprocess.run(command(*words), input=BLOCK * 3, preexec_fn=limit,
                          capture_output=True, check=False)


def test_file_limit():
    """One put, an upload, a restore: an answer, not the signal."""
    whole = with_file_limit("save", "limit", "-")
    check("a file limit is an error of a save",
          whole.returncode == 2 and b"ulimit -f" in whole.stderr, whole)
    saved = subprocess.run(command("save", "limit", "-"), input=BLOCK * 12,
                           capture_output=True, check=False)
    target = os.path.join(os.path.dirname(CONFIG), "limited.bin")
    restored = with_file_limit("restore", "limit", "-o", target)
    check("and of a restore, which leaves nothing",
          saved.stdout == b"limit/default@0\n" and restored.returncode == 1
          and b"File too large" in restored.stderr
          and not os.path.exists(target) and not temporaries(), restored)


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    test_signal(signal.SIGINT, "SIGINT")
    test_signal(signal.SIGTERM, "SIGTERM")
    test_ignored_signal()
    test_progress()
    test_binary()
    test_dump()
    test_settings()
    test_file_limit()
    test_start()
    sys.exit(0)


main()
