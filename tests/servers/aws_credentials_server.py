#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays everybody AWS keys come from: STS, SSO (portal and OIDC), the container
endpoint and version 2 of instance metadata, strictly.

usage: aws_credentials_server.py --port N [--key ID:SECRET]...
           [--lifetime SECONDS] [--true-lifetime SECONDS] [--offset SECONDS]
           [--register URL]

  --key            keys that may sign AssumeRole; what it hands out may too
  --lifetime       of what it hands out, as it says: 3600
  --true-lifetime  as the store sees it, where that is less
  --offset         how far its clock is ahead
  --register       a server as tests/faults/s3_server.py that is told of all keys

  GET  /_health   200
  GET  /_log      what was asked: [{"service", "action", "form", "signer"}...]
  POST /_fail     {"service": S, "status": N, "body": "...", "reason": "...", "count": N}:
                  the next N requests to that service fail so; status 0 drops
                  the connection, "stall" never answers

It checks what AWS checks: the signature of AssumeRole with the time it was made
at (15 minutes), that web identity is not signed and its token "good-token" (or
"token-N"), the bearer token "sso-access-N", the refresh token "sso-refresh-N" and
client of SSO, the Authorization of the container ("container-token"), and the
token of instance metadata with a TTL.  Anything else is refused as AWS does.
"""
import argparse
import datetime
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time
import urllib.parse
import urllib.request

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SKEW_S = 900


class State:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.log = []
        self.failures = []
        self.count = 0
        self.signers = {}  # id -> (secret, token or None, its end or None)
        self.sso = 1       # the number of the access and refresh token
        self.imds_token = None
        for key in options.key:
            key_id, _, secret = key.partition(":")
            self.signers[key_id] = (secret, None, None)

    def now(self):
        return time.time() + self.options.offset

    def new_keys(self):
        with self.lock:
            self.count += 1
            n = self.count
            key_id, secret = f"ASIAPERSISTTEST{n:05}", f"secret-CANARY-{n}"
            token = f"token-CANARY-{n}"
            lifetime = self.options.true_lifetime or self.options.lifetime
            self.signers[key_id] = (secret, token, time.time() + lifetime)
            self.register()
        return {"id": key_id, "secret": secret, "token": token,
                "expires": self.now() + self.options.lifetime}

    def register(self):
        """Tells the store which keys are good."""
        if not self.options.register:
            return
        request = urllib.request.Request(
            self.options.register + "/_faults/settings", method="PUT",
            data=json.dumps({"keys": self.signers}).encode())
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()

    def failure_of(self, service):
        with self.lock:
            for failure in self.failures:
                if failure["service"] == service and failure["count"] > 0:
                    failure["count"] -= 1
                    return failure
        return None


def iso(seconds):
    return datetime.datetime.fromtimestamp(
        seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def sign(secret, date, region, service, text):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Refusal(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status = status
        self.code = code


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "aws-credentials"
    sys_version = ""
    state = None

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(self.state.now() if timestamp is None else timestamp)

    def reply(self, status, body, content_type="application/json", reason=None):
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status, reason)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", f"test-{len(self.state.log)}")
        self.end_headers()
        self.wfile.write(body)

    def note(self, service, action, form=None, signer=None):
        with self.state.lock:
            self.state.log.append({"service": service, "action": action,
                                   "form": form or {}, "signer": signer})

    def failed(self, service):
        failure = self.state.failure_of(service)
        if failure is None:
            return False
        self.note(service, "failed")
        self.body()
        if failure["status"] == "stall":
            time.sleep(60)
        if failure["status"] in (0, "stall"):
            self.close_connection = True
            return True
        self.reply(failure["status"], failure.get("body", ""), reason=failure.get("reason"))
        return True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    # ------------------------------------------------------------------ STS

    def check_signature(self, body):
        header = self.headers.get("Authorization", "")
        if not header.startswith("AWS4-HMAC-SHA256 "):
            raise Refusal(403, "MissingAuthenticationToken")
        parts = dict(p.strip().split("=", 1) for p in header[17:].split(","))
        key_id, date, region, service, end = parts["Credential"].split("/")
        if key_id not in self.state.signers:
            raise Refusal(403, "InvalidClientTokenId")
        secret, token, _ = self.state.signers[key_id]
        signed = parts["SignedHeaders"].split(";")
        if token and (self.headers.get("X-Amz-Security-Token") != token
                      or "x-amz-security-token" not in signed):
            raise Refusal(403, "InvalidClientTokenId")
        if (service, end) != ("sts", "aws4_request") or "host" not in signed:
            raise Refusal(403, "SignatureDoesNotMatch")
        stamp = self.headers["X-Amz-Date"]
        canonical = "\n".join(
            [self.command, self.path, ""]
            + [f"{name}:{' '.join(self.headers[name].split())}" for name in signed]
            + ["", parts["SignedHeaders"], hashlib.sha256(body).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, f"{date}/{region}/sts/aws4_request",
                          hashlib.sha256(canonical.encode()).hexdigest()])
        if sign(secret, date, region, "sts", text) != parts["Signature"]:
            raise Refusal(403, "SignatureDoesNotMatch")
        made = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc).timestamp()
        if abs(made - self.state.now()) > SKEW_S:
            raise Refusal(403, "SignatureDoesNotMatch")
        return key_id

    def check_form(self, form):
        if form.get("Version") != "2011-06-15":
            raise Refusal(400, "NoSuchVersion")
        if not form.get("RoleArn", "").startswith("arn:aws:iam::"):
            raise Refusal(400, "ValidationError")
        if not form.get("RoleSessionName"):
            raise Refusal(400, "ValidationError")
        if form["RoleArn"].endswith("/forbidden"):
            raise Refusal(403, "AccessDenied")
        if not 900 <= int(form.get("DurationSeconds", 3600)) <= 43200:
            raise Refusal(400, "ValidationError")

    def sts(self):
        body = self.body()
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True,
                                           keep_blank_values=True))
        action, signer = form.get("Action"), None
        if self.headers.get("Content-Type", "") != "application/x-www-form-urlencoded":
            raise Refusal(400, "InvalidAction")
        if action == "AssumeRole":
            signer = self.check_signature(body)
        elif action == "AssumeRoleWithWebIdentity":
            if self.headers.get("Authorization"):
                raise Refusal(400, "InvalidAction")
            if not form.get("WebIdentityToken", "").startswith(("good-token", "token-")):
                raise Refusal(400, "InvalidIdentityToken")
        else:
            raise Refusal(400, "InvalidAction")
        self.note("sts", action, form, signer)
        self.check_form(form)
        keys = self.state.new_keys()
        self.reply(200, f"""<{action}Response xmlns="{NAMESPACE}">
  <{action}Result>
    <AssumedRoleUser><Arn>{form['RoleArn']}</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{keys['id']}</AccessKeyId>
      <SecretAccessKey>{keys['secret']}</SecretAccessKey>
      <SessionToken>{keys['token']}</SessionToken>
      <Expiration>{iso(keys['expires'])}</Expiration>
    </Credentials>
  </{action}Result>
  <ResponseMetadata><RequestId>test</RequestId></ResponseMetadata>
