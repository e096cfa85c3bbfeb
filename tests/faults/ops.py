# SPDX-License-Identifier: Apache-2.0
"""Drives backend-ops (backend_ops.c): a backend in a process of its own, one op a call."""
import json
import os
import subprocess

BUILD = os.environ.get("BUILD_DIR", "")


class Backend:
    """A store; `with` closes it, which fails the test where the backend leaks."""

    def __init__(self, name, env=None, **options):
        command = [os.environ.get("BACKEND_OPS", os.path.join(BUILD, "tests/bin/backend-ops")),
                   os.path.join(os.environ["BACKENDS"], name + ".so")]
        command += [f"{key}={value}" for key, value in options.items()]
        environment = {k: v for k, v in os.environ.items()
                       if not k.lower().endswith("_proxy")}
        environment.update(env or {})
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment, text=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is not None and kind is None and self.process.returncode:
            raise AssertionError("the backend's process ended: " + self.process.stderr.read())
        _, stderr = self.process.communicate()
        if kind is None and self.process.returncode:
            raise AssertionError("backend-ops failed: " + stderr)

    def send(self, op, **more):
        """Starts an op; receive() gives its answer."""
        self.process.stdin.write(json.dumps({"op": op, **more}) + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise AssertionError("the backend's process ended: " + self.process.stderr.read())
        return json.loads(line)

    def __call__(self, op, **more):
        self.send(op, **more)
        return self.receive()

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def failed_open(self):
        """What it says when the store does not open."""
        _, stderr = self.process.communicate()
        assert self.process.returncode == 2, self.process.returncode
        return stderr

    # ------------------------------------------------------------- uploads

    def repeat(self, op, tries=6, **more):
        """As the host repeats, without waiting."""
        answers = []
        for attempt in range(1, tries + 1):
            answers.append(self(op, attempt=attempt, **more))
            if answers[-1]["rc"] not in ("transient", "uncertain", "throttled", "timeout"):
                break
        answers[-1]["attempts"] = len(answers)
        return answers[-1]

    def upload(self, key, path, part, upload=None, if_absent=True, commit=True):
        """begin (or an id of before), parts of `part` bytes, commit."""
        size = os.path.getsize(path)
        upload = upload or self.repeat("begin", key=key, if_absent=if_absent)["id"]
        receipts, at, number = [], 0, 0
        while at < size or number == 0:
            number += 1
            length = min(part, size - at)
            last = at + length == size
            answer = self.repeat("part", key=key, id=upload, number=number, at=at, offset=at,
                                 len=length, last=last, file=path)
            if answer["rc"] != "ok":
                return answer
            receipts.append(answer["receipt"])
            at += length
        answer = {"rc": "ok", "receipts": receipts, "id": upload}
        if commit:
            answer = self.repeat("commit", key=key, id=upload, receipts=receipts, size=size,
                                 if_absent=if_absent)
            answer["id"] = upload
        return answer
