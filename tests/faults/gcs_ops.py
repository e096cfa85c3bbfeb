#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What single ops of the GCS backend make of a service that fails: one test per fault."""
import hashlib
import os
import random
import tempfile
import threading
import time
import unittest

import crc32c
import gcs_server
from ops import Backend

K = 1024
M = K * K
CHUNK = 256 * K


class Case(unittest.TestCase):
    def setUp(self):
        self.server = gcs_server.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.stop_stalls.set)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def store(self, env=None, **options):
        options.setdefault("anonymous", "true")
        options.setdefault("endpoint", self.server.url)
        return Backend("gcs", env=env, bucket="bucket", **options)

    def file(self, size, seed=1):
        path = os.path.join(self.folder, f"data-{size}-{seed}")
        with open(path, "wb") as out:
            numbers = random.Random(seed)
            for at in range(0, size, 64 * M):
                out.write(numbers.randbytes(min(64 * M, size - at)))
        return path

    def objects(self):
        return self.server.buckets["bucket"]

    def put_object(self, name, data, **metadata):
        return self.server.create("bucket", name, data, metadata, {})

    def assert_holds(self, name, path):
        with open(path, "rb") as f:
            self.assertEqual(hashlib.sha256(self.objects()[name].data).digest(),
                             hashlib.sha256(f.read()).digest())

    def rc(self, answer, want):
        self.assertEqual(answer["rc"], want, answer)
        return answer


