#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The S3 server of these tests is itself strict, and fails as it is told to.

Signatures are made here by the rules of the published description, and checked against AWS's
published example first, so that server and client cannot share a mistake.
"""
import base64
import hashlib
import hmac
import http.client
import json
import time
import unittest
import urllib.parse

import crc32c
import s3_server

EMPTY = hashlib.sha256(b"").hexdigest()


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def authorization(method, path, query, headers, payload, stamp, access, secret, region):
    """Of Signature Version 4; headers in lower case, with host and x-amz-date."""
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, path, "&".join(sorted(query.split("&"))) if query else "",
                           "".join(f"{n}:{headers[n]}\n" for n in sorted(headers)), names, payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = hmac256(hmac256(hmac256(hmac256(b"AWS4" + secret.encode(), stamp[:8]), region), "s3"),
                  "aws4_request")
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return (f"AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},"
            f"Signature={signature}")


class ServerTest(unittest.TestCase):
    def setUp(self):
        self.server = s3_server.start()
        self.server.part_min = 10
        self.port = self.server.server_address[1]
        self.addCleanup(self.server.stop)

    def ask(self, method, path, body=b"", query="", headers=None, secret="testsecret",
            stamp=None, region="us-east-1", tamper=None):
        headers = {"host": f"127.0.0.1:{self.port}",
                   "x-amz-date": stamp or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
                   "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), **(headers or {})}
        auth = authorization(method, path, query, headers, headers["x-amz-content-sha256"],
                             headers["x-amz-date"], "testak", secret, region)
        sent = {**headers, "authorization": auth, **(tamper or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path + ("?" + query if query else ""), body, sent)
            reply = connection.getresponse()
            self.headers = {n.lower(): v for n, v in reply.getheaders()}
            return reply.status, reply.read().decode("latin-1")
        finally:
            connection.close()

    def put(self, key, body, **headers):
        return self.ask("PUT", f"/persist-test/{key}", body,
                        headers={n.replace("_", "-"): v for n, v in headers.items()})[0]

    # ----------------------------------------------------------- strictness

    def test_published_signature(self):
        headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9",
                   "x-amz-content-sha256": EMPTY, "x-amz-date": "20130524T000000Z"}
        self.assertIn("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                      authorization("GET", "/test.txt", "", headers, EMPTY, "20130524T000000Z",
                                    "AKIAIOSFODNN7EXAMPLE",
                                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"))

    def test_put_and_read_back(self):
        self.assertEqual(self.put("a%20b/%2B", b"hello"), 200)
        status, body = self.ask("GET", "/persist-test/a%20b/%2B")
        self.assertEqual((status, body), (200, "hello"))
        status, body = self.ask("GET", "/persist-test/a%20b/%2B", headers={"range": "bytes=-2"})
        self.assertEqual((status, body), (206, "lo"))
        self.assertEqual(self.headers["content-range"], "bytes 3-4/5")

    def test_wrong_signatures(self):
        self.assertIn("SignatureDoesNotMatch", self.ask("GET", "/persist-test/x", secret="no")[1])
        self.assertIn("SignatureDoesNotMatch", self.ask(
            "PUT", "/persist-test/x", b"x", tamper={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})[1])
        self.assertIn("not signed", self.ask("PUT", "/persist-test/x", b"x",
                                             tamper={"x-amz-acl": "public-read"})[1])
        self.assertIn("<Region>us-east-1", self.ask("GET", "/persist-test/x", region="eu-x-1")[1])
        self.assertIn("RequestTimeTooSkewed",
                      self.ask("GET", "/persist-test/x", stamp="20200101T000000Z")[1])
        self.assertEqual(self.server.state()["objects"]["persist-test"], {})

    def test_wrong_bodies(self):
        wrong = hashlib.sha256(b"other").hexdigest()
        self.assertIn("XAmzContentSHA256Mismatch", self.ask(
            "PUT", "/persist-test/x", b"x", headers={"x-amz-content-sha256": wrong})[1])
        self.assertEqual(self.put("x", b"x", x_amz_checksum_crc32c="AAAAAA=="), 400)
        self.assertEqual(self.put("x", b"x", content_md5="AAAAAAAAAAAAAAAAAAAAAA=="), 400)
        good = crc32c.encode(crc32c.crc32c(b"x"))
        self.assertEqual(self.put("x", b"x", x_amz_checksum_crc32c=good), 200)

    def test_create_if_absent(self):
        self.assertEqual(self.put("x", b"1", if_none_match="*"), 200)
        self.assertEqual(self.put("x", b"2", if_none_match="*"), 412)
        self.server.if_none_match = "ignore"
        self.assertEqual(self.put("x", b"3", if_none_match="*"), 200)
        self.server.if_none_match = "501"
        self.assertEqual(self.put("x", b"4", if_none_match="*"), 501)

    # ------------------------------------------------------------- multipart

    def begin(self):
        body = self.ask("POST", "/persist-test/m", query="uploads=")[1]
        return body.partition("<UploadId>")[2].partition("<")[0]

    def part(self, upload, number, data):
        status, _ = self.ask("PUT", "/persist-test/m", data,
                             f"partNumber={number}&uploadId={upload}")
        return status, self.headers.get("etag")

    def commit(self, upload, parts, **headers):
        xml = "<CompleteMultipartUpload>" + "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in parts) + \
            "</CompleteMultipartUpload>"
        return self.ask("POST", "/persist-test/m", xml.encode(), f"uploadId={upload}",
                        {n.replace("_", "-"): v for n, v in headers.items()})

    def test_multipart(self):
        upload = self.begin()
        one, two = self.part(upload, 1, b"0123456789"), self.part(upload, 2, b"end")
        parts = [(1, one[1]), (2, two[1])]
        self.assertIn("InvalidPart<", self.commit(upload, [(1, two[1])])[1])
        self.assertIn("InvalidPartOrder", self.commit(upload, parts[::-1])[1])
        self.assertEqual(self.commit(upload, parts, if_none_match="*")[0], 200)
        self.assertEqual(self.ask("GET", "/persist-test/m")[1], "0123456789end")
        self.assertEqual(self.commit(upload, parts, if_none_match="*")[0], 200)
        self.server.repeat_complete = 404
        self.assertIn("NoSuchUpload", self.commit(upload, parts)[1])
        again = self.begin()
        self.part(again, 1, b"xx")
        self.assertEqual(self.commit(again, [(1, self.headers["etag"])], if_none_match="*")[0], 412)
        self.assertEqual(self.ask("DELETE", "/persist-test/m", query=f"uploadId={again}")[0], 204)
        self.assertEqual(self.ask("DELETE", "/persist-test/m", query=f"uploadId={again}")[0], 404)

    def test_small_parts_are_refused(self):
        upload = self.begin()
        parts = [(n, self.part(upload, n, b"small")[1]) for n in (1, 2)]
        self.assertIn("EntityTooSmall", self.commit(upload, parts)[1])

    # --------------------------------------------------------------- listing

    def test_listing_pages(self):
        for key in ("a", "b/1", "b/2", "b%20c", "d"):
            self.put(key, b"x")
        self.server.page_max = 2
        seen, token = [], ""
        for _ in range(9):
            query = "delimiter=%2F&encoding-type=url&list-type=2" + token
            body = self.ask("GET", "/persist-test", query=query)[1]
            seen += [part.partition("<")[0] for part in body.split("<Key>")[1:]]
            seen += [part.partition("<")[0] for part in
                     body.replace("<CommonPrefixes>", "").split("<Prefix>")[2:]]
            after = body.partition("<NextContinuationToken>")[2].partition("<")[0]
            if not after:
                break
            token = "&continuation-token=" + urllib.parse.quote(after, safe="")
        self.assertEqual(sorted(seen), ["a", "b+c", "b/", "d"])

    # ---------------------------------------------------------------- faults

    def test_faults(self):
        self.server.fault("put", "status", status=503, code="SlowDown", nth=2)
        self.assertEqual([self.put("x", b"1") for _ in range(3)], [200, 503, 200])
        self.server.fault("put", "lost")
        with self.assertRaises(ConnectionError):
            self.put("y", b"2")
        self.assertIn("y", self.server.state()["objects"]["persist-test"])
        self.server.fault("put", "reset")
        with self.assertRaises(ConnectionError):
            self.put("z", b"3")
        self.assertNotIn("z", self.server.state()["objects"]["persist-test"])
        self.server.fault("get", "truncated")
        with self.assertRaises(http.client.IncompleteRead):
            self.ask("GET", "/persist-test/x")
        self.server.fault("get", "corrupt")
        self.assertEqual(self.ask("GET", "/persist-test/x")[1], "0")
        self.assertEqual([e["fault"] for e in self.server.of_kind("put")],
                         [None, "status", None, "lost", "reset"])
        self.assertNotIn("authorization", json.dumps(self.server.log))

    def test_control(self):
        def control(method, path, body=None):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            connection.request(method, "/_faults" + path, json.dumps(body) if body else None)
            reply = connection.getresponse()
            data = reply.read()
            connection.close()
            return reply.status, json.loads(data) if reply.status == 200 else None

        self.assertEqual(control("GET", "/health"), (200, {"ok": True}))
        self.assertEqual(control("PUT", "/settings", {"region": "eu-x-1"})[0], 200)
        self.assertEqual(self.server.region, "eu-x-1")
        self.assertEqual(control("DELETE", "/settings")[0], 200)
        self.assertEqual(control("POST", "/plan", {"kind": "put", "what": "explode"})[0], 400)
        self.assertEqual(control("POST", "/plan", [{"kind": "put", "what": "reset"}])[0], 200)
        self.assertEqual(control("GET", "/plan")[1][0]["what"], "reset")
        self.assertEqual(control("DELETE", "/plan")[0], 200)
        self.assertEqual(self.put("x", b"1"), 200)
        self.assertEqual(control("GET", "/state")[1]["objects"], {"persist-test": {"x": 1}})


class CrcTest(unittest.TestCase):
    def test_vectors(self):
        self.assertEqual(crc32c.encode(crc32c.crc32c(b"hello world")), "yZRlqg==")
        self.assertEqual(base64.b64decode(crc32c.encode(0xE3069283)).hex(), "e3069283")


if __name__ == "__main__":
    unittest.main()
