#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every line that the S3 and the GCS backend make a log say: bucket and the last part of a key at
INFO and above, whole keys at DEBUG.

Both backends are driven through every op while every kind of request fails in turn, once and for
good: by the command (the lines of the core and of the plugin, as an operator gets them) and op by
op (the plugin's own, also where the command would not get there).  The service's own messages name
whole objects, as the real ones do.

No line of the plugins may come later and escape: each place in their sources that logs has a fixed
text, or level DEBUG, or stands in VARIABLE here with what this test must have seen of it.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

import gcs_server
import s3_server
from ops import Backend

SOURCE = os.environ["SOURCE_DIR"]
M = 1 << 20
LARGE = 9 * M  # more than the 8 MiB that one put holds
PREFIX, AGENT, SESSION = "OUTERfolder/INNERfolder", "writername x", "sessionname"
FOLDER = "writername%20x/sessionname/"  # of keys, as Persist writes them
WORDS = ("OUTERfolder", "INNERfolder", "writername", "sessionname")
TOLD = f"no such object: bucket/{PREFIX}/{FOLDER}7.snap; see " + \
    f"https://x/o/{PREFIX}/{FOLDER}7.snap".replace("%", "%25").replace("/", "%2F")
LEVELS = {1: "error", 2: "warn", 3: "info", 4: "debug"}

# Places with a text made at run time: what it looks like.
VARIABLE = {
    ("plugins/gcs/object.c", "line"): r"^gcs: 7\.snap arrived with another checksum than was sent",
    ("plugins/s3/credentials/credentials.c", "line"): r"holds keys and can be read by others",
}

lines, guard, failures = set(), threading.Lock(), []


def check(name, good, detail=""):
    print(f"{'ok' if good else 'not ok'} {name}{'' if good else f': {detail!r}'}")
    if not good:
        failures.append(name)


def note(backend, level, text):
    with guard:
        lines.add((backend, level, text))


# ----------------------------------------------------------------- services

def status(code, word, **headers):
    """An answer of either service whose message names the object."""
    return "status", {"status": code, "reason": word, "code": word, "message": TOLD,
                      "headers": {k.replace("_", "-"): v for k, v in headers.items()}}


COMMON = (status(503, "SlowDown", Retry_After="1"), status(403, "AccessDenied"),
          status(404, "NoSuchKey"), status(400, "InvalidArgument"), status(412, "Precondition"),
          ("reset", {}), ("lost", {}), ("garbage", {}), ("truncated", {}), ("corrupt", {}))

BY_COMMAND = ((COMMON[0], 1), (COMMON[1], 10 ** 6), (COMMON[2], 10 ** 6), (("lost", {}), 1),
              (("corrupt", {}), 1))


class Gcs:
    name = "gcs"
    kinds = ("put", "start", "chunk", "final", "query", "cancel", "read", "look", "delete", "list",
             "bucket", "permissions")
    upload_fails = ("chunk", "final", "cancel")
    part = 256 << 10  # of an upload, op by op: the least that the service takes
    faults = COMMON + (("corrupt_sent", {}), ("corrupt_stored", {}), ("excess", {}), ("gone", {}),
                       ("early", {}), ("less", {"bytes": 1}), ("garbled", {}), ("gzip", {}))

    def __init__(self):
        self.server = gcs_server.start()
        self.options = {"bucket": "bucket", "prefix": PREFIX, "endpoint": self.server.url,
                        "anonymous": "true", "chunk_size": "1M", "stall_timeout": "500ms"}

    def forget(self):
        """What is stored, so that gigabytes do not pile up."""
        with self.server.lock:
            self.server.buckets["bucket"].clear()
            self.server.sessions.clear()

    def add(self, key, data):
        self.server.create("bucket", f"{PREFIX}/{key}", data, {}, {})


class S3:
    name = "s3"
    kinds = ("put", "create", "part", "complete", "abort", "uploads", "parts", "get", "head",
             "delete", "list", "bucket", "batch")
    upload_fails = ("part", "complete", "abort")
    part = 256 << 10
    faults = COMMON + (("error_in_200", {"code": "InternalError"}), ("wrong_checksum", {}),
                       ("wrong_etag", {}), ("short", {}), ("whole", {}),
                       ("redirect", {"location": f"http://127.0.0.1:1/{PREFIX}/{FOLDER}x"}))

    def __init__(self):
        self.server = s3_server.start()
        self.options = {"bucket": "persist-test", "prefix": PREFIX, "endpoint": self.server.url,
                        "region": "us-east-1", "part_size": "5M", "stall_timeout": "500ms",
                        "access_key_id": "testak", "secret_access_key": "testsecret"}

    def forget(self):
        with self.server.lock:
            self.server.buckets["persist-test"].clear()
            self.server.uploads.clear()

    def add(self, key, data):
        with self.server.lock:
            self.server.buckets["persist-test"][f"{PREFIX}/{key}"] = s3_server.Object(
                data, "e", s3_server.crc32c.crc32c(data), "FULL_OBJECT", {}, self.server.now())


# -------------------------------------------------------------- the command

class Command:
    """The command on a service of its own; every line of its log is noted."""

    def __init__(self, service, folder):
        self.service, self.folder = service, folder
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("AWS_", "XDG_")) and not k.lower().endswith("_proxy")}
        self.env.update(HOME=folder, XDG_STATE_HOME=os.path.join(folder, "state"),
                        AWS_EC2_METADATA_DISABLED="true", PERSIST_BACKEND_DIR=os.environ["BACKENDS"])
        self.config = os.path.join(folder, "persist.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("[persist]\nlog_format = json\nmemory_limit = 64M\n"
                    f"[store cloud]\nbackend = {service.name}\n")
            f.writelines(f"{key} = {value}\n" for key, value in service.options.items())
        os.chmod(self.config, 0o600)
        self.files = {}
        for size in (5, LARGE):
            self.files[size] = os.path.join(folder, f"data-{size}")
            with open(self.files[size], "wb") as f:
                f.write(os.urandom(size))
        self.n = 0

    def run(self, *words, limit="1500ms"):
        done = subprocess.run([os.environ["PERSIST"], "-c", self.config, "-vv", "--timeout",
                               limit, *words], env=self.env, capture_output=True, check=False,
                              timeout=120)
        for line in done.stderr.decode("utf-8", "replace").splitlines():
            if line.startswith("{"):
                found = json.loads(line)
                note(self.service.name, found["level"],
                     json.dumps({k: v for k, v in found.items()
                                 if k not in ("ts", "elapsed_us", "elapsed_ms", "wait_ms")}))
        return done

    def verbs(self, kind=None):
        """Runs those that send requests of that kind, on a session of this round's."""
        self.n += 1
        at = f"writername%20x/{SESSION}{self.n}"
        out = ("-o", os.path.join(self.folder, "out"), "--overwrite")
        small, large = self.files[5], self.files[LARGE]
        writes = (("save", at, small), ("save", at, large), ("save", at, large, "--resume"))
        reads = (("restore", at, *out), ("restore", at + "@0", *out), ("verify", at), ("show", at),
                 ("list", at, "--long"), ("list", "cloud:"))
        rest = (("delete", at + "@0"), ("delete", at + "@1"), ("cleanup", "--older-than", "1ms"),
                ("doctor", "cloud"))
        chosen = {None: writes + reads + rest, "read": reads, "get": reads, "delete": rest,
                  "list": reads + rest, "look": reads + rest, "head": reads + rest,
                  "bucket": rest[2:], "permissions": rest[2:], "uploads": rest[2:],
                  "batch": rest}.get(kind, writes)
        if chosen is not writes and kind:
            self.quietly(writes[:2])
        return [self.run(*words, limit="1500ms" if kind else "60s") for words in chosen]

    def quietly(self, writes):
        """What there is to read, before anything fails."""
        with self.service.server.lock:
            faults, self.service.server.faults = self.service.server.faults, []
        for words in writes:
            assert self.run(*words, limit="60s").returncode == 0
        with self.service.server.lock:
            for fault in faults:
                fault["first"] = self.service.server.seen[fault["kind"]] + 1
            self.service.server.faults = faults

    def plain(self):
        for done in self.verbs():
            check(f"{self.service.name}: {done.args[6]} works", done.returncode == 0,
                  done.stderr[-400:])
        # Names that are not Persist's, as keys and as folders, and a damaged snapshot.
        session = f"{SESSION}{self.n}"
        keys = list(self.service.server.buckets.values())[0]
        newest = min(k for k in keys if session in k and k.endswith(".snap"))
        self.service.add(newest[len(PREFIX) + 1:], b"no snapshot")
        self.service.add(f"writername%20x/{session}/foreign/x", b"x")
        self.service.add("writername%20x/%61foreign/x", b"x")
        self.run("list", "writername%20x")
        self.run("list", f"writername%20x/{session}", "--long")
        # An upload that fails and cannot be taken back.
        for kind in self.service.upload_fails:
            self.service.server.fault(kind, status(403, "AccessDenied")[0], times=10 ** 6,
                                      **status(403, "AccessDenied")[1])
        self.verbs("put")
        self.service.server.clear()

    def sweep(self, kind):
        for (what, more), times in BY_COMMAND:
            self.service.server.clear()
            self.service.forget()
            self.service.server.fault(kind, what, times=times, **more)
            self.verbs(kind)
        self.service.server.clear()


