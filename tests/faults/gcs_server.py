#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A storage service that speaks the GCS JSON API as strictly as the real one is described, and
fails when it is told to.  Where emulators are lenient this one refuses: a wrong Content-Range, a
chunk that is no multiple of 256 KiB, bytes behind the stored end, a checksum that differs.

    usage: gcs_server.py --port N [--bucket NAME]      (a process of its own)
    or     server = gcs_server.start()                 (inside a test)

Faults.  server.fault(kind, what, nth=1, times=1, **more): the nth request of that kind (counted
from now on) and the times - 1 behind it fail:

    reset          the connection is reset before an answer
    lost           carried out, then reset: the answer is lost
    status         answered with `status` (and `reason`, `message`, `headers`), not carried out
    garbage        carried out, and 200 with something that is no JSON
    page           a page of something in front of the service, with `status` (200), not carried out
    truncated      carried out, and the answer ends in its middle
    stall          no answer until the other side gives up
    corrupt        carried out; a byte of what is stored or sent is wrong, or of its checksum
    store          of a chunk, only the first `bytes` bytes are kept
    no_range       308 without Range although bytes are held
    excess         308 acknowledges more than was sent
    less           308 acknowledges `bytes` bytes, whatever is held
    gone           the session is forgotten (status 404 or 410)
    gzip           a download is answered decompressed, whole, as transcoding does
    early          200 to a chunk that is not the last
    replaced       of a download: the object is another one by now
    unframed       half a download, whole object, whose end nothing tells
    same_page      a page of a listing that is empty and leads to itself

Kinds: put start chunk final query cancel read look delete list bucket permissions token.

