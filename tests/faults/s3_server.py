#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A store that speaks the S3 REST API as strictly as it is described, and fails when it is told to.

    usage: s3_server.py [--port N] [--bucket NAME] [--tls CERT KEY]    a process of its own
    or     server = s3_server.start()                                  inside a test

It verifies every signature (version 4, in the header), checksums, Content-MD5, part sizes, part
lists, preconditions and lengths.  Buckets are addressed by path, or as BUCKET.localhost.

Settings (attributes of the server; PUT /_faults/settings with JSON):

    region, clock_offset_s     another region answers 400 or 301; more than 15 minutes of skew, 403
    keys                       access key -> [secret key, session token or null, expiry or null]
    auth                       false: nothing is verified
    part_min                   bytes (5 MiB)
    repeat_complete            200, 404 (MinIO) or 412: the answer to a commit that was carried out
    if_none_match              "yes", "ignore" (the precondition is not looked at), "501"
    checksums                  "yes", "refuse" (400 to x-amz-checksum-*), "ignore"
    list_plus                  true: blanks of listings as "+", as AWS writes them, else "%20"
    list_encoding              false: encoding-type is not known
    invented                   keys that listings show besides
    denied                     actions that answer 403: "s3:PutObject", "s3:ListBucket" ...
    page_max                   entries of a page

Faults: server.fault(kind, what, nth=1, times=1, **more), or POST /_faults/plan with the same names
as JSON (one, or a list).  The nth request of that kind, counted from now on, fails, and the
times - 1 behind it.  `method` and `path` (a regular expression, searched for in path?query) narrow
a kind further.  Kinds:

    any put get head delete list create part complete abort uploads parts bucket batch

What happens (carried out or not: `applied` overrides the word in brackets):

    reset          reset once the head of the request is here [not]; after_body=true: and its body
    lost           reset instead of an answer [carried out]
    status         `status`, `code`, `message`, `headers`, or `body` as it is [not]; early=true:
                   before the body is read
    redirect       307 to `location` [not]
    proxy          `status` and `headers` of something that is not S3 [not]
    error_in_200   200, whose body is an Error with `code` [not]
    raw            the text `bytes`, then the connection is closed [not]
    reset_head     the answer breaks off in its headers [carried out]
    reset_body     the answer breaks off in its body [carried out]
    truncated      the same, but closed in order
    garbage        200 and a body that is no XML [carried out]
    stall          no answer [not]; stall_body: half an answer [carried out]
    whitespace     200, then blanks for `seconds`, then the result [carried out]
    wrong_checksum, wrong_etag     what the answer says of the object [carried out]
    corrupt        one byte of the body differs [carried out]
    short          the last bytes of the body are missing, the length agreeing [carried out]
    whole          a range is ignored: 200 and everything
    slow           answered after `seconds` [carried out]