</{action}Response>""", "text/xml")

    # ------------------------------------------------------------------ SSO

    def portal(self, query):
        if self.headers.get("x-amz-sso_bearer_token") != f"sso-access-{self.state.sso}":
            self.note("sso", "refused")
            return self.reply(401, {"message": "Session token not found or invalid"})
        self.note("sso", "GetRoleCredentials", query)
        if query.get("role_name") == "forbidden":
            return self.reply(403, {"message": "No access"})
        keys = self.state.new_keys()
        return self.reply(200, {"roleCredentials": {
            "accessKeyId": keys["id"], "secretAccessKey": keys["secret"],
            "sessionToken": keys["token"], "expiration": int(keys["expires"] * 1000)}})

    def oidc(self):
        asked = json.loads(self.body())
        good = {"grantType": "refresh_token", "clientId": "client-1",
                "clientSecret": "client-secret-CANARY",
                "refreshToken": f"sso-refresh-{self.state.sso}"}
        self.note("oidc", "CreateToken")
        if asked != good:
            return self.reply(400, {"error": "invalid_grant"})
        self.state.sso += 1
        return self.reply(200, {"accessToken": f"sso-access-{self.state.sso}",
                                "expiresIn": self.state.options.lifetime,
                                "refreshToken": f"sso-refresh-{self.state.sso}",
                                "tokenType": "Bearer"})

    # --------------------------------------------------- container, instance

    def handed(self, keys, extra=None):
        return dict(extra or {}, AccessKeyId=keys["id"], SecretAccessKey=keys["secret"],
                    Token=keys["token"], Expiration=iso(keys["expires"]))

    def container(self):
        if self.headers.get("Authorization") != "container-token":
            self.note("container", "refused")
            return self.reply(403, {"code": "AccessDenied", "message": "no"})
        self.note("container", "credentials")
        return self.reply(200, self.handed(self.state.new_keys()))

    def imds_get(self, path):
        token = self.state.imds_token
        if token is None or self.headers.get("X-aws-ec2-metadata-token") != token:
            self.note("imds", "refused")
            return self.reply(401, "", "text/plain")
        self.note("imds", path)
        if path == "/latest/meta-data/iam/security-credentials/":
            return self.reply(200, "test-role", "text/plain")
        if path == "/latest/meta-data/iam/security-credentials/test-role":
            return self.reply(200, self.handed(self.state.new_keys(),
                                               {"Code": "Success", "Type": "AWS-HMAC"}))
        return self.reply(404, "", "text/plain")

    # --------------------------------------------------------------- routing

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/_health":
            return self.reply(200, {})
        if parts.path == "/_log":
            with self.state.lock:
                return self.reply(200, self.state.log)
        if parts.path == "/federation/credentials":
            return self.failed("sso") or self.portal(query)
        if parts.path == "/container":
            return self.failed("container") or self.container()
        if parts.path.startswith("/latest/"):
            return self.failed("imds") or self.imds_get(parts.path)
        return self.reply(404, "")

    def do_PUT(self):
        if self.path != "/latest/api/token":
            self.body()
            return self.reply(404, "")
        if self.failed("imds"):
            return None
        self.body()
        if not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            return self.reply(400, "")
        self.state.imds_token = f"imds-token-CANARY-{len(self.state.log)}"
        self.note("imds", "token")
        return self.reply(200, self.state.imds_token, "text/plain")

    def do_POST(self):
        if self.path == "/_fail":
            with self.state.lock:
                self.state.failures.append(json.loads(self.body()))
            return self.reply(200, {})
        if self.path == "/token":
            return self.failed("oidc") or self.oidc()
        if self.failed("sts"):
            return None
        try:
            return self.sts()
        except Refusal as refusal:
            self.note("sts", f"refused: {refusal.code}")
            return self.reply(refusal.status, f"""<ErrorResponse xmlns="{NAMESPACE}">
  <Error><Type>Sender</Type><Code>{refusal.code}</Code><Message>refused</Message></Error>
  <RequestId>test</RequestId></ErrorResponse>""", "text/xml")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that give up are what the tests are about."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", action="append", default=[])
    parser.add_argument("--lifetime", type=int, default=3600)
    parser.add_argument("--true-lifetime", type=int, default=0)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--register")
    Handler.state = State(parser.parse_args())
    with Server(("127.0.0.1", Handler.state.options.port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