class Put(Case):
    def test_metadata_and_checksum_go_along(self):
        with self.store(prefix="team/x", storage_class="nearline", temporary_hold="true",
                        kms_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k") as b:
            answer = self.rc(b("put", key="a/b.snap", text="hello world", if_absent=True), "ok")
        made = self.objects()["team/x/a/b.snap"]
        self.assertEqual(answer["etag"], str(made.generation))
        self.assertEqual(made.data, b"hello world")
        self.assertEqual(made.metadata["contentType"], "application/octet-stream")
        self.assertEqual(made.metadata["storageClass"], "NEARLINE")
        self.assertEqual(made.metadata["cacheControl"], "no-transform")
        self.assertIs(made.metadata["temporaryHold"], True)
        sent = self.server.of_kind("put")[0]
        self.assertEqual(sent["query"]["ifGenerationMatch"], "0")
        self.assertEqual(sent["query"]["kmsKeyName"],
                         "projects/p/locations/l/keyRings/r/cryptoKeys/k")
        self.assertEqual(len(self.server.log), 1)

    def test_retention_is_set(self):
        with self.store(retention_mode="unlocked", retain_for="2d") as b:
            self.rc(b("put", key="a", text="x", if_absent=True), "ok")
            kept = self.objects()["a"].metadata["retention"]
            self.assertEqual(kept["mode"], "Unlocked")
            until = time.mktime(time.strptime(kept["retainUntilTime"], "%Y-%m-%dT%H:%M:%SZ"))
            self.assertAlmostEqual(until - time.mktime(time.gmtime()), 2 * 86400, delta=60)
            answer = self.rc(b("delete", key="a"), "denied")
        self.assertEqual(answer["error"]["code"], "retentionPolicyNotMet")

    def test_exists_and_replace(self):
        with self.store() as b:
            self.rc(b("put", key="a", text="1", if_absent=True), "ok")
            self.rc(b("put", key="a", text="2", if_absent=True), "exists")
            self.rc(b("put", key="a", text="3"), "ok")
        self.assertEqual(self.objects()["a"].data, b"3")

    def test_empty_object(self):
        with self.store() as b:
            self.rc(b("put", key="a", text="", if_absent=True), "ok")
        self.assertEqual(self.objects()["a"].data, b"")

    def test_lost_answer_is_uncertain_and_then_exists(self):
        self.server.fault("put", "lost")
        with self.store() as b:
            self.rc(b("put", key="a", text="x", if_absent=True), "uncertain")
            self.rc(b("put", key="a", text="x", if_absent=True, attempt=2), "exists")

    def test_damaged_on_the_way_up_is_sent_once_more(self):
        self.server.fault("put", "corrupt_sent")
        with self.store() as b:
            answer = self.rc(b("put", key="a", text="hello", if_absent=True), "ok")
        first, second = self.server.of_kind("put")
        self.assertEqual(first["status"], 400)
        self.assertNotEqual(first["port"], second["port"], "not a new connection")
        self.assertTrue(any("damaged" in line[1] for line in answer["log"]))

    def test_damaged_twice_is_corrupt_and_not_there(self):
        self.server.fault("put", "corrupt_sent", times=2)
        with self.store() as b:
            self.rc(b("put", key="a", text="hello", if_absent=True), "corrupt")
        self.assertEqual(self.objects(), {})

    def test_stored_with_other_bytes_is_deleted_again(self):
        self.server.fault("put", "corrupt_stored", times=2)
        with self.store() as b:
            self.rc(b("put", key="a", text="hello", if_absent=True), "corrupt")
        self.assertEqual(self.objects(), {})
        self.assertEqual(len(self.server.of_kind("delete")), 2)
        self.assertTrue(all("ifGenerationMatch" in d["query"]
                            for d in self.server.of_kind("delete")))

    def test_wrong_checksum_in_the_metadata(self):
        self.server.fault("put", "corrupt", times=2)
        with self.store() as b:
            self.rc(b("put", key="a", text="hello", if_absent=True), "corrupt")
        self.assertEqual(self.objects(), {})

    def test_wrong_checksum_of_the_caller_is_not_sent(self):
        with self.store() as b:
            self.rc(b("put", key="a", text="hello", crc32c=1, if_absent=True), "corrupt")
        self.assertEqual(self.server.log, [])

    def test_answers_that_are_none(self):
        for what, want in (("garbage", "uncertain"), ("truncated", "uncertain"),
                           ("reset", "uncertain")):
            self.server.clear()
            self.server.fault("put", what)
            with self.store() as b:
                self.rc(b("put", key=what, text="x", if_absent=True), want)

    def test_statuses(self):
        table = ((403, "forbidden", "denied"), (403, "rateLimitExceeded", "throttled"),
                 (403, "userRateLimitExceeded", "throttled"), (408, "timeout", "transient"),
                 (429, "rateLimitExceeded", "throttled"), (500, "internalError", "uncertain"),
                 (502, "badGateway", "uncertain"), (503, "backendError", "transient"),
                 (504, "gatewayTimeout", "uncertain"), (404, "notFound", "config"),
                 (409, "conflict", "transient"), (413, "uploadTooLarge", "invalid"),
                 (307, "redirect", "config"), (301, "redirect", "config"), (501, "x", "unsupported"))
        with self.store() as b:
            for status, reason, want in table:
                self.server.clear()
                self.server.fault("put", "status", status=status, reason=reason,
                                  headers={"Location": "http://127.0.0.1:1/elsewhere"})
                answer = self.rc(b("put", key="a", text="x", if_absent=True), want)
                self.assertEqual(answer["error"]["http"], status)
                self.assertEqual(answer["error"]["code"], reason)
                self.assertTrue(answer["error"]["request_id"].startswith("request-"))
                self.assertEqual(len(self.server.log), 1, "repeated, or a redirect followed")

    def test_retry_after(self):
        self.server.fault("put", "status", status=503, headers={"Retry-After": "7"})
        with self.store() as b:
            answer = self.rc(b("put", key="a", text="x", if_absent=True), "transient")
        self.assertEqual(answer["error"]["retry_after_ms"], 7000)

    def test_one_write_a_second(self):
        self.server.one_write_a_second = True
        with self.store() as b:
            self.rc(b("put", key="a", text="1"), "ok")
            self.rc(b("put", key="a", text="2"), "throttled")
            time.sleep(1.1)
            self.rc(b("put", key="a", text="2", attempt=2), "ok")

    def test_bucket_is_missing(self):
        self.server.buckets = {"other": {}}
        with self.store() as b:
            for op, more in (("put", {"text": "x"}), ("begin", {}), ("head", {}), ("list", {})):
                answer = self.rc(b(op, key="a", if_absent=True, **more), "config")
                self.assertIn("bucket does not exist", answer["error"]["message"])

    def test_user_project(self):
        with self.store(user_project="who-pays") as b:
            self.rc(b("put", key="a", text="x", if_absent=True), "ok")
            self.rc(b("head", key="a"), "ok")
        self.assertEqual([e["query"].get("userProject") for e in self.server.log],
                         ["who-pays"] * 2)


class Read(Case):
    def setUp(self):
        super().setUp()
        self.data = random.Random(5).randbytes(100000)
        self.made = self.put_object("a", self.data)
        self.into = os.path.join(self.folder, "into")

    def read(self, b, **more):
        return b("read", key="a", into=self.into, **more)

    def got(self):
        with open(self.into, "rb") as f:
            return f.read()

    def test_ranges(self):
        with self.store() as b:
            self.rc(self.read(b, at=10, len=20), "ok")
            self.assertEqual(self.got(), self.data[10:30])
            answer = self.rc(self.read(b, mode="suffix", len=7), "ok")
            self.assertEqual(self.got(), self.data[-7:])
            self.assertEqual((answer["offset"], answer["total"]), (99993, 100000))
            answer = self.rc(self.read(b, at=100000, len=5), "ok")
            self.assertEqual((answer["len"], answer["total"]), (0, 100000))
        self.assertTrue(all(e["headers"].get("accept-encoding") == "gzip"
                            for e in self.server.of_kind("read")))

    def test_pinned(self):
        with self.store() as b:
            etag = self.rc(self.read(b, at=0, len=1), "ok")["etag"]
            self.rc(self.read(b, at=1, len=1, etag=etag), "ok")
            self.assertEqual(self.server.log[-1]["query"]["ifGenerationMatch"], etag)
            self.put_object("a", b"another")
            self.rc(self.read(b, at=1, len=1, etag=etag), "precondition")
            del self.objects()["a"]
            answer = self.rc(self.read(b, at=1, len=1), "not_found")
            self.assertIn("not found", answer["error"]["message"])

    def test_pinned_on_a_server_that_ignores_it(self):
        check, self.server.check_generation = self.server.check_generation, lambda *a: None
        with self.store() as b:
            self.rc(self.read(b, at=1, len=1, etag="17"), "precondition")
        self.server.check_generation = check

    def test_whole_object_with_a_wrong_byte_is_read_once_more(self):
        self.server.fault("read", "corrupt")
        with self.store() as b:
            answer = self.rc(self.read(b, at=0, len=M), "ok")
        self.assertEqual(self.got(), self.data)
        first, second = self.server.of_kind("read")
        self.assertNotEqual(first["port"], second["port"])
        self.assertTrue(any("damaged" in line[1] for line in answer["log"]))

    def test_wrong_twice_is_corrupt(self):
        self.server.fault("read", "corrupt", times=2)
        with self.store() as b:
            self.rc(self.read(b, at=0, len=M), "corrupt")

    def test_checksum_of_the_metadata_is_wrong(self):
        self.made.crc ^= 1
        with self.store() as b:
            self.rc(self.read(b, at=0, len=M), "corrupt")
            self.rc(self.read(b, at=0, len=10), "ok")  # of a piece nothing can be said

    def test_broken_answers(self):
        for what, want in (("truncated", "transient"), ("reset", "transient"),
                           ("no_range", "io")):
            self.server.fault("read", what)
            with self.store() as b:
                self.rc(self.read(b, at=5, len=50000), want)
                self.rc(self.read(b, at=5, len=50000), "ok")

    def test_page(self):
        self.server.fault("read", "page", times=2)
        with self.store() as b:
            self.rc(self.read(b, at=0, len=M), "config")
            self.rc(b("list"), "ok")
            self.rc(self.read(b, at=0, len=M), "transient")

    def test_end_that_nothing_tells(self):
        self.server.fault("read", "unframed")
        with self.store() as b:
            self.rc(self.read(b, at=0, len=M), "transient")
            self.rc(self.read(b, at=0, len=M), "ok")

    def test_statuses(self):
        with self.store() as b:
            for status, want in ((500, "transient"), (503, "transient"), (429, "throttled"),
                                 (403, "denied"), (401, "auth"), (307, "io"), (400, "invalid")):
                self.server.fault("read", "status", status=status)
                self.rc(self.read(b, at=5, len=50), want)

    def test_stored_compressed_is_handed_out_as_stored(self):
        self.made.metadata["contentEncoding"] = "gzip"
        with self.store() as b:
            self.rc(self.read(b, at=0, len=M), "ok")
        self.assertEqual(self.got(), self.data)

    def test_decompressed_on_the_way_is_noticed(self):
        self.made.metadata["contentEncoding"] = "gzip"
        self.server.fault("read", "gzip", times=2)
        with self.store() as b:
            answer = self.rc(self.read(b, at=0, len=M), "io")
            self.assertIn("decompressed", answer["error"]["message"])
            answer = self.rc(self.read(b, at=0, len=10), "io")
            self.assertIn("decompressed", answer["error"]["message"])

    def test_stall_and_deadline_and_cancel(self):
        self.server.fault("read", "stall", times=3)
        with self.store(stall_timeout="300ms") as b:
            begin = time.monotonic()
            self.rc(self.read(b, at=0, len=10), "timeout")
            self.rc(self.read(b, at=0, len=10, deadline_ms=100), "timeout")
            self.rc(self.read(b, at=0, len=10, cancel_after_ms=50), "cancelled")
            self.assertLess(time.monotonic() - begin, 10)

    def test_denied_is_not_not_found(self):
        self.server.fault("look", "status", status=403, reason="forbidden")
        with self.store() as b:
            self.rc(b("head", key="missing"), "denied")
            self.rc(b("head", key="missing"), "not_found")

    def test_head(self):
        with self.store() as b:
            answer = self.rc(b("head", key="a"), "ok")
        self.assertEqual((answer["size"], answer["etag"]), (100000, str(self.made.generation)))
        self.assertLess(abs(answer["modified_us"] / 1e6 - time.time()), 5)


class Delete(Case):
    def test_names_the_generation(self):
        made = self.put_object("a", b"x")
        with self.store() as b:
            self.assertEqual(self.rc(b("delete", key="a"), "ok")["was"], "there")
            self.assertEqual(self.rc(b("delete", key="a"), "ok")["was"], "absent")
            self.assertEqual(self.rc(b("delete", key="a", attempt=2), "ok")["was"], "unknown")
        self.assertEqual(self.server.of_kind("delete")[0]["query"]["ifGenerationMatch"],
                         str(made.generation))

    def test_lost_answer_never_deletes_a_newer_object(self):
        self.put_object("a", b"old")
        self.server.fault("delete", "lost")
        with self.store() as b:
            self.rc(b("delete", key="a"), "uncertain")
            self.assertEqual(self.objects(), {})
            self.rc(b("delete", key="a", attempt=2), "ok")

    def test_page_deletes_nothing(self):
        self.put_object("a", b"x")
        self.server.fault("delete", "page")
        with self.store() as b:
            self.assertIn("web page", self.rc(b("delete", key="a"), "uncertain")["error"]["message"])
            self.assertIn("a", self.objects())
            self.rc(b("delete", key="a", attempt=2), "ok")
        self.assertEqual(self.objects(), {})

    def test_replaced_meanwhile(self):
        self.put_object("a", b"old")
        self.server.fault("delete", "status", status=412, reason="conditionNotMet")
        with self.store() as b:
            self.rc(b("delete", key="a"), "transient")
        self.assertIn("a", self.objects())


class List(Case):
    def keys(self, answer):
        return [e["key"] for e in answer["entries"]]

    def test_pages_folders_and_foreign_names(self):
        for name in ("p/a/1", "p/a/2", "p/b", "p/b-1", "p/b/1", "p/Foreign", "p/x//y", "p/.hidden",
                     "p/dir/", "p/.persist-probe", "q/a", "p/c/1"):
            self.put_object(name, b"x")
        with self.store(prefix="p") as b:
            self.assertEqual(self.keys(b("list")), [".persist-probe", "a/1", "a/2", "b", "b-1",
                                                    "b/1", "c/1"])
            self.assertEqual(self.keys(b("list", delimiter="/")),
                             [".persist-probe", "a/", "b", "b-1", "b/", "c/", "dir/", "x/"])
            self.assertEqual(self.keys(b("list", prefix="b")), ["b", "b-1", "b/1"])
            self.assertEqual(self.keys(b("list", after="a/1")), ["a/2", "b", "b-1", "b/1", "c/1"])
            self.assertEqual(self.keys(b("list", after="a/1", delimiter="/")),
                             ["b", "b-1", "b/", "c/", "dir/", "x/"])
            self.assertEqual(self.keys(b("list", after="a/", delimiter="/")),
                             ["b", "b-1", "b/", "c/", "dir/", "x/"])
            self.assertEqual(self.server.log[-1]["query"]["startOffset"], "p/a0")

    def test_every_page_size_gives_the_same(self):
        names = [f"k{i:03}" for i in range(25)] + ["Z", "zz//", "K"]
        for name in names:
            self.put_object(name, b"")
        with self.store() as b:
            for limit in (1, 2, 7, 24, 25, 26, 1000):
                for self.server.page_max in (1, 3, 1000):
                    after, seen = "", []
                    while True:
                        answer = self.rc(b("list", after=after, limit=limit), "ok")
                        self.assertLessEqual(len(answer["entries"]), limit)
                        seen += self.keys(answer)
                        if not answer["more"]:
                            break
                        self.assertTrue(answer["entries"], "more, and nothing given")
                        after = seen[-1]
                    self.assertEqual(seen, sorted(n for n in names if n.startswith("k")))

    def test_a_page_that_leads_to_itself(self):
        self.server.fault("list", "same_page", times=10 ** 6)
        with self.store() as b:
            self.rc(b("list"), "io")
        self.assertLess(len(self.server.log), 4)

    def test_pages_without_items_go_on(self):
        for i in range(10):
            self.put_object(f"A{i}", b"")
        self.put_object("a", b"")
        self.server.page_max = 2
        with self.store() as b:
            answer = self.rc(b("list", limit=5), "ok")
        self.assertEqual((self.keys(answer), answer["more"]), (["a"], False))

    def test_garbage(self):
        with self.store() as b:
            for what in ("garbage", "truncated", "reset"):
                self.server.fault("list", what)
                self.rc(b("list"), "transient")


class Resumable(Case):
    def up(self, size=3 * M + 100, part=M, **options):
        path = self.file(size)
        with self.store(**options) as b:
            answer = b.upload("u", path, part)
        return path, answer

    def assert_no_byte_twice(self):
        self.assertEqual(sum(e.get("resent", 0) for e in self.server.log), 0)

    def test_plain(self):
        path, answer = self.up()
        self.rc(answer, "ok")
        self.assert_holds("u", path)
        self.assertEqual(answer["etag"], str(self.objects()["u"].generation))
        self.assertEqual([e["kind"] for e in self.server.log],
                         ["start", "chunk", "chunk", "chunk", "final"])
        ranges = [e["headers"]["content-range"] for e in self.server.log[1:]]
        self.assertEqual(ranges, [f"bytes 0-{M - 1}/*", f"bytes {M}-{2 * M - 1}/*",
                                  f"bytes {2 * M}-{3 * M - 1}/*",
                                  f"bytes {3 * M}-{3 * M + 99}/{3 * M + 100}"])
        final = self.server.log[-1]
        with open(path, "rb") as f:
            self.assertEqual(final["headers"]["x-goog-hash"],
                             "crc32c=" + crc32c.encode(crc32c.crc32c(f.read())))
        self.assertEqual(self.server.log[0]["query"]["ifGenerationMatch"], "0")
        self.assertTrue(all("authorization" not in e["headers"] for e in self.server.log[1:]))
        self.assert_no_byte_twice()

    def test_sizes_around_the_alignment(self):
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, M - 1, M, M + 1, 2 * M):
            with self.subTest(size=size):
                path = self.file(size)
                with self.store() as b:
                    answer = b.upload(f"u{size}", path, M)
                self.rc(answer, "ok")
                self.assert_holds(f"u{size}", path)

    def test_nothing_is_visible_before_the_commit(self):
        path = self.file(2 * M)
        with self.store() as b:
            b.upload("u", path, M, commit=False)
            self.assertEqual(self.objects(), {})

    def test_less_acknowledged_than_sent(self):
        for kept in (1, 1000, CHUNK, 3 * CHUNK - 1):
            self.server.clear()
            self.objects().clear()
            self.server.fault("chunk", "store", nth=2, bytes=kept)
            path, answer = self.up()
            self.rc(answer, "ok")
            self.assert_holds("u", path)
            self.assertEqual(self.server.of_kind("chunk")[2]["headers"]["content-range"],
                             f"bytes {M + kept}-{2 * M - 1}/*")
            self.assert_no_byte_twice()

    def test_nothing_acknowledged(self):
        self.server.fault("chunk", "store", nth=2, bytes=0)
        path, answer = self.up()
        self.rc(answer, "ok")
        self.assert_holds("u", path)
        self.assert_no_byte_twice()

    def test_nothing_acknowledged_ever(self):
        self.server.fault("chunk", "store", nth=2, bytes=0, times=100)
        _, answer = self.up()
        self.rc(answer, "transient")

    def test_308_without_range_is_asked_about(self):
        for nth in (1, 2):
            self.server.clear()
            self.objects().clear()
            self.server.fault("chunk", "no_range", nth=nth)
            path, answer = self.up()
            self.rc(answer, "ok")
            self.assert_holds("u", path)
            self.assertEqual(len(self.server.of_kind("query")), 1)
            self.assert_no_byte_twice()

    def test_more_acknowledged_than_sent(self):
        self.server.fault("chunk", "excess", nth=2)
        _, answer = self.up()
        self.rc(answer, "corrupt")
        self.assertEqual(self.objects(), {})

    def test_acknowledged_bytes_are_lost(self):
        self.server.fault("chunk", "less", nth=3, bytes=CHUNK)
        _, answer = self.up()
        self.rc(answer, "not_found")

    def test_a_range_that_is_none(self):
        self.server.fault("chunk", "garbled", nth=2)
        _, answer = self.up()
        self.rc(answer, "corrupt")

    def test_object_before_its_end(self):
        self.server.fault("chunk", "early", nth=2)
        _, answer = self.up()
        self.rc(answer, "corrupt")
        self.assertEqual(self.objects(), {}, "the half object is still there")

    def test_broken_in_the_middle_goes_on_from_what_is_held(self):
        for then in (503, 500, 408, 429):
            for kept in (0, CHUNK, 2 * CHUNK):
                self.server.clear()
                self.objects().clear()
                self.server.fault("chunk", "store", nth=2, bytes=kept, then=then)
                path, answer = self.up()
                self.rc(answer, "ok")
                self.assert_holds("u", path)
                self.assertEqual(len(self.server.of_kind("query")), 1)
                self.assert_no_byte_twice()

    def test_connection_lost(self):
        for what in ("reset", "lost", "reset_body"):
            for nth in (1, 3):
                self.server.clear()
                self.objects().clear()
                self.server.fault("chunk", what, nth=nth)
                path, answer = self.up()
                self.rc(answer, "ok")
                self.assert_holds("u", path)
                self.assert_no_byte_twice()

    def test_a_part_is_never_uncertain(self):
        """Nobody can have seen anything of it; "gone" must stay "gone" behind it."""
        path = self.file(2 * M)
        self.server.fault("chunk", "lost")
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            self.rc(b("part", key="u", id=upload, number=1, at=0, len=M, file=path), "transient")

    def test_offset_ahead_is_asked_about(self):
        path = self.file(3 * M)
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            one = b("part", key="u", id=upload, number=1, at=0, len=M, file=path)
            session = next(iter(self.server.sessions.values()))
            del session.data[CHUNK:]  # the service forgets; it answers 503 with its offset
            two = b("part", key="u", id=upload, number=2, at=M, offset=M, len=M, file=path)
            self.rc(one, "ok")
            self.rc(two, "transient")
            two = b("part", key="u", id=upload, number=2, at=M, offset=M, len=M, file=path,
                    attempt=2)
            self.rc(two, "not_found")

    def test_session_lost(self):
        for status in (404, 410):
            for nth in (1, 3):
                self.server.clear()
                self.objects().clear()
                self.server.fault("chunk", "gone", nth=nth, status=status)
                _, answer = self.up()
                self.rc(answer, "not_found")
                self.assertIn("upload is gone", answer["error"]["message"])

    def test_page_is_no_lost_session(self):
        path = self.file(M)
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            for status in (404, 410):
                self.server.fault("chunk", "page", status=status)
                self.rc(b("part", key="u", id=upload, number=1, at=0, len=M, file=path), "config")
            self.rc(b("part", key="u", id=upload, number=1, at=0, len=M, file=path), "ok")

    def test_session_lost_at_the_commit(self):
        self.server.fault("final", "gone")
        _, answer = self.up()
        self.rc(answer, "not_found")

    def test_lost_answer_of_the_commit(self):
        self.server.fault("final", "lost")
        path, answer = self.up()
        self.rc(answer, "exists")  # the second attempt; the host looks inside
        self.assertEqual(answer["attempts"], 2)
        self.assert_holds("u", path)
        self.assertEqual([e["kind"] for e in self.server.log][-1], "query")

    def test_commit_not_carried_out(self):
        for what, more in (("reset", {}), ("status", {"status": 503}), ("status", {"status": 500}),
                           ("status", {"status": 429, "reason": "rateLimitExceeded"})):
            self.server.clear()
            self.objects().clear()
            self.server.fault("final", what, **more)
            path, answer = self.up()
            self.rc(answer, "ok")
            self.assert_holds("u", path)
            self.assert_no_byte_twice()

    def test_tail_stored_in_part(self):
        self.server.fault("final", "store", bytes=40)
        path, answer = self.up()
        self.rc(answer, "ok")
        self.assert_holds("u", path)
        self.assert_no_byte_twice()

    def test_tail_stored_and_not_finished(self):
        """All bytes are there and no object: the commit says so with an empty request."""
        path = self.file(M + 7)
        with self.store() as b:
            answer = b.upload("u", path, M, commit=False)
            session = next(iter(self.server.sessions.values()))
            with open(path, "rb") as f:
                session.data[:] = f.read()
            self.server.fault("final", "status", status=503)
            answer = b.repeat("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                              size=M + 7, if_absent=True)
        self.rc(answer, "ok")
        self.assert_holds("u", path)
        self.assertEqual(self.server.of_kind("final")[-1]["headers"]["content-range"],
                         f"bytes */{M + 7}")

    def test_garbage_instead_of_the_object(self):
        for what in ("garbage", "truncated"):
            self.server.clear()
            self.objects().clear()
            self.server.fault("final", what)
            path, answer = self.up()
            self.rc(answer, "exists")
            self.assert_holds("u", path)

    def test_checksum_of_the_whole(self):
        self.server.fault("chunk", "corrupt_stored", nth=2)
        _, answer = self.up()
        self.rc(answer, "corrupt")
        self.assertEqual(self.objects(), {})

    def test_checksum_in_the_answer(self):
        self.server.fault("final", "corrupt")
        _, answer = self.up()
        self.rc(answer, "corrupt")
        self.assertEqual(self.objects(), {})

    def test_taken_meanwhile(self):
        path = self.file(M + 1)
        with self.store() as b:
            answer = b.upload("u", path, M, commit=False)
            self.put_object("u", b"somebody else's")
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "exists")
            self.rc(b("abort", key="u", id=answer["id"]), "ok")
        self.assertEqual(self.objects()["u"].data, b"somebody else's")

    def test_start_refused_where_the_service_looks_at_once(self):
        self.put_object("u", b"x")
        self.server.fault("start", "refuse_taken")
        with self.store() as b:
            self.rc(b("begin", key="u", if_absent=True), "precondition")

    def test_start_with_a_session_elsewhere(self):
        url = self.server.url
        with self.store() as b:
            type(self.server).url = property(lambda s: "http://127.0.0.1:1")
            try:
                answer = self.rc(b("begin", key="u", if_absent=True), "io")
            finally:
                type(self.server).url = property(
                    lambda s: f"http://127.0.0.1:{s.server_address[1]}")
        self.assertEqual(self.server.url, url)
        self.assertNotIn("secret", str(answer))

    def test_abort(self):
        path = self.file(M + 1)
        with self.store() as b:
            answer = b.upload("u", path, M, commit=False)
            self.rc(b("abort", key="u", id=answer["id"]), "ok")
            self.assertEqual(self.server.log[-1]["status"], 499)
            self.rc(b("abort", key="u", id=answer["id"]), "ok")
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "not_found")
        self.assertEqual(self.objects(), {})

    def test_abort_is_repeated_where_it_may_help(self):
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            for status, want in ((503, "transient"), (429, "throttled"), (403, "denied")):
                self.server.fault("cancel", "status", status=status)
                self.rc(b("abort", key="u", id=upload), want)
            for status, want in ((200, "transient"), (404, "config")):
                self.server.fault("cancel", "page", status=status)
                self.rc(b("abort", key="u", id=upload), want)
            self.assertEqual(len(self.server.sessions), 1)
            self.rc(b("abort", key="u", id=upload), "ok")

    def test_what_begin_said_holds(self):
        path = self.file(M)
        with self.store() as b:
            answer = b.upload("u", path, M, commit=False, if_absent=False)
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "invalid")
            self.put_object("u", b"old")
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"]), "ok")
        self.assert_holds("u", path)

    def test_receipts_of_another_upload(self):
        path = self.file(M)
        with self.store() as b:
            one = b.upload("u", path, M, commit=False)
            two = b.upload("u", path, M, commit=False)
            self.rc(b("commit", key="u", id=one["id"], receipts=two["receipts"],
                      if_absent=True), "invalid")

    def test_ids_of_elsewhere_are_refused(self):
        path = self.file(M)
        with self.store() as b:
            for bad in ("", "a", "a:", "a:http://127.0.0.1:1/x", "x:" + self.server.url + "/x",
                        "a:" + self.server.url, "a:" + self.server.url + "@evil/",
                        "a:" + self.server.url + "/\r\nX: y"):
                self.rc(b("part", key="u", id=bad, number=1, at=0, len=M, file=path), "invalid")
                self.rc(b("abort", key="u", id=bad), "invalid")
        self.assertEqual(self.server.log, [])


