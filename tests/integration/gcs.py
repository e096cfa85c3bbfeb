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
                              capture_output=True, check=False, timeout=300, **more)
        self.assertEqual(done.returncode, want, (words, done.stdout[-500:], done.stderr[-2000:]))
        return done

    def file(self, size, seed=1):
        path = os.path.join(self.folder, f"data-{size}-{seed}")
        with open(path, "wb") as f:
            numbers = random.Random(seed)
            for at in range(0, size, 64 * M):
                f.write(numbers.randbytes(min(64 * M, size - at)))
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

    def test_damage_on_the_way_is_read_again(self):
        """A frame has a checksum of its own, where a range of an object has none."""
        for size in (4096, 12 * M):
            path = self.file(size)
            self.run_persist("save", f"writer/d{size}", path)
            with open(path, "rb") as f:
                data = f.read()
            for words in (["restore", f"writer/d{size}@0"], ["verify", f"writer/d{size}@0"]):
                again = 0
                for nth in range(1, 6):
                    self.server.fault("read", "corrupt", nth=nth)
                    done = self.run_persist(*words)
                    self.server.clear()
                    again += b"read once more" in done.stderr
                    if words[0] == "restore":
                        self.assertEqual(done.stdout, data)
                self.assertGreater(again, 0, words)
                self.server.fault("read", "corrupt", times=1000)
                self.run_persist(*words, want=6)
                self.server.clear()

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

    def test_replaced_while_it_is_restored(self):
        """Between the reads of one restore the object becomes another: never bytes of both."""
        path = self.file(20 * M)
        self.run_persist("save", "w/x", path)
        out = os.path.join(self.folder, "out")
        for nth in (2, 3, 4):
            self.server.clear()
            self.server.fault("read", "replaced", nth=nth)
            done = subprocess.run([PERSIST, "-c", self.config, "restore", "w/x@0", "-o", out],
                                  env=self.env, capture_output=True, check=False, timeout=120)
            self.assertTrue([e for e in self.server.log if e.get("fault") == "replaced"])
            self.assertIn(done.returncode, (5, 6), done.stderr)
            self.assertFalse(os.path.exists(out))
            data = [n for n in self.server.buckets["bucket"] if n.endswith(".data")][0]
            self.server.create("bucket", data, self.server.buckets["bucket"][data].data[::-1], {}, {})
        self.server.clear()
        with open(path, "rb") as f:
            self.assertEqual(self.restored("w/x@0"), f.read())

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

    def kill_a_save(self, words, size):
        """Kills the command once the service holds a random share of so many bytes; the session
        that is left, with what it holds when all that was on its way has arrived."""
        target = random.SystemRandom().randrange(size // 20, size * 9 // 10)
        process = subprocess.Popen([PERSIST, "-c", self.config, *words], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            sessions = list(self.server.sessions.values())
            if sessions and len(sessions[0].data) >= target:
                break
            time.sleep(0.0005)
        process.kill()
        process.communicate()
        self.server.wait_idle()
        self.assertEqual(len(self.server.sessions), 1)
        session = next(iter(self.server.sessions.values()))
        self.assertIsNone(session.finished, "it was not killed in time")
        self.assertGreaterEqual(len(session.data), target)
        return session

    def go_on(self, size, chunk_size):
        """persist save --resume: what the service acknowledged is not sent again, as its log says;
        the object is whole."""
        self.configure(bucket="bucket", endpoint=self.server.url, anonymous="true",
                       chunk_size=chunk_size)
        path = self.file(size, 7)
        words = ["save", "w/big", path, "--resume"]
        session = self.kill_a_save(words, size)
        held = len(session.data)
        self.server.clear()
        self.run_persist(*words)
        self.assertEqual(len(self.server.sessions), 1, "another upload was begun")
        self.assertIsNotNone(session.finished)
        sent = self.server.of_kind("chunk", "final")
        self.assertEqual(sum(e["length"] for e in sent), len(session.data) - held)
        self.assertEqual([e for e in sent if e.get("resent")], [])
        self.assertEqual(len(self.server.of_kind("query")), 1, "it did not ask how far it was")
        with open(path, "rb") as f:
            self.assertEqual(self.restored("w/big"), f.read())
        self.server.sessions.clear()
        self.server.buckets["bucket"].clear()

    def test_killed_save_goes_on_in_a_new_process(self):
        self.go_on(64 * M, "1M")   # between requests, mostly
        self.go_on(64 * M, "16M")  # within one

    @unittest.skipUnless("PERSIST_LONG" in os.environ, "long form")
    def test_killed_save_of_1_gib_goes_on_in_a_new_process(self):
        self.go_on(1 << 30, "64M")

    def test_what_was_sent_is_not_what_is_to_be_saved(self):
        """The service holds other bytes than this run makes: it starts anew, by itself."""
        path = self.file(64 * M, 7)
        words = ["save", "w/big", path, "--resume"]
        session = self.kill_a_save(words, 64 * M)
        session.data[len(session.data) // 2] ^= 1
        self.run_persist(*words)
        self.assertEqual(len(self.server.sessions), 2)
        self.assertTrue(session.cancelled)
        with open(path, "rb") as f:
            self.assertEqual(self.restored("w/big"), f.read())
        self.assertEqual(len([n for n in self.server.buckets["bucket"] if n.endswith(".data")]), 1)

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
