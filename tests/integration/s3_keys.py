#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command with keys from every source, against a server that checks
signatures; and what it prints when that goes wrong.

usage: tests/servers/with faults-s3|localstack-sts -- s3_keys.py [NAME]...

With faults-s3, which checks signatures, tokens and their end, the scripted STS,
SSO, container and instance (tests/servers/aws_credentials_server.py) hand out
keys it knows; with localstack-sts, its own STS is asked (role, web_identity).
Every secret is marked: none may appear, as it is, in base64, in hexadecimal or
URL-encoded, in what the command prints at any log level or in its arguments.
"""
import os
import subprocess
import sys
import threading
import time

from s3_credentials import CORP_PATH, World, forms, sso_world

PERSIST = os.environ["PERSIST"]
BACKENDS = os.environ["BACKENDS"]
ENDPOINT = os.environ["S3_ENDPOINT"]
VIA = os.environ[os.environ.get("S3_VIA", "S3_ENDPOINT")]  # a proxy in front of it, perhaps
BUCKET = os.environ["S3_BUCKET"]
KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]
LOCALSTACK = "LOCALSTACK_ENDPOINT" in os.environ
LEVELS = ["off", "error", "warn", "info", "debug"]


class Store(World):
    """A world in which a store is configured."""

    def __init__(self, *server_options):
        register = [] if LOCALSTACK else ["--register", ENDPOINT]
        super().__init__("--key", f"{KEY}:{SECRET}", *register, *server_options)
        self.number = 0
        self.secrets = []
        self.env["AWS_REGION"] = "us-east-1"
        self.store()

    def store(self, **options):
        lines = ["[persist]", "store = s", "log_level = LEVEL", "[store s]", "backend = s3", f"bucket = {BUCKET}",
                 f"endpoint = {VIA}", f"prefix = keys-{os.getpid()}-{id(self)}"]
        lines += [f"{key} = {value}" for key, value in options.items()]
        self.text = "\n".join(lines) + "\n"

    def persist(self, *words, data=b"", level="warn"):
        """Runs it; everything it prints is searched for secrets."""
        env = dict(self.env, PERSIST_BACKEND_DIR=BACKENDS)
        config = self.file("persist.conf", self.text.replace("LEVEL", level))
        process = subprocess.Popen([PERSIST, "-c", config, *words], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        arguments = []
        watcher = threading.Thread(target=watch_arguments, args=(process, arguments))
        watcher.start()
        out, err = process.communicate(data, timeout=180)
        watcher.join()
        self.search(out + err + b"".join(arguments), words, level)
        return process.returncode, out, err.decode()

    def search(self, text, words, level):
        for secret in self.secrets:
            for form in forms(secret):
                assert form.encode() not in text, \
                    f"{words} at {level} prints {secret!r} as {form!r}:\n{tail(text)}"

    def works(self, source):
        """Saves and restores, and doctor names the source."""
        self.number += 1
        data = f"state {self.number}".encode()
        code, _, err = self.persist("save", "agent/session", "-", data=data, level="debug")
        assert code == 0, tail(err)
        code, out, err = self.persist("restore", "agent/session", level="debug")
        assert (code, out) == (0, data), tail(err)
        code, out, err = self.persist("doctor", "s", level="debug")
        assert code == 0, tail(out.decode() + err)
        line = [li for li in out.decode().splitlines() if " credentials  " in li]
        assert len(line) == 1 and source in line[0], (source, out.decode())

    def breaks(self, *messages):
        """Every verb at every log level: refused, with that in the message."""
        for words in (("save", "agent/session", "-"), ("restore", "agent/session"),
                      ("list",), ("doctor", "s")):
            for level in LEVELS if words[0] == "save" else ("debug",):
                code, out, err = self.persist("--timeout", "1s", *words, data=b"x", level=level)
                assert code != 0, f"{words} was not refused"
                for message in messages:
                    assert message in err + out.decode(), \
                        f"{words}: {message!r} is not in:\n{tail(err + out.decode())}"


def tail(text):
    return text[-2000:] if isinstance(text, str) else text[-2000:].decode(errors="replace")


def watch_arguments(process, seen):
    """/proc/PID/cmdline for as long as it lives, and of its children."""
    while process.poll() is None:
        for pid in children_of(process.pid) + [process.pid]:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read()
            except OSError:
                continue
            if line not in seen:
                seen.append(line)
        time.sleep(0.002)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


# ---------------------------------------------------------------- static keys

def environment():
    with Store() as w:
        w.secrets = [SECRET] if len(SECRET) > 6 else []
        w.env.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        w.works("environment: ")


def option():
    with Store() as w:
        w.file("secret", SECRET + "\n")
        w.store(access_key_id=KEY, secret_access_key_file=f"{w.home}/secret")
        w.works("options: ")
        w.store(access_key_id=KEY, secret_access_key_command=f"/bin/cat {w.home}/secret")
        w.works("options: ")
        w.store(access_key_id=KEY, secret_access_key=SECRET)
        w.works("options: ")


def profile():
    with Store() as w:
        w.file(".aws/credentials", f"[p]\naws_access_key_id = {KEY}\n"
                                   f"aws_secret_access_key = {SECRET}\n")
        w.store(profile="p")
        w.works("profile p (keys): ")


def process():
    with Store() as w:
        w.file("tool", "#!/bin/sh\ncat \"$1\"\n", 0o700)
        w.file("answer", f'{{"Version":1,"AccessKeyId":"{KEY}","SecretAccessKey":"{SECRET}"}}')
        w.file(".aws/config", "[profile p]\n"
                              f"credential_process = {w.home}/tool '{w.home}/answer'\n")
        w.env["AWS_PROFILE"] = "p"
        w.works("profile p (credential_process): ")


# ------------------------------------------------ keys that the servers hand out

def role():
    with Store() as w:
        if LOCALSTACK:
            w.env["AWS_ENDPOINT_URL_STS"] = ENDPOINT
        w.file(".aws/credentials", f"[base]\naws_access_key_id = {KEY}\n"
                                   f"aws_secret_access_key = {SECRET}\n")
        w.file(".aws/config", "[profile r]\nrole_arn = arn:aws:iam::000000000000:role/r\n"
                              "source_profile = base\n")
        w.store(profile="r")
        w.works("profile r (role): ")
        assert LOCALSTACK or [e["action"] for e in w.log()][0] == "AssumeRole"


def web_identity():
    with Store() as w:
        if LOCALSTACK:
            w.env["AWS_ENDPOINT_URL_STS"] = ENDPOINT
        # LocalStack looks into the token: any JWT is good.
        token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c2ln" if LOCALSTACK \
            else "good-token-CANARY"
        w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = w.file("token", token)
        w.env["AWS_ROLE_ARN"] = "arn:aws:iam::000000000000:role/web"
        w.secrets = [token]
        w.works("web identity: ")
        assert LOCALSTACK or w.log()[0]["action"] == "AssumeRoleWithWebIdentity"


def sso():
    with Store() as w:
        sso_world(w, "2020-01-01T00:00:00Z")
        w.secrets = ["client-secret-CANARY", "sso-access-1", "sso-refresh-1", "sso-access-2"]
        w.works("profile default (SSO): ")


def container():
    with Store() as w:
        w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = w.url + "/container"
        w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = w.file("t", "container-token")
        w.secrets = ["container-token"]
        w.works("container: ")


def instance():
    with Store() as w:
        w.secrets = ["imds-token-CANARY", "token-CANARY"]
        w.works("instance role test-role: ")


def slow_save(w):
    w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = w.url + "/container"
    w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "container-token"
    slow = ("import sys, time, os\nfor i in range(5):\n"
            " sys.stdout.buffer.write(os.urandom(9 << 20)); sys.stdout.flush()\n"
            " time.sleep(1)\n")
    env = dict(w.env, PERSIST_BACKEND_DIR=BACKENDS)
    source = subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE)
    config = w.file("persist.conf", w.text.replace("LEVEL", "warn"))
    done = subprocess.run([PERSIST, "-c", config, "save", "agent/slow", "-"], env=env,
                          stdin=source.stdout, capture_output=True, check=False)
    source.wait()
    assert done.returncode == 0, done.stderr
    assert len(w.log("container")) >= 2, w.log()


def refused_as_expired():
    """Keys that end after two seconds, whatever was said of them."""
    if LOCALSTACK:
        return
    with Store("--true-lifetime", "2") as w:
        slow_save(w)


def renewed_within_a_save():
    """Keys that last three seconds, and a pipe that takes five."""
    with Store("--lifetime", "3") as w:
        slow_save(w)


# -------------------------------------------------------------- what goes wrong

def broken_static():
    with Store() as w:
        w.secrets = ["wrong/secret+CANARY"]
        w.env.update(AWS_ACCESS_KEY_ID="AKIAUNKNOWN", AWS_SECRET_ACCESS_KEY=w.secrets[0],
                     AWS_SESSION_TOKEN="session+token/CANARY==")
        w.secrets.append("session+token/CANARY==")
        if not LOCALSTACK:  # which takes any keys
            w.breaks("InvalidAccessKeyId")
            w.env["AWS_ACCESS_KEY_ID"] = KEY
            w.breaks("SignatureDoesNotMatch")
        del w.env["AWS_SECRET_ACCESS_KEY"]
        w.breaks("AWS_SECRET_ACCESS_KEY is not")


def broken_option():
    with Store() as w:
        w.secrets = ["option/secret+CANARY"]
        w.store(secret_access_key=w.secrets[0])
        w.breaks("without access_key_id")
        if not LOCALSTACK:
            w.store(access_key_id=KEY, secret_access_key=w.secrets[0])
            w.breaks("SignatureDoesNotMatch")


def broken_files():
    with Store() as w:
        w.secrets = ["file/secret+CANARY"]
        w.file(".aws/credentials", "[default]\naws_access_key_id = AKIA\n"
                                   f"aws_secret_access_key = {w.secrets[0]}\n"
                                   f"{w.secrets[0]}\n")
        w.breaks("credentials:4: ")
        w.file(".aws/credentials", "[default]\naws_access_key_id = AKIA\n"
                                   f"aws_secret_access_key = {w.secrets[0]} x\n")
        w.breaks("secret access key holds")
        w.file(".aws/credentials", f"[default]\naws_secret_access_key = {w.secrets[0]}\n")
        w.breaks("aws_secret_access_key without")


def broken_process():
    with Store() as w:
        w.secrets = ["process/secret+CANARY"]
        w.file("tool", f"#!/bin/sh\necho '{w.secrets[0]}'; exit 3\n", 0o700)
        w.file(".aws/config", f"[default]\ncredential_process = {w.home}/tool\n")
        w.breaks("/tool")
        w.file("tool", f"#!/bin/sh\necho '{w.secrets[0]}'\n", 0o700)
        w.breaks("credential_process: the answer")


def broken_sts():
    with Store() as w:
        w.secrets = ["web/token+CANARY"]
        w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = w.file("token", w.secrets[0])
        w.env["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/web"
        w.breaks("InvalidIdentityToken")
        w.fail("sts", 200, "<AssumeRoleWithWebIdentityResponse>web/token+CANARY", 100,
               reason="web/token+CANARY: web%2Ftoken%2BCANARY")
        w.breaks("STS: the answer lacks AccessKeyId")


def broken_sso():
    with Store() as w:
        w.secrets = ["sso-access-1", "sso-refresh-1", "client-secret-CANARY"]
        path = sso_world(w, "2020-01-01T00:00:00Z")
        w.fail("oidc", 400, '{"error":"sso-refresh-1"}', 100)
        w.breaks("aws sso login")
        assert path.endswith(CORP_PATH)


def broken_container():
    with Store() as w:
        w.secrets = ["container-secret/CANARY", "answered+secret/CANARY"]
        w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = w.url + "/container"
        w.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = w.secrets[0]
        w.breaks("container answered 403")
        w.fail("container", 200, '{"SecretAccessKey":"answered+secret/CANARY"}', 100)
        w.breaks("the answer lacks AccessKeyId")


def no_keys():
    with Store() as w:
        w.env["AWS_EC2_METADATA_DISABLED"] = "true"
        w.breaks("no credentials")


TESTS = [environment, option, profile, process, role, web_identity, sso, container, instance,
         refused_as_expired, renewed_within_a_save, broken_static, broken_option, broken_files, broken_process,
         broken_sts, broken_sso, broken_container, no_keys]


def main():
    wanted = sys.argv[1:]
    failed = 0
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            test()
            print(f"ok {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"not ok {test.__name__}: {e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
