# SPDX-License-Identifier: Apache-2.0
"""The group `gcs` of tests/bench/run: Google Cloud Storage over the loopback.

The far end is gcs-sink, which speaks the resumable protocol and keeps nothing; a snapshot to restore
lies in a folder that it serves. curl, which talks to the same sink without any of the protocol, is the
limit.
"""
import os
import shutil

from loopback import OBJECT, Loopback, snapshot


class Gcs(Loopback):
    SINK = "gcs-sink"
    STORE = "backend = gcs\nbucket = bench\nanonymous = true\n"

    def __init__(self, runner, place):
        super().__init__(runner, place)
        runner.env["NO_GCE_CHECK"] = "true"

    def upload(self, port, question, faster, *beside):
        url = f"http://127.0.0.1:{port}/plain/x"
        self.runner.turns(
            self.place, "gcs", question, "MiB", self.mib,
            "persist save", f"exec {self.words(port)} save noise-$ROUND {self.random}",
            "curl -T", f"exec curl -q -sf -o /dev/null -T {self.random} {url}", *beside,
            rounds=self.rounds, reach=[{"side": 1, "speed": faster}])

    def save(self):
        with self.sink() as port:
            self.upload(port, f"save {self.mib} MiB of random bytes to GCS", 1 / 1.5,
                        "openssl dgst -sha256", f"exec openssl dgst -sha256 {self.random}")

    def restore(self):
        folder = self.place.fresh()
        root = snapshot(self.runner, self.place, self.mib, "stored-gcs")
        with self.sink("--root", root) as port:
            url = f"http://127.0.0.1:{port}/plain/{OBJECT}"
            self.runner.turns(
                self.place, "gcs", f"restore {self.mib} MiB from GCS to a file", "MiB", self.mib,
                "persist restore",
                f"exec {self.words(port)} restore noise/s1@0 -o {folder}/r-$ROUND",
                "curl -o FILE, synced",
                f"curl -q -sf -o {folder}/c-$ROUND {url} && sync {folder}/c-$ROUND",
                rounds=min(self.rounds, 3), reach=[{"side": 1, "speed": 1 / 0.9}])
        shutil.rmtree(folder)

    def link(self):
        """One connection, as a resumable session has it, of 20 ms and 50 MB/s."""
        with self.sink() as sink, self.slow_link(sink) as port:
            rounds, self.rounds = self.rounds, min(self.rounds, 2)
            self.upload(port, f"save {self.mib} MiB to GCS over a link of 20 ms and 50 MB/s", 0.9)
            self.rounds = rounds

    def saves(self):
        with self.sink() as port:
            row = self.runner.run(self.place, "net_saves", self.place.fresh(), f"http://127.0.0.1:{port}",
                                  self.rounds, 200 if self.runner.quick else 1000, "gcs")
            if row:
                row["group"] = "gcs"
                row["reach"] = [{"side": 1, "speed": 0.4}]


def measure(runner, place):
    if not os.path.exists(os.path.join(runner.build, "lib/persist/backend-1/gcs.so")):
        print("no gcs.so in this build: no gcs")
        return
    gcs = Gcs(runner, place)
    for name in runner.questions or ("save", "restore", "link", "saves"):
        getattr(gcs, name)()
