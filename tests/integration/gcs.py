#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The persist command on stores in Google Cloud Storage: fake-gcs-server for what a user does,
our own strict server for what must not go wrong, and docs/gcs.md against the plugin.

usage: gcs.py            (starts fake-gcs-server through tests/servers/with)
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "faults"))
import gcs_server  # noqa: E402

PERSIST = os.environ["PERSIST"]
M = 1 << 20


class Store(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.env.update(HOME=self.folder, PERSIST_BACKEND_DIR=os.environ["BACKENDS"],
                        NO_GCE_CHECK="true")
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "GOOGLE_APPLICATION_CREDENTIALS"):
            self.env.pop(name, None)

    def configure(self, **options):
        self.config = os.path.join(self.folder, "persist.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("[store cloud]\nbackend = gcs\n")
            for key, value in options.items():
                f.write(f"{key} = {value}\n")
        os.chmod(self.config, 0o600)

    def run_persist(self, *words, want=0, **more):
        done = subprocess.run([PERSIST, "-c", self.config, *words], env=self.env,
                              capture_output=True, check=False, timeout=120, **more)
        self.assertEqual(done.returncode, want, (words, done.stdout[-500:], done.stderr[-2000:]))
        return done

    def file(self, size, seed=1):
        path = os.path.join(self.folder, f"data-{size}-{seed}")
        with open(path, "wb") as f:
            f.write(random.Random(seed).randbytes(size))
        return path

    def restored(self, address):
        path = os.path.join(self.folder, "restored")
        self.run_persist("restore", address, "-o", path, "--overwrite")
        with open(path, "rb") as f:
            return f.read()

    def round_trip(self):
        """What a user does, small and large."""
        for size in (0, 5, 3 * M, 20 * M):
            path = self.file(size)
            self.run_persist("save", f"writer/s{size}", path)
            with open(path, "rb") as f:
                self.assertEqual(self.restored(f"writer/s{size}"), f.read())
        self.run_persist("save", "writer/s5", "-", input=b"second")
        lines = [json.loads(line) for line in
                 self.run_persist("list", "writer/s5", "--json").stdout.splitlines()]
        indices = [line["snapshot_index"] for line in lines if line["type"] == "snapshot"]
        self.assertEqual(len(indices), 2, lines)
        self.run_persist("verify", "writer/s20971520")
        self.run_persist("show", "writer/s5")
        self.run_persist("delete", "writer/s5@latest")
        self.assertEqual(len(self.restored("writer/s5")), 5)
        self.run_persist("restore", "writer/nobody", want=4)
        self.assertIn(b"listing", self.run_persist("doctor", "cloud").stdout)


class FakeGcsServer(Store):
    def test_round_trip(self):
        self.configure(bucket=os.environ["GCS_BUCKET"], prefix="team")
        self.env["STORAGE_EMULATOR_HOST"] = os.environ["STORAGE_EMULATOR_HOST"]
        self.round_trip()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                os.environ["GCS_ENDPOINT"] + "/storage/v1/b/" + os.environ["GCS_BUCKET"] +
                "/o") as reply:
            names = [item["name"] for item in json.load(reply)["items"]]
        self.assertTrue(names and all(name.startswith("team/writer/") for name in names), names)


