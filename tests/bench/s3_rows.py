# SPDX-License-Identifier: Apache-2.0
"""The group `network` of tests/bench/run: S3 over the loopback.

The far end is http-sink, which counts and keeps nothing; a snapshot to restore lies in a folder that it
serves. curl, unsigned, is the limit. The other clients come from `tests/servers/install rivals`.
"""
import os
import shutil
import subprocess

from loopback import OBJECT, Loopback, snapshot

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody", "AWS_REGION": "us-east-1"}
BUCKET = "bench-bucket"
# What the others must not find here.
CLEAN = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
         "AWS_EC2_METADATA_DISABLED": "true", "RCLONE_CONFIG": "/dev/null"}


def rivals_bin():
    """The folder with obstore's Python, aws, s5cmd and rclone; None: not to be had."""
    source = os.path.dirname(os.path.dirname(HERE))
    done = subprocess.run([os.path.join(source, "tests/servers/install"), "rivals"], check=False)
    where = subprocess.run(["sh", "-c", '. tests/servers/pins.sh; echo "$PERSIST_SERVERS/rivals/bin"'],
                           cwd=source, capture_output=True, text=True, check=True).stdout.strip()
    return where if done.returncode == 0 and os.path.isdir(where) else None


class S3(Loopback):
    """What the questions share: files, configuration, the others' command lines."""

    SINK = "http-sink"
    STORE = f"backend = s3\nbucket = {BUCKET}\nsign_payload = never\n"

    def __init__(self, runner, place):
        super().__init__(runner, place)
        self.rivals = rivals_bin()
        runner.env.update(KEYS, **CLEAN)
        runner.env.pop("AWS_CA_BUNDLE", None)

    def curl(self, port, more):
        return f"exec curl -q -sf {more} http://127.0.0.1:{port}/{BUCKET}/{OBJECT}"

    def others(self, port, up, folder=None):
        """Name, command, name, command ... of the other clients; down: into files of `folder`."""
        if self.rivals is None:
            return []
        url = f"http://127.0.0.1:{port}"
        sides = []
        for name in ("obstore", "rclone", "aws s3 cp", "s5cmd"):
            target = f"{folder}/{name.replace(' ', '-')}-$ROUND"
            here, there = (self.random, f"{BUCKET}/other") if up else (f"{BUCKET}/{OBJECT}", target)
            from_s3, to_s3 = ("", "s3://") if up else ("s3://", "")
            command = {
                "obstore": f"{self.rivals}/python {HERE}/obstore_side.py {'put' if up else 'get'} "
                           f"{url} {BUCKET} {'other' if up else OBJECT} {self.random if up else target}",
                "rclone": f"{self.rivals}/rclone -q copyto --s3-provider Other --s3-env-auth "
                          f"--s3-endpoint {url} --s3-no-check-bucket --ignore-checksum "
                          f"{from_s3 and ':s3:'}{here} {to_s3 and ':s3:'}{there}",
                "aws s3 cp": f"{self.rivals}/aws --endpoint-url {url} s3 cp --quiet "
                             f"{from_s3}{here} {to_s3}{there}",
                "s5cmd": f"{self.rivals}/s5cmd --endpoint-url {url} cp {from_s3}{here} {to_s3}{there}",
            }[name]
            sides += [name, f"exec {command}" if up else f"{command} && sync {target}"]
        return sides

    # -------------------------------------------------------------- questions

    def save(self):
        # rclone asks for the size of what it has sent.
        with self.sink("--object-bytes", str(self.mib * MIB)) as port:
            words = self.words(port)
            others = self.others(port, True)
            curl = ["curl -T, unsigned", self.curl(port, f"-o /dev/null -T {self.random}")]
            reach = [{"side": 2, "speed": 1 / 1.15}, *({"side": i, "speed": 1.5, "cpu": 0.5}
                                                       for i in (3, 4, 5))] if others else []
            self.runner.turns(
                self.place, "network", f"save {self.mib} MiB of random bytes to S3", "MiB", self.mib,
                "persist save", f"exec {words} save noise-$ROUND {self.random}", *curl, *others,
                rounds=self.rounds, reach=reach)
            self.runner.turns(
                self.place, "network", f"save {self.mib} MiB of random bytes from a pipe to S3",
                "MiB", self.mib, "persist save -",
                f"cat {self.random} | {words} save pipe-$ROUND -", *curl, *others[:2],
                rounds=self.rounds, reach=reach[:1])

    def restore(self):
        folder = self.place.fresh()
        stored = snapshot(self.runner, self.place, self.mib, "stored")
        with self.sink("--root", stored) as port:
            words = self.words(port)
            drain = os.path.join(self.runner.bin, "bench_drain")
            self.runner.turns(
                self.place, "network", f"restore {self.mib} MiB from S3 to a file", "MiB", self.mib,
                "persist restore", f"exec {words} restore noise/s1@0 -o {folder}/r-$ROUND",
                "curl -o FILE, synced",
                f"{self.curl(port, f'-o {folder}/c-$ROUND').replace('exec ', '')} && "
                f"sync {folder}/c-$ROUND", *self.others(port, False, folder), rounds=min(self.rounds, 3),
                reach=[{"side": 1, "speed": 1 / 0.85}])
            shutil.rmtree(folder)
            self.runner.turns(
                self.place, "network", f"restore {self.mib} MiB from S3 to a pipe", "MiB", self.mib,
                "persist restore", f"{words} restore noise/s1@0 | {drain}",
                "curl >/dev/null", self.curl(port, "-o /dev/null"),
                "openssl dgst -sha256", f"exec openssl dgst -sha256 {self.random}",
                rounds=self.rounds, reach=[{"slower_of": [1, 2], "wall": 1.15}])

    def link(self):
        """20 ms of round trip and 50 MB/s for each connection."""
        what = "over a link of 20 ms and 50 MB/s a connection"
        scale = self.mib / 1024
        folder = self.place.fresh()
        with self.sink("--object-bytes", str(self.mib * MIB)) as sink, self.slow_link(sink) as port:
            self.runner.turns(
                self.place, "network", f"save {self.mib} MiB to S3 {what}", "MiB", self.mib,
                "persist save", f"exec {self.words(port)} save noise-$ROUND {self.random}",
                *self.others(port, True), rounds=min(self.rounds, 3),
                reach=[{"wall_s": 2.1 * scale}])
        far = snapshot(self.runner, self.place, self.mib, "far")
        with self.sink("--root", far) as sink, self.slow_link(sink) as port:
            self.runner.turns(
                self.place, "network", f"restore {self.mib} MiB from S3 {what}", "MiB", self.mib,
                "persist restore", f"exec {self.words(port)} restore noise/s1@0 -o {folder}/r-$ROUND",
                *self.others(port, False, folder), rounds=min(self.rounds, 3),
                reach=[{"wall_s": 2.2 * scale}])
        shutil.rmtree(folder)

    def memory(self):
        gib = 1 if self.runner.quick else 10
        times = max(1, gib * 1024 // self.mib)
        total = times * self.mib
        feed = f"i=0; while [ $i -lt {times} ]; do cat {self.random}; i=$((i+1)); done"
        root = snapshot(self.runner, self.place, total, "large")
        for limit, most in (("48M", 64), ("", 300)):
            more = ["--memory-limit", limit] if limit else []
            label = f"memory limit {limit or 'default'}"
            with self.sink("--root", root) as port:
                words = self.words(port, *more)
                self.runner.turns(
                    self.place, "network", f"stream {total} MiB to S3, {label}", "MiB", total,
                    "persist save -", f"{{ {feed}; }} | {words} save s -", rounds=1,
                    reach=[{"rss_mib": most}])
                self.runner.turns(
                    self.place, "network", f"restore {total} MiB from S3, {label}", "MiB", total,
                    "persist restore", f"exec {words} restore noise/s1@0", rounds=1,
                    reach=[{"rss_mib": most}])
        shutil.rmtree(root)

    def list(self):
        """Flat: ten times the names need the same memory."""
        row = None
        for keys in (10000, 100000):
            with self.sink("--keys", str(keys)) as port:
                reach = [] if row is None else [
                    {"wall_s": 0.5}, {"rss_mib": row["sides"][0]["rss_mib"] + 4}]
                url = f"http://127.0.0.1:{port}/{BUCKET}?list-type=2&prefix=noise%2Fs1%2F"
                pages = os.path.join(self.place.fresh(), "pages")
                with open(pages, "w", encoding="utf-8") as f:
                    for left in range(keys, 0, -1000):
                        after = f"&start-after=t-{left}" if left < keys else ""
                        f.write(f'url = "{url}{after}"\noutput = "/dev/null"\n')
                row = self.runner.turns(
                    self.place, "network", f"list {keys:,} snapshots of S3", "names", keys,
                    "persist list", f"exec {self.words(port)} list noise/s1",
                    "curl, the pages alone", f"exec curl -q -sf -K {pages}", rounds=self.rounds,
                    reach=reach)


def measure(runner, place):
    if not os.path.exists(os.path.join(runner.build, "lib/persist/backend-1/s3.so")):
        print("no s3.so in this build: no network")
        return
    s3 = S3(runner, place)
    questions = runner.questions or ("save", "restore", "link", "saves", "list", "memory")
    for name in questions:
        if name == "saves":
            with s3.sink() as port:
                runner.run(place, "net_saves", place.fresh(), f"http://127.0.0.1:{port}", s3.rounds,
                           200 if runner.quick else 1000)
        else:
            getattr(s3, name)()