server.log holds one dict per request.  Tokens: with server.auth, every request but those to
sessions needs "Authorization: Bearer T" with T in server.tokens or a JWT of a key in server.keys.
The bucket "denied" refuses everything.
"""
import argparse
import collections
import email.parser
import json
import re
import secrets
import socket
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import crc32c
import rs256

CHUNK = 256 * 1024
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Answer(Exception):
    """An answer that ends the handling of a request."""

    def __init__(self, status, body=b"", headers=None):
        super().__init__(status)
        self.status = status
        self.body = body if isinstance(body, bytes) else body.encode()
        self.headers = dict(headers or {})


def problem(status, reason, message):
    error = {"code": status, "message": message,
             "errors": [{"domain": "global", "reason": reason, "message": message}]}
    return Answer(status, json.dumps({"error": error}), {"Content-Type": "application/json"})


NO_BUCKET = "The specified bucket does not exist."


class Object:
    def __init__(self, name, data, generation, metadata):
        self.name = name
        self.data = bytes(data)
        self.generation = generation
        self.metadata = metadata
        self.crc = crc32c.crc32c(self.data)
        self.updated = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())

    def resource(self):
        out = dict(self.metadata)
        out.update(name=self.name, size=str(len(self.data)), generation=str(self.generation),
                   metageneration="1", crc32c=crc32c.encode(self.crc), updated=self.updated,
                   kind="storage#object")
        return out


class Session:
    def __init__(self, bucket, name, metadata, query):
        self.bucket = bucket
        self.name = name
        self.metadata = metadata
        self.query = query
        self.data = bytearray()
        self.finished = None
        self.cancelled = False
        self.lock = threading.Lock()


class Gcs(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port=0, bucket="bucket"):
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.RLock()
        self.buckets = {bucket: {}}
        self.settings = {"location": "EU", "storageClass": "STANDARD"}
        self.sessions = {}
        self.forgotten = {}
        self.generation = 1700000000000000
        self.log = []
        self.faults = []
        self.seen = collections.Counter()
        self.auth = False
        self.tokens = {}          # token -> whose
        self.refused = set()      # tokens that were revoked
        self.keys = {}            # client_email -> (n, e)
        self.scopes = []          # of every token that was used
        self.granted = ["storage.objects.list", "storage.objects.get",
                        "storage.objects.create", "storage.objects.delete"]
        self.refresh_tokens = {}  # refresh_token -> (client_id, client_secret)
        self.subjects = {}        # subject token -> audience
        self.token_life = 3600
        self.metadata_flavor = "Google"
        self.universe = None
        self.busy = {}            # (bucket, name) -> time of the last write
        self.one_write_a_second = False
        self.page_max = 1000
        self.connections = 0      # open ones
        self.stop_stalls = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # connections that tests break

    def get_request(self):
        with self.lock:
            self.connections += 1
        return super().get_request()

    # ------------------------------------------------------------- faults

    def fault(self, kind, what, nth=1, times=1, **more):
        with self.lock:
            self.faults.append({"kind": kind, "what": what, "first": self.seen[kind] + nth,
                                "times": times, **more})

    def take_fault(self, kind):
        with self.lock:
            self.seen[kind] += 1
            for fault in self.faults:
                if fault["kind"] in (kind, "any") and \
                        fault["first"] <= self.seen[kind] < fault["first"] + fault["times"]:
                    return fault
        return None

    def clear(self):
        """Forgets faults, log and counts; keeps what is stored."""
        with self.lock:
            self.faults, self.log = [], []
            self.seen.clear()

    def wait_idle(self, limit_s=60):
        """Until every connection has ended and what came over them has been dealt with."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            with self.lock:
                if self.connections == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"{self.connections} connections stay open")

    def of_kind(self, *kinds):
        with self.lock:
            return [entry for entry in self.log if entry["kind"] in kinds]

    # ------------------------------------------------------------- storage

    def objects(self, bucket):
        if bucket == "denied":
            raise problem(403, "forbidden", "x does not have access to the bucket.")
        if bucket not in self.buckets:
            raise problem(404, "notFound", NO_BUCKET)
        return self.buckets[bucket]

    def find(self, bucket, name):
        found = self.objects(bucket).get(name)
        if found is None:
            raise problem(404, "notFound", f"No such object: {bucket}/{name}")
        return found

    def check_generation(self, bucket, name, query):
        if "ifGenerationMatch" not in query:
            return
        current = self.objects(bucket).get(name)
        want = int(query["ifGenerationMatch"])
        have = current.generation if current else 0
        if have != want:
            raise problem(412, "conditionNotMet",
                          "At least one of the pre-conditions you specified did not hold.")

    def throttle(self, bucket, name):
        if not self.one_write_a_second:
            return
        last = self.busy.get((bucket, name), 0)
        if time.monotonic() - last < 1:
            raise problem(429, "rateLimitExceeded",
                          "The object exceeded the rate limit for object mutation operations.")

    def create(self, bucket, name, data, metadata, query):
        with self.lock:
            self.throttle(bucket, name)
            self.check_generation(bucket, name, query)
            old = self.objects(bucket).get(name)
            if old and ("retention" in old.metadata or old.metadata.get("temporaryHold")
                        or old.metadata.get("eventBasedHold")):
                raise problem(403, "retentionPolicyNotMet", "Object is under hold or retention.")
            want = metadata.pop("crc32c", None)
            self.generation += 1
            made = Object(name, data, self.generation, metadata)
            if want is not None and want != crc32c.encode(made.crc):
                raise problem(400, "invalid", f"Provided CRC32C \"{want}\" doesn't match "
                              f"calculated CRC32C \"{crc32c.encode(made.crc)}\".")
            if "kmsKeyName" in query:
                metadata["kmsKeyName"] = query["kmsKeyName"]
            self.objects(bucket)[name] = made
            self.busy[(bucket, name)] = time.monotonic()
            return made

    # -------------------------------------------------------------- tokens

    def issue(self, whose, scope):
        token = "ya29." + secrets.token_urlsafe(32)
        self.tokens[token] = (whose, scope, time.time() + self.token_life)
        return token

    def verify_jwt(self, token):
        """The claims of a token of one of the keys, or None."""
        for address, key in self.keys.items():
            try:
                header, claims = rs256.verify(token, key)
            except (ValueError, IndexError):
                continue
            if header.get("alg") != "RS256" or claims.get("iss") != address:
                continue
            if not claims["iat"] - 5 <= time.time() < claims["exp"] <= claims["iat"] + 3600:
                continue
            return claims
        return None

    def authorise(self, headers):
        line = headers.get("Authorization", "")
        token = line[7:] if line.startswith("Bearer ") else ""
        if not self.auth or (token in self.tokens and token not in self.refused
                             and self.tokens[token][2] > time.time()):
            if token in self.tokens:
                self.scopes.append(self.tokens[token][1])
            return
        claims = self.verify_jwt(token) if token.count(".") == 2 else None
        if claims and token not in self.refused and claims.get("sub") == claims["iss"] and \
                ("aud" in claims) != ("scope" in claims):
            self.scopes.append(claims.get("scope"))
            return
        if not line:
            raise problem(401, "required", "Anonymous caller does not have storage access.")
        raise problem(401, "authError", "Invalid Credentials")