class OtherProcess(Case):
    def test_goes_on_without_sending_acknowledged_bytes(self):
        path = self.file(5 * M + 3)
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            first = [b("part", key="u", id=upload, number=n + 1, at=n * M, offset=n * M, len=M,
                       file=path)["receipt"] for n in range(3)]
            b.kill_receipts = first
        self.server.clear()
        with self.store() as b:
            receipts = first + [self.rc(b("part", key="u", id=upload, number=n + 1, at=n * M,
                                          offset=n * M, len=min(M, 5 * M + 3 - n * M),
                                          last=n == 5, file=path), "ok")["receipt"]
                                for n in range(3, 6)]
            self.rc(b("commit", key="u", id=upload, receipts=receipts, size=5 * M + 3,
                      if_absent=True), "ok")
        self.assert_holds("u", path)
        self.assertEqual(sum(e.get("resent", 0) for e in self.server.log), 0)
        self.assertEqual([e["kind"] for e in self.server.log],
                         ["query", "chunk", "chunk", "final"])

    def test_last_part_was_acknowledged(self):
        """Its tail was in the memory of a process that is no more."""
        path = self.file(2 * M + 3)
        with self.store() as b:
            answer = b.upload("u", path, M, commit=False)
        self.server.clear()
        with self.store() as b:
            bad = self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                            if_absent=True), "invalid")
            self.assertIn("send that part again", bad["error"]["message"])
            self.rc(b("part", key="u", id=answer["id"], number=3, at=2 * M, offset=2 * M, len=3,
                      last=True, file=path), "ok")
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "ok")
        self.assert_holds("u", path)
        self.assertEqual(sum(e.get("resent", 0) for e in self.server.log), 0)

    def commit_elsewhere(self):
        """The file of an upload that another process has committed, and what it was told."""
        path = self.file(2 * M + 3)
        with self.store() as b:
            answer = b.upload("u", path, M, commit=False)
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "ok")
        return path, answer

    def test_committed_by_the_first_process(self):
        path, answer = self.commit_elsewhere()
        with self.store() as b:
            self.rc(b("part", key="u", id=answer["id"], number=3, at=2 * M, offset=2 * M, len=3,
                      last=True, file=path), "ok")
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "exists")
        with self.store() as b:
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"],
                      if_absent=True), "exists")

    def test_committed_by_the_first_process_as_something_else(self):
        """What was acknowledged there is not taken away here."""
        path, answer = self.commit_elsewhere()
        with self.store() as b:
            self.rc(b("part", key="u", id=answer["id"], number=3, at=2 * M, offset=2 * M, len=2,
                      last=True, file=path), "not_found")
            self.rc(b("commit", key="u", id=answer["id"], receipts=answer["receipts"][:2],
                      if_absent=True), "exists")
        self.assert_holds("u", path)
        self.assertEqual(self.server.of_kind("delete"), [])

    def test_killed_in_the_middle_of_a_part(self):
        path = self.file(8 * M)
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            self.server.fault("chunk", "store", bytes=5 * CHUNK, then=503)
            self.server.fault("query", "stall", nth=1)
            self.rc(b("part", key="u", id=upload, number=1, at=0, len=4 * M, file=path),
                    "transient")
            b.send("part", key="u", id=upload, number=1, at=0, len=4 * M, file=path, attempt=2)
            time.sleep(0.2)
            b.kill()
            b.process.returncode = 0
        self.server.clear()
        with self.store() as b:
            self.rc(b.upload("u", path, 4 * M, upload=upload), "ok")
        self.assert_holds("u", path)
        self.assertEqual(self.server.of_kind("chunk")[0]["headers"]["content-range"],
                         f"bytes {5 * CHUNK}-{4 * M - 1}/*")
        self.assertEqual(sum(e.get("resent", 0) for e in self.server.log), 0)


    def kill_at(self, b, held):
        """Kills the process once the service holds so many bytes."""
        def watch():
            while b.process.poll() is None:
                sessions = list(self.server.sessions.values())
                if sessions and len(sessions[0].data) >= held:
                    b.process.kill()
                time.sleep(0.001)
        thread = threading.Thread(target=watch)
        thread.start()
        return thread

    def test_large_upload_killed_at_a_random_point(self):
        size = (1 << 30 if "PERSIST_LONG" in os.environ else 256 * M) + 12345
        part, path, receipts = 16 * M, self.file(size), []
        target = random.SystemRandom().randrange(size * 9 // 10)
        with self.store() as b:
            upload = b("begin", key="u", if_absent=True)["id"]
            thread = self.kill_at(b, target)
            try:
                for at in range(0, size, part):
                    receipts.append(self.rc(b("part", key="u", id=upload, number=at // part + 1,
                                              at=at, offset=at, len=min(part, size - at),
                                              last=at + part >= size, file=path),
                                            "ok")["receipt"])
                self.fail("it was not killed")
            except (AssertionError, BrokenPipeError) as ended:
                self.assertNotIn("not killed", str(ended))
            thread.join()
            b.process.communicate()
            b.process.returncode = 0
        held = len(next(iter(self.server.sessions.values())).data)
        self.server.clear()
        with self.store() as b:
            for at in range(len(receipts) * part, size, part):
                receipts.append(self.rc(b("part", key="u", id=upload, number=at // part + 1,
                                          at=at, offset=at, len=min(part, size - at),
                                          last=at + part >= size, file=path), "ok")["receipt"])
            self.rc(b("commit", key="u", id=upload, receipts=receipts, size=size,
                      if_absent=True), "ok")
        self.assert_holds("u", path)
        sent = sum(e["length"] for e in self.server.of_kind("chunk", "final"))
        self.assertEqual(sent, size - held, f"killed at {target}, {held} held")


class Secrets(Case):
    def test_session_uris_stay_secret(self):
        path = self.file(2 * M)
        outputs = []
        for kind in ("chunk", "query", "final", "cancel"):
            for what, more in (("reset", {}), ("garbage", {}), ("garbled", {}),
                               ("status", {"status": 403}), ("status", {"status": 500}),
                               ("status", {"status": 412}), ("gone", {})):
                self.server.fault(kind, what, times=9, **more)
                if kind == "query":
                    self.server.fault("chunk", "reset")
                with self.store(env={"LOG_DEBUG": "1"}) as b:
                    upload = b("begin", key="u", if_absent=True)["id"]
                    answer = b.repeat("part", key="u", id=upload, number=1, at=0, len=2 * M,
                                      last=True, file=path, tries=3)
                    outputs.append(str(answer))
                    outputs.append(str(b.repeat("commit", key="u", id=upload, if_absent=True,
                                                receipts=[answer["receipt"]], tries=3)))
                    outputs.append(str(b.repeat("abort", key="u", id=upload, tries=3)))
                self.server.clear()
                self.objects().clear()
        text = "\n".join(outputs)
        self.assertIn("> PUT /upload/", text, "the log does not show requests")
        self.assertNotIn("secret-", text)


class Open(Case):
    def test_makes_no_request_and_reads_nothing(self):
        with Backend("gcs", bucket="bucket", endpoint=self.server.url,
                     env={"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"}) as b:
            self.rc(b("limits"), "ok")
            self.assertEqual(self.server.log, [])
            self.assertIn("/nowhere", self.rc(b("head", key="a"), "config")["error"]["message"])

    def test_limits(self):
        with self.store(chunk_size="1M", prefix="p") as b:
            answer = b("limits")
        self.assertEqual((answer["part_max"], answer["part_align"], answer["parallel_max"],
                          answer["key_max"], answer["resumable"]), (M, CHUNK, 1, 1022, True))

    def test_emulator(self):
        env = {"STORAGE_EMULATOR_HOST": self.server.url[7:]}
        self.server.auth = False
        with Backend("gcs", bucket="bucket", env=env) as b:
            self.rc(b("put", key="a", text="x", if_absent=True), "ok")
            self.assertFalse(b("limits")["resumable"])
        self.assertNotIn("authorization", self.server.log[0]["headers"])

    def test_options_that_contradict(self):
        for options, word in (({"bucket": "UPPER"}, "bucket"),
                              ({"chunk_size": "300000"}, "256K"),
                              ({"retention_mode": "locked"}, "retain_for"),
                              ({"retain_for": "1d"}, "retain_for"),
                              ({"kms_key_name": "my-key"}, "kms_key_name"),
                              ({"prefix": "a//b"}, "prefix"), ({"prefix": "../x"}, "prefix"),
                              ({"endpoint": "http://example.com"}, "allow_http"),
                              ({"endpoint": "ftp://x"}, ""),
                              ({"service_account_json": "{}"}, "anonymous"),
                              ({"universe_domain": "x"}, "universe_domain")):
            options = {"bucket": "bucket", "anonymous": "true", "endpoint": self.server.url,
                       **options}
            self.assertIn(word, Backend("gcs", **options).failed_open(), options)


class Probe(Case):
    def test_findings(self):
        self.server.granted.remove("storage.objects.delete")
        self.server.settings["versioning"] = {"enabled": True}
        self.server.settings["retentionPolicy"] = {"retentionPeriod": "3600", "isLocked": True}
        with self.store() as b:
            found = self.rc(b("probe"), "ok")["findings"]
        by_name = {}
        for finding in found:
            by_name.setdefault(finding["name"], []).append(finding)
        self.assertEqual(by_name["identity"][0]["value"], "anonymous")
        self.assertEqual(by_name["listing"][0]["verdict"], 1)
        self.assertEqual(by_name["location"][0]["value"], "EU")
        self.assertEqual([f["verdict"] for f in by_name["permission"]], [1, 1, 1, 2])
        self.assertIn("3600 s, locked", by_name["retention-policy"][0]["value"])
        self.assertIn("versioning", by_name)
        self.assertEqual(by_name["clock-skew"][0]["verdict"], 1)
        self.assertIn("a week", by_name["unfinished-uploads"][0]["value"])

    def test_bucket_is_missing(self):
        self.server.buckets.clear()
        with self.store() as b:
            found = self.rc(b("probe"), "ok")["findings"]
        self.assertTrue(any(f["name"] == "listing" and f["verdict"] == 3 for f in found))

    def test_refused_settings_are_no_failure(self):
        self.server.fault("bucket", "status", status=403)
        self.server.fault("permissions", "status", status=403)
        with self.store() as b:
            found = self.rc(b("probe"), "ok")["findings"]
        self.assertFalse(any(f["verdict"] == 3 for f in found))


if __name__ == "__main__":
    unittest.main()