class Strict(Store):
    def setUp(self):
        super().setUp()
        self.server = gcs_server.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.stop_stalls.set)
        self.configure(bucket="bucket", endpoint=self.server.url, anonymous="true",
                       chunk_size="1M")

    def test_round_trip(self):
        self.round_trip()
        self.assertEqual(sum(e.get("resent", 0) for e in self.server.log), 0)
        sessions = list(self.server.sessions.values())
        self.assertTrue(all(s.finished or s.cancelled for s in sessions))

    def test_requests_per_command(self):
        """The table of docs/gcs.md, "What it costs"."""
        small, large = self.file(M), self.file(20 * M)
        class_a = ("put", "start", "final", "list", "bucket", "permissions")
        class_b = ("read", "look")

        def cost(*words):
            self.server.clear()
            self.run_persist(*words)
            return len(self.server.of_kind(*class_a)), len(self.server.of_kind(*class_b))

        self.assertEqual(cost("save", "w/small", small), (2, 0))
        self.assertEqual(cost("save", "w/large", large), (4, 0))
        out = ("-o", os.path.join(self.folder, "out"), "--overwrite")
        self.assertEqual(cost("restore", "w/small", *out), (1, 3))
        self.assertEqual(cost("restore", "w/small@0", *out), (0, 3))
        self.assertEqual(cost("verify", "w/small@0"), (0, 1))
        self.assertEqual(cost("show", "w/small"), (1, 2))
        self.assertEqual(cost("list", "w/small"), (1, 0))
        self.assertEqual(cost("delete", "w/small@0"), (1, 1))
        self.assertEqual(cost("delete", "w/large@0"), (1, 3))

    def test_interrupted_save_leaves_no_session(self):
        self.server.fault("chunk", "stall", nth=3, times=50, seconds=20)
        process = subprocess.Popen(
            [PERSIST, "-c", self.config, "save", "w/x", self.file(20 * M)], env=self.env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while len(self.server.of_kind("chunk")) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.server.faults.clear()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertTrue(self.server.sessions)
        self.assertTrue(all(s.cancelled for s in self.server.sessions.values()))
        self.assertEqual([n for n in self.server.buckets["bucket"] if n.endswith(".data")], [])

    def test_killed_save_goes_on_in_a_new_process(self):
        """persist save --resume: what the service acknowledged is not sent again."""
        path = self.file(40 * M, 7)
        words = ["save", "w/big", path, "--resume"]
        if b"--resume" not in self.run_persist("help", "save").stdout:
            self.run_persist(*words, want=2)  # not in this build: refused, not ignored
            return
        process = subprocess.Popen([PERSIST, "-c", self.config, *words], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wanted = random.SystemRandom().randrange(5, 30)
        deadline = time.monotonic() + 60
        while len(self.server.of_kind("chunk")) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        self.assertEqual(len(self.server.sessions), 1)
        session = next(iter(self.server.sessions.values()))
        time.sleep(0.2)  # what is on its way arrives
        held = len(session.data)
        self.assertIsNone(session.finished)
        self.server.clear()
        self.run_persist(*words)
        self.assertEqual(len(self.server.sessions), 1, "another upload was begun")
        self.assertIsNotNone(session.finished)
        sent = sum(e["length"] for e in self.server.of_kind("chunk", "final"))
        self.assertEqual(sent, len(session.data) - held)
        with open(path, "rb") as f:
            self.assertEqual(self.restored("w/big"), f.read())

    def test_options_are_those_of_the_page(self):
        done = subprocess.run([PERSIST, "backends", "gcs", "--json"], env=self.env,
                              capture_output=True, check=True)
        options = {}
        for line in done.stdout.splitlines():
            found = json.loads(line)
            for option in found.get("options", [found] if "key" in found else []):
                options[option["key"]] = option
        with open(os.path.join(os.environ["SOURCE_DIR"], "docs/gcs.md"), encoding="utf-8") as f:
            rows = re.findall(r"^\| `(\w+)` \| ([a-zA-Z/]+) \|([^|]*)\|",
                              re.split("^## ", f.read(), flags=re.M)[2], flags=re.M)
        self.assertEqual({row[0] for row in rows}, set(options))
        for key, _, default in rows:
            told = options[key].get("default")
            want = default.strip().strip("`")
            self.assertEqual(told or ("required" if options[key].get("required") else ""), want,
                             key)


if __name__ == "__main__":
    if "GCS_BUCKET" not in os.environ:
        servers = os.path.join(os.path.dirname(HERE), "servers", "with")
        os.execv(servers, [servers, "fake-gcs-server", "--", sys.executable, __file__,
                           *sys.argv[1:]])
    unittest.main()
