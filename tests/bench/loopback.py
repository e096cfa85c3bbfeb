# SPDX-License-Identifier: Apache-2.0
"""What questions to a store over the loopback share: the far end, a snapshot that it serves, the command
with a store there."""
import contextlib
import os
import subprocess

OBJECT = "noise/s1/999999999999999/999-0.data"  # of the first snapshot of noise/s1


@contextlib.contextmanager
def program(*words):
    """A server that says "listening on PORT"; its port."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def snapshot(runner, place, mib, name):
    """A folder that holds noise/s1@0, which is so large, as a store would."""
    root = os.path.join(place.fresh(), name)
    os.mkdir(root)
    conf = root + ".conf"
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"[store main]\nbackend = local\nroot = {root}\n")
    os.chmod(conf, 0o600)
    times = max(1, mib // (64 if runner.quick else 1024))
    feed = f"i=0; while [ $i -lt {times} ]; do cat {runner.random_file()}; i=$((i+1)); done"
    subprocess.run(["sh", "-c", f"{feed} | "
                    f"{runner.persist} -q -c {conf} save noise/s1 -"],
                   env=runner.env, check=True, stdout=subprocess.DEVNULL)
    return root


class Loopback:
    SINK = None  # the program at the far end
    STORE = None  # the store's lines of the configuration, but for the endpoint

    def __init__(self, runner, place):
        self.runner = runner
        self.place = place
        self.mib = 64 if runner.quick else 1024
        self.rounds = min(runner.rounds, 5)
        self.random = runner.random_file()
        for name in [x for x in runner.env if x.lower() in ("http_proxy", "https_proxy", "all_proxy")]:
            del runner.env[name]

    def sink(self, *options):
        return program(os.path.join(self.runner.bin, self.SINK), *options)

    def slow_link(self, port):
        """20 ms of round trip and 50 MB/s for each connection to that port."""
        return program(os.path.join(self.runner.build, "tests/bin/tcp-proxy"), "--round-trip-ms", "20",
                       "--bytes-per-second", "50000000", "--to", port)

    def words(self, port, *options):
        """The command with a store there."""
        path = os.path.join(self.place.fresh(), "store.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"[store main]\n{self.STORE}endpoint = http://127.0.0.1:{port}\n")
        os.chmod(path, 0o600)
        return " ".join([self.runner.persist, "-q", "-c", path, *options])
