#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source of AWS keys for real: files in a home of its own, programs, and
servers that check what AWS checks (tests/servers/aws_credentials_server.py).

usage: s3_credentials.py [NAME]...   (S3_CREDENTIALS_TOOL: the program to run)
"""
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = os.path.join(HERE, "..", "servers", "aws_credentials_server.py")
TOOL = os.environ.get("S3_CREDENTIALS_TOOL") or os.path.join(
    os.environ["BUILD_DIR"], "tests", "bin", "s3_credentials_tool")
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
BASE = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base-secret-CANARY\n"

# Codes of persist/backend.h.
OK, AUTH, DENIED, THROTTLED, TRANSIENT, TIMEOUT, CONFIG, IO = 0, -4, -5, -6, -7, -8, -14, -16
# What must never be printed but as the answer.
CANARIES = ["base-secret-CANARY", "client-secret-CANARY", "sso-access-1", "sso-refresh-1",
            "sso-access-2", "container-token", "good-token", "imds-token-CANARY"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    """A home, a server and an environment."""

    def __init__(self, *server_options):
        self.folder = tempfile.TemporaryDirectory(prefix="persist-credentials-")
        self.home = self.folder.name
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.server = subprocess.Popen(
            [sys.executable, SERVER, "--port", str(port), "--key",
             "AKIABASE:base-secret-CANARY", *server_options])
        self.env = {"HOME": self.home, "PATH": os.environ["PATH"],
                    "AWS_ENDPOINT_URL_STS": self.url, "AWS_ENDPOINT_URL_SSO": self.url,
                    "AWS_ENDPOINT_URL_SSO_OIDC": self.url, "AWS_REGION": "eu-central-1",
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
                    # A proxy nobody may be sent to.
                    "http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def __enter__(self):
        end = time.monotonic() + 30
        while True:
            try:
                OPEN(self.url + "/_health", timeout=5).close()
                return self
            except OSError:
                assert time.monotonic() < end and self.server.poll() is None, "no server"
                time.sleep(0.05)

    def __exit__(self, *_):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()
        self.folder.cleanup()

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def log(self, service=None):
        with OPEN(self.url + "/_log") as reply:
            entries = json.load(reply)
        return [e for e in entries if service in (None, e["service"])]

    def fail(self, service, status, body="", count=1, reason=None):
        data = json.dumps({"service": service, "status": status, "body": body, "count": count,
                           "reason": reason})
        OPEN(self.url + "/_fail", data.encode()).close()

    def tool(self, *arguments, lines="", check=True):
        done = subprocess.run([TOOL, *arguments], env=self.env, input=lines, text=True,
                              capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
        if check:
            check_canaries(done.stdout, done.stderr)
        return done

    def get(self, *arguments, lines=""):
        """The answers of the tool, one for each time it asked."""
        return [json.loads(line) for line in self.tool(*arguments, lines=lines).stdout.splitlines()]

    def expect(self, rc, message, *arguments):
        answer = self.get(*arguments)[0]
        assert answer["rc"] == rc, f"{answer} and not {rc}"
        assert message in answer["message"], f"{message!r} is not in {answer['message']!r}"
        assert answer["id"] == answer["secret"] == answer["token"] == "", answer
        return answer

    def expect_keys(self, source, *arguments):
        answer = self.get(*arguments)[0]
        assert answer["rc"] == OK, answer
        assert answer["source"] == source, answer
        assert answer["id"].startswith("ASIAPERSISTTEST"), answer
        assert answer["secret"].startswith("secret-CANARY"), answer
        assert 3590 <= answer["expires"] <= 3600, answer
        return answer


def forms(secret):
    raw = secret.encode()
    return [secret, base64.b64encode(raw).decode().rstrip("="), raw.hex(),
            raw.hex().upper(), urllib.parse.quote(secret, safe="")]


def check_canaries(stdout, stderr):
    """No secret of a source but the keys that were asked for, anywhere."""
    for secret in CANARIES:
        for form in forms(secret):
            assert form not in stdout and form not in stderr, f"{secret} is printed"
    assert "secret-CANARY" not in stderr and "token-CANARY" not in stderr, stderr


# ------------------------------------------------------------------------- STS

def assume_role():
    with World() as w:
        w.file(".aws/credentials", BASE)
        w.file(".aws/config", "[profile dev]\nrole_arn = arn:aws:iam::1:role/dev\n"
                              "source_profile = base\nexternal_id = a b&c\n")
        answer = w.expect_keys("profile dev (role)", "profile=dev")
        assert w.log() == [{"service": "sts", "action": "AssumeRole", "signer": "AKIABASE",
                            "form": {"Action": "AssumeRole", "Version": "2011-06-15",
                                     "RoleArn": "arn:aws:iam::1:role/dev",
                                     "RoleSessionName": "persist", "ExternalId": "a b&c"}}]
        assert answer["token"] == "token-CANARY-1"


def role_of_a_role():
    with World() as w:
        w.file(".aws/credentials", BASE)
        w.file(".aws/config", "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\n"
                              "[profile b]\nrole_arn = arn:aws:iam::1:role/b\n"
                              "source_profile = base\n")
        w.expect_keys("profile a (role)", "profile=a")
        assert [e["signer"] for e in w.log()] == ["AKIABASE", "ASIAPERSISTTEST00001"]


def role_refused():
    with World() as w:
        w.file(".aws/credentials", BASE.replace("base-secret-CANARY", "wrong"))
        w.file(".aws/config", "[profile dev]\nrole_arn = arn:aws:iam::1:role/dev\n"
                              "source_profile = base\n"
                              "[profile no]\nrole_arn = arn:aws:iam::1:role/forbidden\n"
                              "source_profile = base\n")
        w.expect(AUTH, "SignatureDoesNotMatch", "profile=dev")
        w.file(".aws/credentials", BASE)
        w.expect(DENIED, "AccessDenied", "profile=no")
        w.fail("sts", 503)
        w.expect(TRANSIENT, "STS answered 503", "profile=dev")
        w.fail("sts", 429)
        w.expect(THROTTLED, "STS answered 429", "profile=dev")
        w.fail("sts", 0)
        w.expect(TRANSIENT, "", "profile=dev")
        w.fail("sts", 302)
        w.expect(AUTH, "STS answered 302", "profile=dev")
        w.fail("sts", 200, "<AssumeRoleResponse>")
        w.expect(IO, "lacks AccessKeyId", "profile=dev")
        w.fail("sts", 200, "x" * 300000)
        w.expect(IO, "", "profile=dev")


def clock_off():
    """The server's clock is 20 minutes ahead: signed again with its time."""
    with World("--offset", "1200") as w:
        w.file(".aws/credentials", BASE)
        w.file(".aws/config", "[profile dev]\nrole_arn = arn:aws:iam::1:role/dev\n"
                              "source_profile = base\n")
        answer = w.get("profile=dev")[0]
        assert answer["rc"] == OK, answer
        assert [e["action"] for e in w.log()] == ["refused: SignatureDoesNotMatch", "AssumeRole"]


