#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The IAM policies of docs/security.md against what the verbs really ask for.

usage: tests/servers/with faults-s3 -- iam_policies.py

The server is told to refuse every action that a policy does not allow; the verbs
of its role then have to work, and each of the actions it allows has to be used.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

PERSIST = os.environ["PERSIST"]
ENDPOINT = os.environ["S3_ENDPOINT"]
VIA = os.environ[os.environ.get("S3_VIA", "S3_ENDPOINT")]  # a proxy in front of it, perhaps
BUCKET = os.environ["S3_BUCKET"]
PAGE = os.path.join(os.environ["SOURCE_DIR"], "docs", "security.md")
# The actions the server knows, as its documentation names them.
ACTIONS = {"s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket",
           "s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads",
           "s3:ListMultipartUploadParts"}
KINDS = {"put": "s3:PutObject", "create": "s3:PutObject", "part": "s3:PutObject",
         "complete": "s3:PutObject", "get": "s3:GetObject", "head": "s3:GetObject",
         "delete": "s3:DeleteObject", "list": "s3:ListBucket",
         "bucket": "s3:ListBucket", "abort": "s3:AbortMultipartUpload",
         "uploads": "s3:ListBucketMultipartUploads", "parts": "s3:ListMultipartUploadParts"}
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
failures = 0


def check(name, good, detail=""):
    global failures
    print(("ok " if good else "not ok ") + name, flush=True)
    if not good:
        failures += 1
        print(f"  {detail}", flush=True)


def control(method, path, value=None):
    data = None if value is None else json.dumps(value).encode()
    with OPEN(urllib.request.Request(f"{ENDPOINT}/_faults/{path}", method=method,
                                     data=data)) as reply:
        return json.load(reply)


def policies():
    """{role: [statement]} from the page."""
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    found = re.findall(r"<!-- policy: (\w+) -->.*?```json\n(.*?)```", text, re.S)
    return {role: json.loads(body)["Statement"] for role, body in found}


def allowed(statements):
    actions = set()
    for s in statements:
        assert s["Effect"] == "Allow"
        actions |= {s["Action"]} if isinstance(s["Action"], str) else set(s["Action"])
    return actions


class Store:
    def __init__(self, folder):
        self.config = os.path.join(folder, "persist.conf")
        self.big = os.path.join(folder, "big")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"[persist]\nstore = s\n[store s]\nbackend = s3\nbucket = {BUCKET}\n"
                    f"endpoint = {VIA}\nprefix = PREFIX\n")
        os.chmod(self.config, 0o600)
        with open(self.big, "wb") as f:
            f.write(os.urandom(20 << 20))

    def run(self, *words, data=b"state"):
        env = dict(os.environ, PERSIST_BACKEND_DIR=os.environ["BACKENDS"],
                   XDG_STATE_HOME=os.path.dirname(self.config))
        return subprocess.run([PERSIST, "-c", self.config, *words], env=env, input=data,
                              capture_output=True, timeout=120, check=False)

    def works(self, role, *words):
        done = self.run(*words)
        check(f"{role}: {' '.join(words[:2])}", done.returncode == 0,
              done.stderr.decode(errors="replace")[-600:])


def abandoned(store):
    """A save whose commit is refused: it has to take its parts back."""
    control("POST", "plan", {"kind": "complete", "what": "status", "status": 403,
                             "code": "AccessDenied"})
    done = store.run("save", "agent/failed", store.big)
    check("save: a refused commit fails", done.returncode != 0)


def lost_begin(store):
    """An upload whose beginning is not acknowledged: it has to be found and taken back."""
    control("POST", "plan", {"kind": "create", "what": "lost"})
    store.works("save", "save", "agent/begun-twice", store.big)


def unfinished(store):
    """An upload that stays behind: neither its commit nor its abort is let through."""
    for kind, times in (("complete", 1), ("abort", 20)):
        control("POST", "plan", {"kind": kind, "what": "status", "status": 403,
                                 "code": "AccessDenied", "times": times})
    done = store.run("save", "agent/unfinished", store.big)
    check("admin: an upload stays behind", done.returncode != 0)
    control("DELETE", "plan")


def lost_reply(store):
    """A save whose acknowledgement is lost: it has to see whose the object is."""
    control("POST", "plan", {"kind": "put", "what": "lost"})
    done = store.run("save", "agent/lost", "-")
    check("save: after a lost reply", done.returncode == 0,
          done.stderr.decode(errors="replace")[-600:])


def save(store):
    store.works("save", "save", "agent/session", "-")
    store.works("save", "save", "agent/session", store.big)
    lost_reply(store)
    lost_begin(store)
    abandoned(store)


def restore(store):
    for words in (["restore", "agent/session"], ["list"], ["list", "agent/session"],
                  ["show", "agent/session"], ["verify", "agent/session"]):
        store.works("restore", *words)


def admin(store):
    save(store)
    restore(store)
    store.works("admin", "delete", "agent/session@1")
    unfinished(store)
    store.works("admin", "doctor", "s")
    store.works("admin", "cleanup", "--older-than", "1s")


def refused(role, store, *words):
    done = store.run("--timeout", "60s", *words)
    check(f"{role}: no {words[0]}", done.returncode != 0 and b"denied" in done.stderr.lower()
          or b"not permitted" in done.stderr.lower() or b"AccessDenied" in done.stderr,
          done.stderr.decode(errors="replace")[-600:])


def try_role(role, statements, store):
    actions = allowed(statements)
    check(f"{role}: only actions S3 has", actions <= ACTIONS, actions - ACTIONS)
    control("PUT", "settings", {"denied": sorted(ACTIONS - actions)})
    control("DELETE", "log")
    {"save": save, "restore": restore, "admin": admin}[role](store)
    log = control("GET", "log")
    used = {KINDS[e["kind"]] for e in log if e["kind"] in KINDS}
    check(f"{role}: nothing was asked for that is not allowed", used <= actions, used - actions)
    check(f"{role}: nothing is allowed that was not used", actions <= used, actions - used)
    outside = [e["path"] for e in log if e["kind"] not in ("list", "bucket", "uploads")
               and not e["path"].startswith(f"/{BUCKET}/PREFIX/")]
    check(f"{role}: no object outside the prefix", not outside, outside[:3])
    lists = [e["query"] for e in log if e["kind"] in ("list", "uploads")
             and not prefix_of(e["query"]).startswith("PREFIX/")]
    check(f"{role}: no listing outside the prefix", not lists, lists[:3])


def prefix_of(query):
    value = query.get("prefix", "") if isinstance(query, dict) else query
    return value[0] if isinstance(value, list) else value


def main():
    found = policies()
    check("the page has the three roles", set(found) == {"save", "restore", "admin"}, set(found))
    with tempfile.TemporaryDirectory(prefix="persist-iam-") as folder:
        store = Store(folder)
        for role in ("save", "restore", "admin"):
            try_role(role, found[role], store)
        control("PUT", "settings", {"denied": sorted(ACTIONS - allowed(found["restore"]))})
        refused("restore", store, "save", "agent/session", "-")
        refused("restore", store, "delete", "agent/session@0")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