def sweep_command(make, kinds):
    with tempfile.TemporaryDirectory() as folder:
        command = Command(make(), folder)
        for kind in kinds:
            command.sweep(kind)


# ---------------------------------------------------------------- op by op

def op_by_op(service, folder, key=FOLDER + "7.snap"):
    path = os.path.join(folder, "part")
    with open(path, "wb") as f:
        f.write(os.urandom(service.part + 100))
    service.server.part_min = service.part
    faults = [(what, more) for what, more in service.faults
              if service.name == "gcs" or hasattr(s3_server.Handler, "fault_" + what)]
    for kind in service.kinds:
        with Backend(service.name, env={"LOG_DEBUG": "1"}, **service.options) as b:
            for what, more in faults:
                service.server.clear()
                service.server.fault(kind, what, times=3, **more)
                every_op(service, b, key, path)
    service.server.clear()


def every_op(service, b, key, path):
    answers = [b("put", key=key, text="text", if_absent=True),
               b.upload(FOLDER + "8.data", path, service.part),
               b("read", key=key, len=100), b("head", key=key),
               b("list", prefix=FOLDER), b("probe"), b("delete", key=key),
               b.repeat("delete", key=FOLDER + "8.data"),
               b("begin", key=key, if_absent=True)]
    if answers[-1]["rc"] == "ok":
        answers.append(b("abort", key=key, id=answers[-1]["id"]))
    for answer in answers:
        for level, text in answer["log"]:
            note(service.name, LEVELS[level], text)