def web_identity():
    with World() as w:
        w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = w.file("token", "good-token\n")
        w.env["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/web"
        w.expect_keys("web identity")
        assert w.log()[0]["form"]["WebIdentityToken"] == "good-token"
        w.file("token", "bad")
        w.expect(AUTH, "InvalidIdentityToken")
        w.file("token", "")
        w.expect(CONFIG, "is empty")
        os.remove(w.env["AWS_WEB_IDENTITY_TOKEN_FILE"])
        w.expect(CONFIG, "does not exist")
        os.mkfifo(w.env["AWS_WEB_IDENTITY_TOKEN_FILE"])
        w.expect(CONFIG, "no regular file")


def plain_http_to_others():
    """Not even tried."""
    with World() as w:
        w.env["AWS_ENDPOINT_URL_STS"] = "http://sts.example"
        w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = w.file("token", "good-token")
        w.env["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/web"
        w.expect(CONFIG, "must be https")


# ------------------------------------------------------------------------- SSO

CORP_PATH = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"


def sso_world(w, expires):
    w.file(".aws/config", "[default]\nsso_session = corp\nsso_account_id = 111122223333\n"
                          "sso_role_name = Dev/Ops\n[sso-session corp]\n"
                          "sso_region = eu-west-1\nsso_start_url = https://corp/start\n")
    return w.file(CORP_PATH, json.dumps({
        "startUrl": "https://corp/start", "region": "eu-west-1",
        "accessToken": "sso-access-1", "expiresAt": expires, "clientId": "client-1",
        "clientSecret": "client-secret-CANARY",
        "registrationExpiresAt": "2099-01-01T00:00:00Z", "refreshToken": "sso-refresh-1"}))


def sso():
    with World() as w:
        sso_world(w, "2099-01-01T00:00:00Z")
        w.expect_keys("profile default (SSO)")
        assert w.log() == [{"service": "sso", "action": "GetRoleCredentials", "signer": None,
                            "form": {"role_name": "Dev/Ops", "account_id": "111122223333"}}]


def sso_renewed():
    """The new token is kept, privately, and is the one used next time."""
    with World() as w:
        path = sso_world(w, "2020-01-01T00:00:00Z")
        w.expect_keys("profile default (SSO)")
        w.expect_keys("profile default (SSO)")
        assert [e["service"] for e in w.log()] == ["oidc", "sso", "sso"]
        with open(path, encoding="utf-8") as f:
            kept = json.load(f)
        assert kept["accessToken"] == "sso-access-2" and kept["refreshToken"] == "sso-refresh-2"
        assert kept["clientId"] == "client-1" and kept["startUrl"] == "https://corp/start"
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def sso_over():
    with World() as w:
        path = sso_world(w, "2020-01-01T00:00:00Z")
        w.fail("oidc", 400, '{"error":"invalid_grant"}')
        w.expect(AUTH, "aws sso login")
        w.fail("oidc", 503)
        w.expect(TRANSIENT, "503")
        os.remove(path)
        w.expect(AUTH, "nobody has logged in")


# ------------------------------------------------------- process, container, IMDS

def process():
    with World() as w:
        w.file("tool", "#!/bin/sh\ntest \"$1\" = 'a b' || exit 1\n"
                       "printf '%s' '{\"Version\":1,\"AccessKeyId\":\"AKIAP\","
                       "\"SecretAccessKey\":\"p\"}'\n", 0o700)
        line = f"credential_process = {w.home}/tool 'a b'\n"
        w.file(".aws/config", "[default]\n" + line)
        answer = w.get()[0]
        assert (answer["rc"], answer["id"], answer["expires"]) == (OK, "AKIAP", 0), answer
        w.file(".aws/config", f"[default]\ncredential_process = {w.home}/tool ; a\n")
        w.expect(AUTH, "tool")
        w.file(".aws/config", "[default]\ncredential_process = /nonexistent/x\n")
        w.expect(CONFIG, "/nonexistent/x")
        w.file(".aws/config", "[default]\ncredential_process = 'open\n")
        w.expect(CONFIG, "")
        w.file(".aws/config", "[default]\ncredential_process = yes good-token\n")
        w.expect(AUTH, "yes")  # prints without end
        w.file(".aws/config", "[default]\n" + line, 0o666)
        w.expect(CONFIG, "can be written by others")


def container():
    with World() as w:
        w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = w.url + "/container"
        w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "wrong"
        w.expect(DENIED, "container answered 403")
        w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = w.file("t", "container-token")
        w.expect_keys("container")
        w.fail("container", 500, "good-token")
        w.expect(TRANSIENT, "container answered 500")
        w.fail("container", "stall")
        start = time.monotonic()
        w.expect(TIMEOUT, "")
        assert time.monotonic() - start < 30
        w.fail("container", 200, "{" * 70000)
        w.expect(IO, "")


def instance():
    with World() as w:
        w.expect_keys("instance role test-role")
        assert [e["action"] for e in w.log("imds")] == [
            "token", "/latest/meta-data/iam/security-credentials/",
            "/latest/meta-data/iam/security-credentials/test-role"]
        w.fail("imds", 403)
        w.expect(AUTH, "turned off (403)")
        w.fail("imds", "stall")
        w.expect(AUTH, "hop limit to 2")
        w.env["AWS_EC2_METADATA_DISABLED"] = "true"
        w.expect(AUTH, "AWS_EC2_METADATA_DISABLED is true")
        w.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1"
        del w.env["AWS_EC2_METADATA_DISABLED"]
        w.expect(AUTH, "nobody answers")


# ------------------------------------------------------------------- the provider

def refused_keys_are_renewed():
    with World() as w:
        answers = w.get(lines="get\nrefuse\nget\n")
        assert [a["id"][-1] for a in answers] == ["1", "1", "2", "2"], answers
        assert answers[0]["generation"] < answers[2]["generation"] == answers[3]["generation"]


def expired_keys_are_renewed():
    """Keys of two seconds, which every source but the instance has to renew."""
    with World("--lifetime", "2") as w:
        w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = w.url + "/container"
        w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "container-token"
        tool = subprocess.Popen([TOOL], env=w.env, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        first = json.loads(tool.stdout.readline())
        while True:  # until the clock says so
            tool.stdin.write("get\n")
            tool.stdin.flush()
            answer = json.loads(tool.stdout.readline())
            assert answer["rc"] == OK, answer
            if answer["id"] != first["id"]:
                break
            time.sleep(0.2)
        tool.stdin.close()
        tool.wait()


def threads_make_one_request():
    with World() as w:
        answers = w.get("threads=10", lines="refuse\n")
        assert len(answers) == 20 and all(a["rc"] == OK for a in answers)
        assert {a["id"] for a in answers[:10]} == {"ASIAPERSISTTEST00001"}
        assert {a["id"] for a in answers[10:]} == {"ASIAPERSISTTEST00002"}
        assert len(w.log("imds")) == 6


def order():
    with World() as w:
        w.file(".aws/credentials", BASE + "[default]\naws_access_key_id = AKIADEF\n"
                                          "aws_secret_access_key = d\n")
        assert w.get()[0]["id"] == "AKIADEF"
        w.env["AWS_PROFILE"] = "base"
        done = w.tool(check=False)
        assert json.loads(done.stdout)["id"] == "AKIABASE"
        w.env.update(AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY="e")
        assert w.get()[0]["id"] == "AKIAENV"
        assert w.get("profile=default")[0]["id"] == "AKIADEF"
        w.env["OPTION_SECRET"] = "o"
        assert w.get("profile=default", "access_key_id=AKIAOPT")[0]["id"] == "AKIAOPT"
        w.expect(CONFIG, "access_key_id is not", "profile=default")


def described():
    with World() as w:
        w.file(".aws/credentials", BASE, 0o644)
        w.env["AWS_PROFILE"] = "base"
        text = w.tool("describe").stdout
        assert text.startswith("1 credentials: profile base (keys): access key ..."), text
        assert "2 credentials-file: " in text, text
        assert "0 passed-over: environment: AWS_ACCESS_KEY_ID is not set\n" in text, text
        assert "0 passed-over: container: not asked, profile comes first\n" in text, text


TESTS = [assume_role, role_of_a_role, role_refused, clock_off, web_identity,
         plain_http_to_others, sso, sso_renewed, sso_over, process, container, instance,
         refused_keys_are_renewed, expired_keys_are_renewed, threads_make_one_request,
         order, described]


def main():
    wanted = sys.argv[1:]
    failed = 0
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        try:
            test()
            print(f"ok {test.__name__}", flush=True)
        except AssertionError as e:
            failed += 1
            line = e.__traceback__.tb_next.tb_lineno
            print(f"not ok {test.__name__} (line {line}): {e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