def start(port=0, bucket="bucket"):
    server = Gcs(port, bucket)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05},
                     daemon=True).start()
    return server


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def log_message(self, *args):
        pass

    def finish(self):
        try:
            super().finish()
        finally:
            with self.server.lock:
                self.server.connections -= 1

    # -------------------------------------------------------------- plumbing

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        if len(data) < length:
            self.keep_piece(data)
            raise ConnectionError("the body broke off")
        return data

    def keep_piece(self, data):
        """Of a chunk that breaks off the service keeps what is a multiple of 256 KiB."""
        session = self.server.sessions.get(self.query.get("upload_id"))
        match = re.match(r"bytes (\d+)-", self.headers.get("Content-Range", ""))
        if self.entry["kind"] != "chunk" or session is None or not match:
            return
        with session.lock:
            first, held = int(match.group(1)), len(session.data)
            if first <= held:
                session.data += data[held - first:len(data) // CHUNK * CHUNK]
                self.entry["held_after"] = len(session.data)

    def send(self, answer, fault):
        what = fault["what"] if fault else None
        body = answer.body
        if what == "garbage":
            body = b"<html>it works</html>"
            answer.status = 200
        if what == "corrupt" and answer.status in (200, 206) and body:
            body = self.corrupted(answer, body)
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        if what == "unframed":
            self.close_connection = True
            body = body[:len(body) // 2]
        else:
            self.send_header("Content-Length", str(len(body)))
        if "X-GUploader-UploadID" not in answer.headers and what != "page":
            self.send_header("X-GUploader-UploadID", "request-" + secrets.token_hex(8))
        for name, value in answer.headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one)
        self.end_headers()
        if self.command == "HEAD":
            return
        if what == "truncated" and body:
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            self.reset()
            return
        self.wfile.write(body)
        if what == "body_reset":
            self.reset()

    def corrupted(self, answer, body):
        if answer.headers.get("Content-Type") != "application/json":
            at = len(body) // 2
            return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        return re.sub(rb'"crc32c": "(.)', lambda m: b'"crc32c": "' +
                      (b"B" if m.group(1) == b"A" else b"A"), body)

    def handle_one(self):
        server = self.server
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.route = parts.path
        kind, run = self.find_route()
        fault = server.take_fault(kind)
        entry = {"kind": kind, "method": self.command, "path": self.route, "query": self.query,
                 "headers": {k.lower(): v for k, v in self.headers.items()},
                 "port": self.client_address[1], "at": time.monotonic(),
                 "length": int(self.headers.get("Content-Length") or 0)}
        self.entry = entry
        with server.lock:
            server.log.append(entry)
        if fault:
            entry["fault"] = fault["what"]
        if fault and fault["what"] == "reset":
            return self.reset()
        if fault and fault["what"] == "reset_body":
            self.rfile.read(min(entry["length"], 100000))
            return self.reset()
        data = self.body()
        if fault and fault["what"] == "stall":
            server.stop_stalls.wait(fault.get("seconds", 60))
            return self.reset()
        try:
            if fault and fault["what"] == "status":
                answer = problem(fault["status"], fault.get("reason", "backendError"),
                                 fault.get("message", "scripted"))
                answer.headers.update(fault.get("headers", {}))
                raise answer
            if fault and fault["what"] == "page":
                raise Answer(fault.get("status", 200), "<html>Log in</html>", {"Content-Type": "text/html"})
            if kind not in ("token", "chunk", "final", "query", "cancel"):
                server.authorise(self.headers)
            self.fault = fault
            run(data)
            raise problem(500, "internalError", "no answer")
        except Answer as answer:
            entry["status"] = answer.status
            if fault and fault["what"] == "lost":
                return self.reset()
            self.send(answer, fault)
        return None

    def do_any(self):
        try:
            self.handle_one()
        except (ConnectionError, OSError, ValueError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_any

    def find_route(self):
        command, route, query = self.command, self.route, self.query
        if route.startswith("/upload/storage/v1/b/") and route.endswith("/o"):
            self.bucket = urllib.parse.unquote(route.split("/")[5])
            if "upload_id" in query:
                if command == "DELETE":
                    return "cancel", self.cancel
                content_range = self.headers.get("Content-Range", "")
                kind = "query" if content_range == "bytes */*" else \
                    "chunk" if content_range.endswith("/*") else "final"
                return kind, self.session_put
            if query.get("uploadType") == "resumable" and command == "POST":
                return "start", self.session_start
            if query.get("uploadType") == "multipart" and command == "POST":
                return "put", self.multipart
        match = re.fullmatch(r"/storage/v1/b/([^/]+)(/.*)?", route)
        if match:
            self.bucket = urllib.parse.unquote(match.group(1))
            rest = match.group(2) or ""
            if rest == "" and command == "GET":
                return "bucket", self.bucket_get
            if rest == "/iam/testPermissions":
                return "permissions", self.permissions
            if rest == "/o" and command == "GET":
                return "list", self.list
            if rest.startswith("/o/") and "/" not in rest[3:]:
                self.name = urllib.parse.unquote(rest[3:])
                if command == "DELETE":
                    return "delete", self.delete
                if command == "GET":
                    return ("read", self.read) if query.get("alt") == "media" else \
                        ("look", self.look)
        for path, run in (("/token", self.token), ("/sts", self.sts)):
            if route == path:
                return "token", run
        if route.startswith("/iam/serviceAccounts/"):
            return "token", self.impersonate
        if route.startswith("/computeMetadata/"):
            return "token", self.compute_metadata
        if route == "/subject":
            return "token", self.subject
        if route == "/_faults/health":
            return "other", self.health
        return "other", self.unknown

    def health(self, _data):
        raise Answer(200, b"ok")

    def json(self, status, data, headers=None):
        raise Answer(status, json.dumps(data),
                     {"Content-Type": "application/json", **(headers or {})})

    def unknown(self, _data):
        raise problem(404, "notFound", "Not Found")

    # --------------------------------------------------------------- objects

    def multipart(self, data):
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        boundary = re.search(r"boundary=(\S+)", self.headers["Content-Type"]).group(1).encode()
        assert self.headers["Content-Type"].startswith("multipart/related"), head
        pieces = data.split(b"--" + boundary)
        if len(pieces) != 4 or pieces[0] != b"" or pieces[3] != b"--\r\n":
            raise problem(400, "badRequest", "Malformed multipart body.")
        parts = []
        for piece in pieces[1:3]:
            head, _, content = piece.partition(b"\r\n\r\n")
            kind = email.parser.BytesParser().parsebytes(head.lstrip(b"\r\n") + b"\r\n\r\n")
            parts.append((kind.get_content_type(), content[:-2]))
        if parts[0][0] != "application/json":
            raise problem(400, "badRequest", "Metadata part is not JSON.")
        metadata = json.loads(parts[0][1])
        name = metadata.pop("name")
        if self.fault and self.fault["what"] == "corrupt_stored":
            flipped = bytes([parts[1][1][0] ^ 1]) + parts[1][1][1:]
            parts[1] = (parts[1][0], flipped)
            metadata.pop("crc32c")
        elif self.fault and self.fault["what"] == "corrupt_sent":
            parts[1] = (parts[1][0], bytes([parts[1][1][0] ^ 1]) + parts[1][1][1:])
        made = self.server.create(self.bucket, name, parts[1][1], metadata, self.query)
        self.json(200, made.resource())

    def look(self, _data):
        found = self.server.find(self.bucket, self.name)
        self.json(200, found.resource())

    def delete(self, _data):
        with self.server.lock:
            found = self.server.find(self.bucket, self.name)
            self.server.check_generation(self.bucket, self.name, self.query)
            if "retention" in found.metadata or found.metadata.get("temporaryHold") or \
                    found.metadata.get("eventBasedHold"):
                raise problem(403, "retentionPolicyNotMet", "Object is under active hold.")
            del self.server.objects(self.bucket)[self.name]
        raise Answer(204)

    def read(self, _data):
        found = self.server.objects(self.bucket).get(self.name)
        if found is None:  # the media path says it in plain text
            raise Answer(404, f"No such object: {self.bucket}/{self.name}",
                         {"Content-Type": "text/html; charset=UTF-8"})
        self.server.check_generation(self.bucket, self.name, self.query)
        size = len(found.data)
        headers = {"x-goog-generation": str(found.generation),
                   "x-goog-hash": [f"crc32c={crc32c.encode(found.crc)}", "md5=AAAAAAAAAAAAAAAAAAAAAA=="],
                   "x-goog-stored-content-length": str(size),
                   "x-goog-stored-content-encoding":
                       found.metadata.get("contentEncoding", "identity"),
                   "Content-Type": "application/octet-stream"}
        if found.metadata.get("contentEncoding") == "gzip" and \
                ("gzip" not in self.headers.get("Accept-Encoding", "")
                 or (self.fault and self.fault["what"] == "gzip")):
            raise Answer(200, b"decompressed" * 4, headers)
        if found.metadata.get("contentEncoding") == "gzip":
            headers["Content-Encoding"] = "gzip"
        wanted = self.headers.get("Range")
        if self.fault and self.fault["what"] == "replaced":
            self.server.create(self.bucket, self.name, found.data[::-1], {}, {})
            self.server.check_generation(self.bucket, self.name, self.query)
        if wanted is None or (self.fault and self.fault["what"] in ("no_range", "unframed")):
            raise Answer(200, found.data, headers)
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted).groups()
        if first == "":
            first, last = max(0, size - int(last)), size - 1
            satisfiable = size > 0
        else:
            first, last = int(first), min(size - 1, int(last or size - 1))
            satisfiable = first < size
        if not satisfiable:
            raise Answer(416, "<?xml version='1.0' encoding='UTF-8'?><Error>"
                         "<Code>InvalidRange</Code></Error>",
                         {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        raise Answer(206, found.data[first:last + 1], headers)

    def list(self, _data):
        query = self.query
        if self.fault and self.fault["what"] == "same_page":
            self.json(200, {"nextPageToken": "41"})
        names = sorted(self.server.objects(self.bucket), key=lambda n: n.encode())
        start = query.get("pageToken") and \
            bytes.fromhex(query["pageToken"]).decode() or query.get("startOffset", "")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        limit = min(int(query.get("maxResults", 1000)), self.server.page_max)
        items, prefixes, after = [], [], None
        for name in names:
            if not name.startswith(prefix) or name.encode() < start.encode():
                continue
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            folder = name[:cut + 1] if cut >= 0 else None
            if folder and prefixes and prefixes[-1] == folder:
                continue
            if len(items) + len(prefixes) == limit:
                after = name
                break
            if folder:
                prefixes.append(folder)
            else:
                items.append(self.server.objects(self.bucket)[name].resource())
        out = {"kind": "storage#objects"}
        if items:
            out["items"] = items
        if prefixes:
            out["prefixes"] = prefixes
        if after is not None:
            out["nextPageToken"] = after.encode().hex()
        self.json(200, out)

    def bucket_get(self, _data):
        self.server.objects(self.bucket)
        self.json(200, self.server.settings)

    def permissions(self, _data):
        self.server.objects(self.bucket)
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["permissions"]
        self.json(200, {"permissions": [p for p in asked if p in self.server.granted]})

    # -------------------------------------------------------------- sessions

    def session_start(self, data):
        self.server.objects(self.bucket)
        metadata = json.loads(data) if data else {}
        name = self.query.get("name") or metadata.get("name")
        metadata.pop("name", None)
        if self.fault and self.fault["what"] == "refuse_taken":
            self.server.check_generation(self.bucket, name, self.query)
        identifier = "secret-" + secrets.token_urlsafe(24)
        with self.server.lock:
            self.server.sessions[identifier] = Session(self.bucket, name, metadata,
                                                       dict(self.query))
        raise Answer(200, b"", {
            "Location": f"{self.server.url}{self.route}?uploadType=resumable"
                        f"&upload_id={identifier}",
            "X-GUploader-UploadID": identifier})

    def session_put(self, data):
        identifier = self.query["upload_id"]
        if self.fault and self.fault["what"] == "gone":
            self.server.sessions.pop(identifier, None)
            self.server.forgotten[identifier] = self.fault.get("status", 410)
        session = self.server.sessions.get(identifier)
        if session is None:
            status = self.server.forgotten.get(identifier, 404)
            raise problem(status, "notFound" if status == 404 else "gone", "Session gone")
        with session.lock:
            self.entry["held"] = len(session.data)
            self.run_session(session, data)

    def run_session(self, session, data):
        if session.cancelled:
            raise Answer(499)
        if session.finished:
            self.json(200, session.finished)
        text = self.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", text)
        if not match:
            raise problem(400, "badRequest", f"Invalid Content-Range: {text}")
        first, last, total = match.groups()
        total = None if total == "*" else int(total)
        if first is not None:
            self.add_bytes(session, int(first), int(last), total, data)
        elif data:
            raise problem(400, "badRequest", "A body with no range.")
        if total is not None and len(session.data) == total:
            self.become_object(session)
        if total is not None and len(session.data) > total:
            raise problem(400, "badRequest", "More bytes than the total.")
        if self.fault and self.fault["what"] == "early":
            self.become_object(session)
        self.entry["held_after"] = len(session.data)
        raise self.incomplete(session)

    def add_bytes(self, session, first, last, total, data):
        if last - first + 1 != len(data):
            raise problem(400, "badRequest", "Content-Range and Content-Length differ.")
        if total is None and (last + 1) % CHUNK:
            raise problem(400, "badRequest", "A chunk that ends at no multiple of 256 KiB.")
        if total is not None and last + 1 != total:
            raise problem(400, "badRequest", "The last chunk ends before the total.")
        if first > len(session.data):
            raise Answer(503, f"Invalid request. According to the Content-Range header, the upload "
                         f"offset is {first} byte(s), which exceeds already uploaded size of "
                         f"{len(session.data)} byte(s).", {"Content-Type": "text/plain"})
        fresh = data[len(session.data) - first:]
        self.entry["resent"] = len(data) - len(fresh)
        if self.fault and self.fault["what"] == "corrupt_stored":
            fresh = bytes([fresh[0] ^ 1]) + fresh[1:]
        if self.fault and self.fault["what"] == "store":
            session.data += fresh[:self.fault["bytes"]]
            if self.fault.get("then"):
                raise problem(self.fault["then"], "backendError", "in the middle")
        else:
            session.data += fresh

    def become_object(self, session):
        stated = re.search(r"crc32c=([^,\s]+)", self.headers.get("X-Goog-Hash", ""))
        metadata = dict(session.metadata)
        if stated:
            metadata["crc32c"] = stated.group(1)
        if self.fault and self.fault["what"] == "early":
            metadata.pop("crc32c", None)
        made = self.server.create(session.bucket, session.name, session.data, metadata,
                                  session.query)
        session.finished = made.resource()
        self.json(200, session.finished)

    def incomplete(self, session):
        fault = self.fault["what"] if self.fault else None
        held = len(session.data)
        if fault == "excess":
            held += self.fault.get("bytes", CHUNK)
        if fault == "less":
            held = self.fault["bytes"]
        headers = {}
        if held and fault != "no_range":
            headers["Range"] = f"bytes=0-{held - 1}"
        if fault == "garbled":
            headers["Range"] = "bytes=1-7"
        return Answer(308, b"", headers)

    def cancel(self, _data):
        session = self.server.sessions.get(self.query["upload_id"])
        if session is None:
            raise problem(404, "notFound", "Session gone")
        with session.lock:
            if session.finished:
                raise problem(400, "badRequest", "The upload is complete.")
            session.cancelled = True
            session.data = bytearray()
        raise Answer(499)

    # ---------------------------------------------------------------- tokens

    def form(self, data):
        if self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            raise problem(400, "badRequest", "no form")
        return dict(urllib.parse.parse_qsl(data.decode(), strict_parsing=True))

    def grant(self, whose, scope):
        self.entry["scope"] = scope
        self.json(200, {"access_token": self.server.issue(whose, scope),
                        "expires_in": self.server.token_life, "token_type": "Bearer"})

    def token(self, data):
        form = self.form(data)
        if form.get("grant_type") == JWT_GRANT:
            claims = self.server.verify_jwt(form.get("assertion", ""))
            if not claims or claims.get("aud") != self.server.url + "/token" or "sub" in claims:
                self.json(400, {"error": "invalid_grant",
                                "error_description": "Invalid JWT Signature."})
            self.grant(claims["iss"], claims["scope"])
        if form.get("grant_type") == "refresh_token":
            known = self.server.refresh_tokens.get(form.get("refresh_token"))
            if known != (form.get("client_id"), form.get("client_secret")):
                self.json(400, {"error": "invalid_grant",
                                "error_description": "Token has been expired or revoked."})
            self.grant("user", None)
        self.json(400, {"error": "unsupported_grant_type"})

    def sts(self, data):
        form = self.form(data)
        wanted = self.server.subjects.get(form.get("subject_token"))
        if form.get("grant_type") != EXCHANGE or wanted is None or \
                form.get("audience") != wanted or \
                form.get("requested_token_type") != \
                "urn:ietf:params:oauth:token-type:access_token" or \
                form.get("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt":
            self.json(400, {"error": "invalid_grant", "error_description": "no such subject"})
        self.grant("federated", form["scope"])

    def impersonate(self, data):
        line = self.headers.get("Authorization", "")
        held = self.server.tokens.get(line[7:])
        claims = self.server.verify_jwt(line[7:]) if line.count(".") == 2 else None
        scope = held[1] if held else claims and claims.get("scope")
        if held is None and claims is None:
            raise problem(401, "authError", "Invalid Credentials")
        if scope not in (PLATFORM, None):
            raise problem(403, "forbidden", "insufficient scope")
        asked = json.loads(data)
        if asked["lifetime"] != "3600s" or not isinstance(asked["delegates"], list):
            raise problem(400, "badRequest", "lifetime, delegates")
        whose = self.route.split("/")[3].split(":")[0]
        self.entry["scope"] = asked["scope"][0]
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.json(200, {"accessToken": self.server.issue(whose, asked["scope"][0]),
                        "expireTime": until})

    def compute_metadata(self, _data):
        if self.headers.get("Metadata-Flavor") != "Google":
            raise Answer(403, "Missing Metadata-Flavor:Google header.")
        flavor = {"Metadata-Flavor": self.server.metadata_flavor}
        if self.route.endswith("/universe/universe_domain"):
            if self.server.universe is None:
                raise Answer(404, "", flavor)
            raise Answer(200, self.server.universe, flavor)
        if self.route.endswith("/default/email"):
            raise Answer(200, "machine@project.iam.gserviceaccount.com", flavor)
        if self.route.endswith("/default/token"):
            token = self.server.issue("machine", self.query.get("scopes"))
            self.entry["scope"] = self.query.get("scopes")
            self.json(200, {"access_token": token, "expires_in": self.server.token_life}, flavor)
        raise Answer(404, "", flavor)

    def subject(self, _data):
        if self.headers.get("X-Subject-Key") != "let-me-in":
            raise Answer(403)
        self.json(200, {"value": "subject-from-url"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bucket", default="persist-test")
    arguments = parser.parse_args()
    Gcs(arguments.port, arguments.bucket).serve_forever()


if __name__ == "__main__":
    main()