def one_by_one(make):
    service = make()
    with tempfile.TemporaryDirectory() as folder:
        Command(service, folder).plain()
        op_by_op(service, folder)
        if service.name == "s3":
            exposed_keys(service, folder)


def exposed_keys(service, folder):
    """A file of keys that others may read."""
    path = os.path.join(folder, "credentials")
    with open(path, "w", encoding="utf-8") as f:
        f.write("[default]\naws_access_key_id = testak\naws_secret_access_key = testsecret\n")
    os.chmod(path, 0o644)
    options = {k: v for k, v in service.options.items() if "access_key" not in k}
    with Backend("s3", env={"AWS_SHARED_CREDENTIALS_FILE": path, "HOME": folder}, **options) as b:
        for level, text in b("head", key=FOLDER + "7.snap")["log"]:
            note("s3", LEVELS[level], text)


# ------------------------------------------------------------- the sources

def sources():
    for folder, _, names in os.walk(os.path.join(SOURCE, "plugins")):
        for name in names:
            if name.endswith((".c", ".h")) and \
                    not re.search(r"_test\.c|testkit|test_kit|_testing\.c", name):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as f:
                    yield os.path.relpath(path, SOURCE), f.read()


def arguments(text, at):
    """Of the call whose "(" is at `at`: three arguments of a log."""
    depth, quoted, parts, begin = 0, False, [], at + 1
    for i in range(at, len(text)):
        c = text[i]
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (c in "(") - (c in ")")
        if depth == 0 or (c == "," and depth == 1):
            parts.append(" ".join(text[begin:i].split()))
            begin = i + 1
        if depth == 0:
            return parts
    return parts