Looking in:  GET /_faults/health, /_faults/log (DELETE empties it), /_faults/state, /_faults/plan
(DELETE forgets faults and counts); PUT /_faults/object?bucket=B&key=K stores a body unseen.
"""
import argparse
import base64
import collections
import hashlib
import hmac
import json
import re
import secrets
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import crc32c

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
MIB = 1 << 20
SKEW_S = 15 * 60
SECRET_HEADERS = {"authorization", "x-amz-security-token"}
KEPT_HEADERS = ("content-type", "x-amz-storage-class", "x-amz-server-side-encryption",
                "x-amz-server-side-encryption-aws-kms-key-id",
                "x-amz-server-side-encryption-bucket-key-enabled", "x-amz-tagging",
                "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
                "x-amz-object-lock-legal-hold", "x-amz-request-payer")
SHOWN_HEADERS = ("content-type", "x-amz-storage-class", "x-amz-server-side-encryption",
                 "x-amz-server-side-encryption-aws-kms-key-id",
                 "x-amz-server-side-encryption-bucket-key-enabled")
ACTIONS = {"put": "s3:PutObject", "create": "s3:PutObject", "part": "s3:PutObject",
           "complete": "s3:PutObject", "get": "s3:GetObject", "head": "s3:GetObject",
           "delete": "s3:DeleteObject", "batch": "s3:DeleteObject", "list": "s3:ListBucket",
           "bucket": "s3:ListBucket", "abort": "s3:AbortMultipartUpload",
           "uploads": "s3:ListBucketMultipartUploads", "parts": "s3:ListMultipartUploadParts"}
APPLIED = {"lost", "reset_head", "reset_body", "truncated", "garbage", "stall_body", "whitespace",
           "wrong_checksum", "wrong_etag", "corrupt", "short", "whole", "slow"}


class Answer(Exception):
    """An answer that ends the handling of a request."""

    def __init__(self, status, body=b"", headers=None):
        super().__init__(status)
        self.status = status
        self.body = body if isinstance(body, bytes) else body.encode()
        self.headers = dict(headers or {})


def error_xml(code, message, extra=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
            f"<Message>{escape(message)}</Message>{extra}<RequestId>0</RequestId></Error>")


def problem(status, code, message="", extra="", headers=None):
    return Answer(status, error_xml(code, message or code, extra),
                  {"Content-Type": "application/xml", **(headers or {})})


def document(root, inside):
    return Answer(200, f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{XMLNS}">'
                       f"{inside}</{root}>", {"Content-Type": "application/xml"})


def http_date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def iso_date(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-_.~")


class Object:
    def __init__(self, data, etag, crc, kind, kept, now):
        self.data = data
        self.etag = etag
        self.crc = crc        # of the whole; None: composite
        self.kind = kind      # FULL_OBJECT or COMPOSITE
        self.kept = kept
        self.modified = now


class Upload:
    def __init__(self, bucket, key, kept, full, now):
        self.bucket = bucket
        self.key = key
        self.kept = kept
        self.full = full
        self.initiated = now
        self.parts = {}       # number -> (data, etag, crc)


class S3(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port=0, bucket="persist-test", tls=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.lock = threading.RLock()
        self.buckets = {bucket: {}}
        self.uploads = {}
        self.completed = {}   # upload id -> Answer
        self.log = []
        self.faults = []
        self.seen = collections.Counter()
        self.connections = 0
        self.stop_stalls = threading.Event()
        self.defaults()

    def defaults(self):
        self.region = "us-east-1"
        self.clock_offset_s = 0
        self.keys = {"testak": ["testsecret", None, None]}
        self.auth = True
        self.part_min = 5 * MIB
        self.repeat_complete = 200
        self.if_none_match = "yes"
        self.checksums = "yes"
        self.list_plus = True
        self.list_encoding = True
        self.invented = []
        self.denied = []
        self.page_max = 1000

    SETTINGS = ("region", "clock_offset_s", "keys", "auth", "part_min", "repeat_complete",
                "if_none_match", "checksums", "list_plus", "list_encoding", "invented", "denied",
                "page_max")

    @property
    def url(self):
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def now(self):
        return time.time() + self.clock_offset_s

    def handle_error(self, request, client_address):
        kind = sys.exc_info()[0]
        if kind and not issubclass(kind, (OSError, ValueError)):
            super().handle_error(request, client_address)

    def get_request(self):
        connection, address = super().get_request()
        with self.lock:
            self.connections += 1
        return connection, address

    def stop(self):
        self.stop_stalls.set()
        self.shutdown()
        self.server_close()

    # ------------------------------------------------------------- faults

    def fault(self, kind, what, nth=1, times=1, **more):
        with self.lock:
            self.faults.append({"kind": kind, "what": what, "nth": nth, "times": times,
                                "matched": 0, **more})

    def take_fault(self, kind, method, target):
        """The fault of this request; counts it for every rule that it matches."""
        taken = None
        with self.lock:
            self.seen[kind] += 1
            for fault in self.faults:
                if fault["kind"] not in (kind, "any") or \
                        fault.get("method", method) != method or \
                        not re.search(fault.get("path", ""), target):
                    continue
                fault["matched"] += 1
                if taken is None and 0 <= fault["matched"] - fault["nth"] < fault["times"]:
                    taken = fault
        return taken

    def clear(self):
        """Forgets faults, log and counts; keeps what is stored."""
        with self.lock:
            self.faults, self.log = [], []
            self.seen.clear()
            self.connections = 0
        self.stop_stalls.set()
        self.stop_stalls = threading.Event()

    def of_kind(self, *kinds):
        with self.lock:
            return [entry for entry in self.log if entry["kind"] in kinds]

    def state(self):
        with self.lock:
            return {"objects": {b: {k: len(o.data) for k, o in objects.items()}
                                for b, objects in self.buckets.items()},
                    "uploads": [{"id": i, "bucket": u.bucket, "key": u.key,
                                 "parts": {n: len(p[0]) for n, p in u.parts.items()}}
                                for i, u in self.uploads.items()],
                    "seen": dict(self.seen), "connections": self.connections}

    # ------------------------------------------------------------- storage

    def objects(self, bucket):
        if bucket not in self.buckets:
            raise problem(404, "NoSuchBucket", "The specified bucket does not exist")
        return self.buckets[bucket]

    def find(self, bucket, key):
        found = self.objects(bucket).get(key)
        if found is None:
            raise problem(404, "NoSuchKey", "The specified key does not exist.")
        return found

    def check_conditions(self, bucket, key, headers):
        """Of a write; with the lock held."""
        current = self.objects(bucket).get(key)
        if "if-none-match" in headers:
            if self.if_none_match == "501" or headers["if-none-match"] != "*":
                raise problem(501, "NotImplemented", "A header you provided implies "
                              "functionality that is not implemented")
            if current and self.if_none_match == "yes":
                raise problem(412, "PreconditionFailed", "At least one of the pre-conditions you "
                              "specified did not hold", "<Condition>If-None-Match</Condition>")
        if "if-match" in headers:
            if not current:
                raise problem(404, "NoSuchKey")
            if headers["if-match"].strip('"') != current.etag:
                raise problem(412, "PreconditionFailed")


def start(port=0, bucket="persist-test", tls=None):
    server = S3(port, bucket, tls)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05},
                     daemon=True).start()
    return server


# ------------------------------------------------------------------- signatures


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(raw):
    """Names and values as they were sent, decoded and encoded again, in byte order."""
    pairs = []
    for item in raw.split("&") if raw else []:
        name, _, value = item.partition("=")
        pairs.append((quote(urllib.parse.unquote(name)), quote(urllib.parse.unquote(value))))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$")


def check_signature(server, request):
    """request: the handler.  Raises the answer of a service that does not believe it."""
    headers = request.names
    match = AUTHORIZATION.match(headers.get("authorization", ""))
    if "authorization" not in headers:
        raise problem(403, "AccessDenied", "Access Denied")
    if not match:
        raise problem(400, "AuthorizationHeaderMalformed", "The authorization header is malformed")
    access, date, region, service, signed, signature = match.groups()
    if region != server.region or service != "s3":
        raise problem(400, "AuthorizationHeaderMalformed",
                      f"The authorization header is malformed; the region '{region}' is wrong; "
                      f"expecting '{server.region}'", f"<Region>{server.region}</Region>",
                      {"x-amz-bucket-region": server.region})
    if access not in server.keys:
        raise problem(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not "
                      "exist in our records.", f"<AWSAccessKeyId>{access}</AWSAccessKeyId>")
    secret, token, expiry = server.keys[access]
    if token and headers.get("x-amz-security-token") != token:
        raise problem(403, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if expiry and server.now() > expiry:
        raise problem(400, "ExpiredToken", "The provided token has expired.")
    stamp = headers.get("x-amz-date", "")
    check_time(server, stamp, date)
    names = signed.split(";")
    check_signed(headers, names)
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    path, _, query = request.path.partition("?")
    decoded = urllib.parse.unquote_to_bytes(path)
    canonical = "\n".join([request.command, urllib.parse.quote(decoded, safe="/-_.~"),
                           canonical_query(query), lines, signed,
                           headers.get("x-amz-content-sha256", "")])
    scope = f"{date}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = sign(sign(sign(sign(b"AWS4" + secret.encode(), date), region), service), "aws4_request")
    if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(),
                               signature):
        raise problem(403, "SignatureDoesNotMatch", "The request signature we calculated does not "
                      "match the signature you provided.",
                      f"<CanonicalRequest>{escape(canonical)}</CanonicalRequest>"
                      f"<StringToSign>{escape(text)}</StringToSign>")


def check_time(server, stamp, date):
    try:
        when = time.strptime(stamp, "%Y%m%dT%H%M%SZ")
    except ValueError:
        raise problem(403, "AccessDenied", "AWS authentication requires a valid Date") from None
    seconds = time.mktime((*when[:8], 0)) - time.timezone
    if abs(seconds - server.now()) > SKEW_S:
        raise problem(403, "RequestTimeTooSkewed", "The difference between the request time and "
                      "the current time is too large.",
                      f"<ServerTime>{iso_date(server.now())}</ServerTime>")
    if stamp[:8] != date:
        raise problem(400, "AuthorizationHeaderMalformed", "Invalid credential date")


def check_signed(headers, names):
    if names != sorted(names) or "host" not in names:
        raise problem(403, "AccessDenied", "SignedHeaders must be sorted and hold host")
    for name in headers:
        must = name.startswith("x-amz-") or name in ("content-md5", "content-type")
        if must and name not in names:
            raise problem(403, "AccessDenied", "There were headers present in the request which "
                          "were not signed", f"<HeadersNotSigned>{name}</HeadersNotSigned>")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300
    # Unbuffered by default: one write per header otherwise.
    wbufsize = 65536

    def log_message(self, *args):
        pass

    def setup(self):
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    # -------------------------------------------------------------- plumbing

    def handle_expect_100(self):
        return True  # in body(), not before it is decided

    def reset(self):
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            self.connection.close()
        except OSError:
            pass

    def read_body(self):
        if self.body is not None:
            return self.body
        if "chunked" in self.names.get("transfer-encoding", ""):
            raise problem(501, "NotImplemented", "A header you provided implies functionality "
                          "that is not implemented")
        if self.command in ("PUT", "POST") and "content-length" not in self.names:
            raise problem(411, "MissingContentLength")
        length = int(self.names.get("content-length", 0))
        if self.names.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        data = self.rfile.read(length)
        self.received = len(data)
        if len(data) < length:
            raise ConnectionError("the body broke off")
        self.body = data
        return data

    def head(self, status, headers, length):
        self.send_response_only(status)
        self.send_header("Date", http_date(self.server.now()))
        self.send_header("Server", "persist-faults")
        if self.request_id:
            self.send_header("x-amz-request-id", self.request_id)
            self.send_header("x-amz-id-2", "host-" + self.request_id)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.body is None and int(self.names.get("content-length", 0)) > 0:
            self.send_header("Connection", "close")  # what was not read is in the way
            self.close_connection = True
        self.end_headers()

    def send(self, answer):
        length = len(answer.body)
        if answer.status in (204, 304):
            length = None
        if self.command == "HEAD" and "Content-Length" in answer.headers:
            length = None
        self.head(answer.status, answer.headers, length)
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    # ------------------------------------------------------------- one request

    def do_any(self):
        self.names = {}
        for name, value in self.headers.items():
            name = name.lower()
            self.names[name] = f"{self.names[name]},{value}" if name in self.names else value
        self.body, self.received = None, 0
        self.request_id = secrets.token_hex(8).upper()
        if self.path.startswith("/_faults/"):
            control(self)
            return
        self.bucket, self.key, self.query = self.target()
        kind = self.find_kind()
        fault = self.server.take_fault(kind, self.command, self.path)
        entry = {"kind": kind, "method": self.command, "path": self.path.partition("?")[0],
                 "query": self.query, "id": self.request_id, "fault": fault and fault["what"],
                 "headers": {n: v for n, v in self.names.items() if n not in SECRET_HEADERS},
                 "signed": "authorization" in self.names, "status": None}
        with self.server.lock:
            self.server.log.append(entry)
        try:
            self.serve(kind, fault, entry)
        except (ConnectionError, TimeoutError, ValueError):
            self.close_connection = True
        entry["received"] = self.received

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

    def serve(self, kind, fault, entry):
        what = fault["what"] if fault else None
        applied = fault.get("applied", what in APPLIED) if fault else True
        if what == "reset" and not fault.get("after_body"):
            entry["status"] = 0
            self.reset()
            return
        early = fault and fault.get("early")
        if fault and not early:
            self.read_body()
        answer = self.carry_out(kind) if applied else None
        entry["status"] = answer.status if answer else 0
        if what is None:
            self.send(answer)
        else:
            entry["applied"] = bool(applied)
            getattr(self, "fault_" + what)(fault, answer, entry)

    def carry_out(self, kind):
        try:
            self.check(kind)
            return getattr(self, "op_" + kind)()
        except Answer as answer:
            if self.command == "HEAD":
                answer.body = b""
            return answer

    def target(self):
        """Bucket, key and query."""
        path, _, raw = self.path.partition("?")
        path = urllib.parse.unquote(path)
        host = self.names.get("host", "").rsplit(":", 1)[0]
        query = dict(urllib.parse.parse_qsl(raw.replace("+", "%2B"), keep_blank_values=True))
        if host.endswith(".localhost"):
            return host[:-len(".localhost")], path[1:], query
        bucket, _, key = path[1:].partition("/")
        return bucket, key, query

    def find_kind(self):
        q = self.query
        if not self.key:
            if self.command == "POST" and "delete" in q:
                return "batch"
            if self.command == "GET" and "uploads" in q:
                return "uploads"
            return "list" if self.command == "GET" and "list-type" in q else "bucket"
        if self.command == "POST":
            return "create" if "uploads" in q else "complete"
        if "uploadId" in q:
            return {"PUT": "part", "DELETE": "abort"}.get(self.command, "parts")
        return {"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete"}[self.command]

    def check(self, kind):
        """Who asks, whether they may, and whether the body is what they signed."""
        server = self.server
        if server.auth:
            check_signature(server, self)
        if ACTIONS[kind] in server.denied:
            raise problem(403, "AccessDenied", "Access Denied")
        server.objects(self.bucket)
        if kind in ("put", "complete"):
            with server.lock:  # early, so that a body need not be sent in vain
                if kind == "put":
                    server.check_conditions(self.bucket, self.key, self.names)
        body = self.read_body()
        wanted = self.names.get("x-amz-content-sha256", "")
        if server.auth and wanted.startswith("STREAMING-"):
            raise problem(501, "NotImplemented", "aws-chunked is not understood here")
        if server.auth and wanted != "UNSIGNED-PAYLOAD" and \
                wanted != hashlib.sha256(body).hexdigest():
            raise problem(400, "XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 "
                          "header does not match what was computed.")
        if "content-md5" in self.names and self.names["content-md5"] != \
                base64.b64encode(hashlib.md5(body).digest()).decode():
            raise problem(400, "BadDigest", "The Content-MD5 you specified did not match what we "
                          "received.")

    # ------------------------------------------------------------ operations

    def checked_crc(self, body):
        """The body's, compared with the header where checksums are understood."""
        server = self.server
        crc = crc32c.crc32c(body)
        given = self.names.get("x-amz-checksum-crc32c")
        others = [n for n in self.names if n.startswith("x-amz-checksum-")]
        if others and server.checksums == "refuse":
            raise problem(400, "InvalidArgument", f"Unsupported header '{others[0]}' received for "
                          "this API call.")
        if given and server.checksums == "yes" and given != crc32c.encode(crc):
            raise problem(400, "BadDigest", "The CRC32C you specified did not match the "
                          "calculated checksum.")
        return crc

    def crc_headers(self, value, kind):
        if self.server.checksums != "yes" or value is None:
            return {}
        return {"x-amz-checksum-crc32c": value, "x-amz-checksum-type": kind}

    def kept(self):
        return {n: v for n, v in self.names.items()
                if n in KEPT_HEADERS or n.startswith("x-amz-meta-")}

    def shown(self, found):
        return {n: v for n, v in found.kept.items()
                if n in SHOWN_HEADERS or n.startswith("x-amz-meta-")}

    def op_put(self):
        server, body = self.server, self.read_body()
        if len(body) > 5 * 1024 * MIB:
            raise problem(400, "EntityTooLarge")
        if len(self.key.encode()) > 1024:
            raise problem(400, "KeyTooLongError", "Your key is too long")
        crc = self.checked_crc(body)
        etag = hashlib.md5(body).hexdigest()
        with server.lock:
            server.check_conditions(self.bucket, self.key, self.names)
            made = Object(body, etag, crc, "FULL_OBJECT", self.kept(), server.now())
            server.objects(self.bucket)[self.key] = made
        return Answer(200, b"", {"ETag": f'"{etag}"', **self.encryption(made),
                                 **self.crc_headers(crc32c.encode(crc), "FULL_OBJECT")})

    def encryption(self, made):
        return {n: v for n, v in made.kept.items() if "server-side-encryption" in n}

    def whole_crc(self, found):
        return crc32c.encode(found.crc) if found.crc is not None else None

    def op_get(self):
        server = self.server
        with server.lock:
            try:
                found = server.find(self.bucket, self.key)
            except Answer:
                if "s3:ListBucket" in server.denied:  # absence is not for everybody to know
                    raise problem(403, "AccessDenied", "Access Denied") from None
                raise
        if "if-match" in self.names and self.names["if-match"].strip('"') != found.etag:
            raise problem(412, "PreconditionFailed")
        data = found.data
        headers = {"ETag": f'"{found.etag}"', "Last-Modified": http_date(found.modified),
                   "Accept-Ranges": "bytes", **self.shown(found)}
        status = 200
        if "range" in self.names and not self.ignore_range:
            first, last = self.range_of(len(data))
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first:last + 1]
            status = 206
        elif self.names.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers.update(self.crc_headers(self.whole_crc(found), found.kind))
        return Answer(status, data, headers)

    ignore_range = False

    def range_of(self, size):
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.names["range"])
        if not match or match[0] == "bytes=-":
            raise problem(400, "InvalidArgument", "The range is not one")
        first, last = match.groups()
        if first == "":
            first, last = max(0, size - int(last)), size - 1
        else:
            first = int(first)
            last = min(int(last), size - 1) if last else size - 1
        if first >= size or first > last:
            raise problem(416, "InvalidRange", "The requested range is not satisfiable",
                          headers={"Content-Range": f"bytes */{size}"})
        return first, last

    def op_head(self):
        answer = self.op_get()
        answer.headers["Content-Length"] = str(len(answer.body))
        answer.body = b""
        return answer

    def op_delete(self):
        with self.server.lock:
            self.server.objects(self.bucket).pop(self.key, None)
        return Answer(204)

    def op_batch(self):
        if "content-md5" not in self.names and "x-amz-checksum-crc32c" not in self.names:
            raise problem(400, "InvalidRequest", "Missing required header for this request: "
                          "Content-MD5")
        inside = ""
        for item in self.xml("Delete").findall(f"{{{XMLNS}}}Object") or \
                self.xml("Delete").findall("Object"):
            key = item.findtext(f"{{{XMLNS}}}Key") or item.findtext("Key")
            with self.server.lock:
                self.server.objects(self.bucket).pop(key, None)
            inside += f"<Deleted><Key>{escape(key)}</Key></Deleted>"
        return document("DeleteResult", inside)

    def op_bucket(self):
        if self.command == "GET" and "location" in self.query:
            return document("LocationConstraint", "" if self.server.region == "us-east-1"
                            else self.server.region)
        return Answer(200, b"", {"x-amz-bucket-region": self.server.region})

    # --------------------------------------------------------------- listing

    def written(self, text):
        """As listings write keys."""
        if self.query.get("encoding-type") != "url" or not self.server.list_encoding:
            return escape(text)
        safe = quote(text, "/*")
        return safe.replace("%20", "+") if self.server.list_plus else safe

    def op_list(self):
        server, q = self.server, self.query
        prefix, delimiter = q.get("prefix", ""), q.get("delimiter", "")
        after = q.get("start-after", "")
        if "continuation-token" in q:
            after = base64.urlsafe_b64decode(q["continuation-token"]).decode()
        limit = min(int(q.get("max-keys", 1000)), server.page_max)
        with server.lock:
            found = dict(server.objects(self.bucket))
        for key in server.invented:
            found.setdefault(key, Object(b"", "0" * 32, 0, "FULL_OBJECT", {}, server.now()))
        entries, folders, truncated, last = [], [], False, after
        for key in sorted(found, key=lambda k: k.encode()):
            invented = key in server.invented
            if not invented and not key.startswith(prefix):
                continue
            rest = key[len(prefix):] if key.startswith(prefix) else ""
            folder = prefix + rest[:rest.index(delimiter) + 1] \
                if delimiter and delimiter in rest else None
            if key.encode() <= after.encode() or (folder and folder.encode() <= after.encode() and
                                                  after.startswith(folder)):
                continue
            if folder and folder in folders:
                continue
            if len(entries) + len(folders) == limit:
                truncated = True
                break
            if folder:
                folders.append(folder)
            else:
                entries.append((key, found[key]))
            last = folder or key
        return document("ListBucketResult", self.list_xml(entries, folders, truncated, last,
                                                          prefix, delimiter, limit))

    def list_xml(self, entries, folders, truncated, last, prefix, delimiter, limit):
        w = self.written
        inside = (f"<Name>{self.bucket}</Name><Prefix>{w(prefix)}</Prefix>"
                  f"<MaxKeys>{limit}</MaxKeys>")
        if delimiter:
            inside += f"<Delimiter>{w(delimiter)}</Delimiter>"
        if self.query.get("encoding-type") == "url" and self.server.list_encoding:
            inside += "<EncodingType>url</EncodingType>"
        inside += (f"<KeyCount>{len(entries) + len(folders)}</KeyCount>"
                   f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>")
        if truncated:
            token = base64.urlsafe_b64encode(last.encode()).decode()
            inside += f"<NextContinuationToken>{token}</NextContinuationToken>"
        for key, found in entries:
            inside += (f"<Contents><Key>{w(key)}</Key><LastModified>{iso_date(found.modified)}"
                       f"</LastModified><ETag>&quot;{found.etag}&quot;</ETag>"
                       f"<Size>{len(found.data)}</Size><StorageClass>STANDARD</StorageClass>"
                       "</Contents>")
        for folder in folders:
            inside += f"<CommonPrefixes><Prefix>{w(folder)}</Prefix></CommonPrefixes>"
        return inside

    # -------------------------------------------------------------- multipart

    def xml(self, root):
        body = self.read_body()
        if b"<!" in body:
            raise problem(400, "MalformedXML")
        try:
            tree = ElementTree.fromstring(body)
        except ElementTree.ParseError:
            raise problem(400, "MalformedXML", "The XML you provided was not well-formed") from None
        if tree.tag not in (root, f"{{{XMLNS}}}{root}"):
            raise problem(400, "MalformedXML")
        return tree

    def upload(self):
        """With the lock held."""
        found = self.server.uploads.get(self.query.get("uploadId"))
        if not found or (found.bucket, found.key) != (self.bucket, self.key):
            raise problem(404, "NoSuchUpload", "The specified multipart upload does not exist.")
        return found

    def op_create(self):
        if "if-none-match" in self.names:
            raise problem(501, "NotImplemented", "A header you provided implies functionality "
                          "that is not implemented")
        algorithm = self.names.get("x-amz-checksum-algorithm", "")
        if algorithm and self.server.checksums == "refuse":
            raise problem(400, "InvalidArgument", "Unsupported header 'x-amz-checksum-algorithm'")
        full = self.names.get("x-amz-checksum-type", "") == "FULL_OBJECT"
        upload_id = secrets.token_urlsafe(24)
        with self.server.lock:
            self.server.uploads[upload_id] = Upload(self.bucket, self.key, self.kept(), full,
                                                    self.server.now())
        return document("InitiateMultipartUploadResult",
                        f"<Bucket>{self.bucket}</Bucket><Key>{escape(self.key)}</Key>"
                        f"<UploadId>{upload_id}</UploadId>")

    def op_part(self):
        number = self.query.get("partNumber", "")
        if not number.isdigit() or not 1 <= int(number) <= 10000:
            raise problem(400, "InvalidArgument", "Part number must be an integer between 1 and "
                          "10000, inclusive")
        with self.server.lock:
            self.upload()
        body = self.read_body()
        crc = self.checked_crc(body)
        etag = hashlib.md5(body).hexdigest()
        with self.server.lock:
            self.upload().parts[int(number)] = (body, etag, crc)
        headers = self.crc_headers(crc32c.encode(crc), None)
        headers.pop("x-amz-checksum-type", None)
        return Answer(200, b"", {"ETag": f'"{etag}"', **headers})

    def listed_parts(self):
        """[(number, etag, crc or None)] of the request."""
        tree = self.xml("CompleteMultipartUpload")
        out = []
        for part in tree:
            fields = {child.tag.rpartition("}")[2]: child.text for child in part}
            try:
                out.append((int(fields["PartNumber"]), fields["ETag"].strip('"'),
                            fields.get("ChecksumCRC32C")))
            except (KeyError, ValueError, AttributeError):
                raise problem(400, "MalformedXML") from None
        if not out:
            raise problem(400, "MalformedXML", "You must specify at least one part")
        return out

    def assemble(self, upload, listed):
        """The data and the parts' own ETags and checksums."""
        chosen = []
        if [n for n, _, _ in listed] != sorted({n for n, _, _ in listed}):
            raise problem(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        for number, etag, crc in listed:
            part = upload.parts.get(number)
            if not part or part[1] != etag or \
                    (crc and self.server.checksums == "yes" and crc != crc32c.encode(part[2])):
                raise problem(400, "InvalidPart", "One or more of the specified parts could not "
                              "be found.")
            chosen.append(part)
        if any(len(part[0]) < self.server.part_min for part in chosen[:-1]):
            raise problem(400, "EntityTooSmall", "Your proposed upload is smaller than the "
                          "minimum allowed object size.")
        return b"".join(part[0] for part in chosen), chosen

    def op_complete(self):
        server, upload_id = self.server, self.query.get("uploadId")
        listed = self.listed_parts()
        with server.lock:
            if upload_id in server.completed and server.repeat_complete == 200:
                return server.completed[upload_id]
            if upload_id in server.completed and server.repeat_complete == 412:
                raise problem(412, "PreconditionFailed")
            upload = self.upload()
            data, chosen = self.assemble(upload, listed)
            size = self.names.get("x-amz-mp-object-size")
            if size is not None and int(size) != len(data):
                raise problem(400, "InvalidRequest", "The provided 'x-amz-mp-object-size' header "
                              "does not match what was computed.")
            crc = crc32c.crc32c(data)
            given = self.names.get("x-amz-checksum-crc32c")
            if given and upload.full and server.checksums == "yes" and \
                    given != crc32c.encode(crc):
                raise problem(400, "BadDigest", "The CRC32C you specified did not match the "
                              "calculated checksum.")
            server.check_conditions(self.bucket, self.key, self.names)
            etag = hashlib.md5(b"".join(bytes.fromhex(p[1]) for p in chosen)).hexdigest() + \
                f"-{len(chosen)}"
            made = Object(data, etag, crc if upload.full else None,
                          "FULL_OBJECT" if upload.full else "COMPOSITE", upload.kept,
                          server.now())
            server.objects(self.bucket)[self.key] = made
            del server.uploads[upload_id]
            value = self.whole_crc(made)
            inside = (f"<Location>{self.server.url}/{self.bucket}</Location>"
                      f"<Bucket>{self.bucket}</Bucket><Key>{escape(self.key)}</Key>"
                      f"<ETag>&quot;{etag}&quot;</ETag>")
            if value and server.checksums == "yes":
                inside += (f"<ChecksumCRC32C>{value}</ChecksumCRC32C>"
                           "<ChecksumType>FULL_OBJECT</ChecksumType>")
            server.completed[upload_id] = document("CompleteMultipartUploadResult", inside)
            return server.completed[upload_id]

    def op_abort(self):
        with self.server.lock:
            self.upload()
            del self.server.uploads[self.query["uploadId"]]
        return Answer(204)

    def op_parts(self):
        with self.server.lock:
            parts = sorted(self.upload().parts.items())
        return document("ListPartsResult", "<IsTruncated>false</IsTruncated>" + "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>"
            f"<Size>{len(data)}</Size><ChecksumCRC32C>{crc32c.encode(crc)}</ChecksumCRC32C></Part>"
            for number, (data, etag, crc) in parts))

    def op_uploads(self):
        q, w = self.query, self.written
        limit = min(int(q.get("max-uploads", 1000)), self.server.page_max)
        after = (q.get("key-marker", ""), q.get("upload-id-marker", ""))
        with self.server.lock:
            found = sorted(((u.key, i, u) for i, u in self.server.uploads.items()
                            if u.bucket == self.bucket and u.key.startswith(q.get("prefix", ""))),
                           key=lambda item: (item[0].encode(), item[1]))
        found = [f for f in found if (f[0].encode(), f[1]) > (after[0].encode(), after[1])
                 or (not after[1] and f[0].encode() > after[0].encode())]
        if after[0] and not after[1]:
            found = [f for f in found if f[0] != after[0]]
        page, more = found[:limit], len(found) > limit
        inside = f"<Bucket>{self.bucket}</Bucket>"
        if q.get("encoding-type") == "url" and self.server.list_encoding:
            inside += "<EncodingType>url</EncodingType>"
        inside += f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        if more:
            inside += (f"<NextKeyMarker>{w(page[-1][0])}</NextKeyMarker>"
                       f"<NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>")
        for key, upload_id, upload in page:
            inside += (f"<Upload><Key>{w(key)}</Key><UploadId>{upload_id}</UploadId>"
                       f"<Initiated>{iso_date(upload.initiated)}</Initiated></Upload>")
        return document("ListMultipartUploadsResult", inside)

    # ----------------------------------------------------------------- faults

    def fault_reset(self, fault, answer, entry):
        self.reset()

    fault_lost = fault_reset

    def fault_status(self, fault, answer, entry):
        status = fault.get("status", 500)
        body = fault.get("body")
        if body is None:
            body = error_xml(fault.get("code", "InternalError"), fault.get("message", "scripted"),
                             fault.get("extra", ""))
        entry["status"] = status
        headers = {"Content-Type": "application/xml", **fault.get("headers", {})}
        self.send(Answer(status, b"" if self.command == "HEAD" else body, headers))

    def fault_redirect(self, fault, answer, entry):
        entry["status"] = 307
        self.send(problem(307, "TemporaryRedirect", "Please re-send this request",
                          headers={"Location": fault.get("location", "http://127.0.0.1:1/")}))

    def fault_proxy(self, fault, answer, entry):
        entry["status"], self.request_id = fault.get("status", 302), ""
        self.send(Answer(entry["status"], b"<html>Moved</html>", {"Content-Type": "text/html", **fault.get("headers", {})}))

    def fault_error_in_200(self, fault, answer, entry):
        entry["status"] = 200
        self.send(Answer(200, error_xml(fault.get("code", "InternalError"), "We encountered an "
                                        "internal error. Please try again."),
                         {"Content-Type": "application/xml"}))

    def fault_raw(self, fault, answer, entry):
        self.close_connection = True
        self.wfile.write(fault["bytes"].encode("latin-1"))

    def whole_reply(self, answer):
        head = f"HTTP/1.1 {answer.status} X\r\nx-amz-request-id: {self.request_id}\r\n"
        for name, value in answer.headers.items():
            head += f"{name}: {value}\r\n"
        if "Content-Length" not in answer.headers:
            head += f"Content-Length: {max(len(answer.body), 100)}\r\n"
        return head.encode() + b"\r\n", answer.body

    def fault_reset_head(self, fault, answer, entry):
        head, _ = self.whole_reply(answer)
        self.wfile.write(head[:len(head) // 2])
        self.reset()

    def half(self, answer):
        head, body = self.whole_reply(answer)
        self.wfile.write(head + body[:len(body) // 2])
        self.wfile.flush()
        self.close_connection = True

    def fault_reset_body(self, fault, answer, entry):
        self.half(answer)
        self.reset()

    def fault_truncated(self, fault, answer, entry):
        self.half(answer)

    def fault_garbage(self, fault, answer, entry):
        entry["status"] = 200
        self.send(Answer(200, fault.get("body", "<html>it works<p>"),
                         {"Content-Type": "text/html"}))

    def wait(self, seconds):
        self.server.stop_stalls.wait(seconds)

    def fault_stall(self, fault, answer, entry):
        self.wait(fault.get("seconds", 120))
        self.reset()

    def fault_stall_body(self, fault, answer, entry):
        self.half(answer)
        self.wait(fault.get("seconds", 120))
        self.reset()

    def fault_slow(self, fault, answer, entry):
        self.wait(fault.get("seconds", 1))
        self.send(answer)

    def fault_whitespace(self, fault, answer, entry):
        self.head(answer.status, {**answer.headers, "Transfer-Encoding": "chunked"}, None)
        first, _, rest = answer.body.partition(b"\n")
        end = time.monotonic() + fault.get("seconds", 1)
        self.chunk(first)
        while time.monotonic() < end:
            self.chunk(b" ")
            time.sleep(fault.get("every", 0.1))
        body = fault["body"].encode() if "body" in fault else rest
        self.chunk(body)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def chunk(self, data):
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    def fault_wrong_checksum(self, fault, answer, entry):
        for name in answer.headers:
            if name == "x-amz-checksum-crc32c":
                answer.headers[name] = "AAAAAA=="
        body = re.sub(rb"<ChecksumCRC32C>[^<]*<", b"<ChecksumCRC32C>AAAAAA==<", answer.body)
        self.send(Answer(answer.status, body, answer.headers))

    def fault_wrong_etag(self, fault, answer, entry):
        headers = dict(answer.headers)
        if "ETag" in headers:
            headers["ETag"] = '"00000000000000000000000000000000"'
        body = re.sub(rb"<ETag>[^<]*<", b"<ETag>&quot;" + b"0" * 32 + b"&quot;<", answer.body)
        self.send(Answer(answer.status, body, headers))

    def fault_corrupt(self, fault, answer, entry):
        at = fault.get("at", len(answer.body) // 2)
        body = bytearray(answer.body)
        if body:
            body[at] ^= 1
        self.send(Answer(answer.status, bytes(body), answer.headers))

    def fault_short(self, fault, answer, entry):
        missing = fault.get("bytes", 1)
        self.send(Answer(answer.status, answer.body[:-missing], answer.headers))

    def fault_whole(self, fault, answer, entry):
        self.ignore_range = True
        self.send(self.carry_out(entry["kind"]))
        self.ignore_range = False


# ---------------------------------------------------------------------- control


def control(handler):
    """/_faults/...: for tests in other processes."""
    server = handler.server
    path, _, raw = handler.path[len("/_faults"):].partition("?")
    query = dict(urllib.parse.parse_qsl(raw, keep_blank_values=True))
    length = int(handler.names.get("content-length", 0))
    handler.body = body = handler.rfile.read(length)
    result = None
    try:
        result = control_table(server, handler.command, path, query, body)
    except (KeyError, ValueError, TypeError) as wrong:
        handler.send(Answer(400, f"{handler.command} {path}: {wrong!r}\n"))
        return
    handler.send(Answer(200, json.dumps(result, indent=1) + "\n",
                        {"Content-Type": "application/json"}))


def add_plan(server, body):
    plan = json.loads(body)
    for fault in plan if isinstance(plan, list) else [plan]:
        if not hasattr(Handler, "fault_" + fault["what"]):
            raise ValueError("no such fault: " + fault["what"])
        server.fault(**fault)


def change_settings(server, body):
    for name, value in json.loads(body).items():
        if name not in S3.SETTINGS:
            raise KeyError(name)
        setattr(server, name, value)


def add_object(server, query, body):
    with server.lock:
        server.buckets.setdefault(query["bucket"], {})[query["key"]] = Object(
            body, hashlib.md5(body).hexdigest(), crc32c.crc32c(body), "FULL_OBJECT", {},
            server.now())


def control_table(server, method, path, query, body):
    if (method, path) == ("GET", "/health"):
        return {"ok": True}
    if (method, path) == ("GET", "/log"):
        with server.lock:
            return list(server.log)
    if (method, path) == ("DELETE", "/log"):
        with server.lock:
            server.log.clear()
        return {}
    if (method, path) == ("GET", "/state"):
        return server.state()
    if (method, path) == ("GET", "/plan"):
        return server.faults
    if (method, path) == ("POST", "/plan"):
        return add_plan(server, body)
    if (method, path) == ("DELETE", "/plan"):
        return server.clear()
    if (method, path) == ("GET", "/settings"):
        return {name: getattr(server, name) for name in S3.SETTINGS}
    if (method, path) == ("PUT", "/settings"):
        return change_settings(server, body)
    if (method, path) == ("DELETE", "/settings"):
        return server.defaults()
    if (method, path) == ("PUT", "/object"):
        return add_object(server, query, body)
    raise KeyError("not known")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", default="persist-test")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    options = parser.parse_args()
    server = S3(options.port, options.bucket, options.tls)
    print(server.url, flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