def call_sites():
    """(file, level, message) of every place in the plugins that logs."""
    for path, text in sources():
        for found in re.finditer(r"(?:->|\.)log\b\s*([(!=]?=?)", text):
            what = found.group(1)
            if what == "(":
                _, level, message = arguments(text, found.end() - 1)
                yield path, level, message
            elif what != "!=":  # kept for later, so that nobody sees who calls it
                yield path, "unknown", found.group(0)


def check_sources():
    macros = {}
    for path, text in sources():
        for name, value in re.findall(r'^#define (\w+) (".*")$', text, flags=re.M):
            macros[(path, name)] = value
    sites = list(call_sites())
    check("the places that log are found", len(sites) >= 7, sites)
    used = set()
    for path, level, message in sites:
        words = re.sub(r'"(?:[^"\\]|\\.)*"', "", message).split()
        fixed = all((path, w) in macros for w in words)
        if fixed or level == "PERSIST_BACKEND_LOG_DEBUG":
            continue
        pattern = VARIABLE.get((path, message))
        used.add((path, message))
        check(f"{path} logs {message!r}: a text this test knows", pattern is not None)
        if pattern:
            check(f"{path} logs {message!r}: and has seen",
                  any(re.search(pattern, text) for _, _, text in lines))
    check("none is listed that is no more", used == set(VARIABLE), set(VARIABLE) - used)


# ------------------------------------------------------------------- verdict

def check_lines(backend):
    mine = [(level, text) for name, level, text in lines if name == backend]
    loud = [(level, text) for level, text in mine if level != "debug"]
    debug = [text for level, text in mine if level == "debug"]
    leaks = [line for line in loud if any(word in line[1] for word in WORDS)]
    check(f"{backend}: {len(loud)} lines of INFO and above name no folder", not leaks, leaks[:5])
    for level, what in (("info", '"msg": "save"'), ("warn", '"msg": "repeating a request"'),
                        ("warn", "could not be aborted"), ("warn", "not a folder of Persist"),
                        ("warn", "not an object of Persist"), ("warn", "7.snap")
                        if backend == "gcs" else ("info", ".snap")):
        check(f"{backend}: a line of level {level} says {what}",
              any(have == level and what in text for have, text in loud))
    for op in ("put", "upload_begin", "upload_part", "upload_commit", "upload_abort", "read",
               "head", "delete", "list"):
        check(f"{backend}: DEBUG names the whole key of {op}",
              any(f'"op": "{op}"' in text and FOLDER[:-1] in text for text in debug),
              [t for t in debug if '"op"' in t][:3])
    path = re.compile(r'"?> ?(?:GET|PUT|POST|DELETE|HEAD) \S*OUTERfolder(?:/|%2F)INNERfolder')
    check(f"{backend}: DEBUG names the whole path of requests",
          any(path.search(text) for text in debug))
    check(f"{backend}: what WARN shortens DEBUG has in full",
          any("that was" in text and FOLDER[:-1] in text for text in debug))


def main():
    kinds = [(make, make.kinds[i::3]) for make in (Gcs, S3) for i in range(3)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one_by_one, make) for make in (Gcs, S3)] + \
                [pool.submit(sweep_command, *each) for each in kinds]:
            done.result()
    check_sources()
    for make in (Gcs, S3):
        check_lines(make.name)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
