#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every kind of credentials of the GCS backend against a token endpoint that checks what it is
sent, signatures included."""
import json
import os
import time
import unittest
import urllib.parse

import gcs_server
import rs256
from gcs_ops import Case
from ops import Backend

EMAIL = "saver@project.iam.gserviceaccount.com"
GOOGLE = "https://oauth2.googleapis.com/token"


class Credentials(Case):
    pem = None

    @classmethod
    def setUpClass(cls):
        folder = os.path.join(os.environ.get("BUILD_DIR") or "/tmp", "tests")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"gcs-key-{os.getpid()}.pem")
        cls.public = rs256.generate(path)
        with open(path, encoding="ascii") as f:
            cls.pem = f.read()
        os.unlink(path)

    def setUp(self):
        super().setUp()
        self.server.auth = True
        self.server.keys = {EMAIL: self.public}
        self.put_object("a", b"hello")
        self.env = {"HOME": self.folder, "CLOUDSDK_CONFIG": "", "NO_GCE_CHECK": "true",
                    "GOOGLE_APPLICATION_CREDENTIALS": "", "GOOGLE_CLOUD_QUOTA_PROJECT": "",
                    "STORAGE_EMULATOR_HOST": "", "GCE_METADATA_HOST": ""}

    def open(self, env=None, **options):
        return Backend("gcs", env={**self.env, **(env or {})}, bucket="bucket",
                       endpoint=self.server.url, **options)

    def write(self, account, name="key.json", mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(account if isinstance(account, str) else json.dumps(account))
        os.chmod(path, mode)
        return path

    def service(self, **more):
        return {"type": "service_account", "client_email": EMAIL, "private_key": self.pem,
                "private_key_id": "key-1", "token_uri": GOOGLE, **more}

    def user(self, **more):
        self.server.refresh_tokens["1//refresh-canary"] = ("id", "client-secret-canary")
        return {"type": "authorized_user", "client_id": "id",
                "client_secret": "client-secret-canary",
                "refresh_token": "1//refresh-canary", "token_uri": self.server.url + "/token",
                **more}

    def external(self, source, **more):
        return {"type": "external_account", "audience": "//iam/pools/p/providers/x",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": self.server.url + "/sts", "credential_source": source, **more}

    def works(self, account=None, env=None, **options):
        """The store reads; its answer and that of a second op."""
        if account is not None:
            options["service_account_json"] = json.dumps(account)
        with self.open(env=env, **options) as b:
            answer = self.rc(b("head", key="a"), "ok")
            self.rc(b("put", key="b", text="x"), "ok")
        return answer

    def fails(self, account, want, word="", env=None):
        options = {}
        if account is not None:
            options["service_account_json"] = \
                account if isinstance(account, str) else json.dumps(account)
        with self.open(env=env, **options) as b:
            answer = self.rc(b("head", key="a"), want)
        self.assertIn(word, answer["error"]["message"])
        return answer

    def tokens(self):
        return self.server.of_kind("token")

    # --------------------------------------------------------- service account

    def test_self_signed(self):
        self.works(self.service())
        self.assertEqual(self.tokens(), [], "a request for a token that can be made here")
        token = self.server.log[0]["headers"]["authorization"][7:]
        header, claims = rs256.verify(token, self.public)
        self.assertEqual(header, {"alg": "RS256", "typ": "JWT", "kid": "key-1"})
        self.assertEqual(claims["sub"], EMAIL)
        self.assertEqual(claims["scope"], gcs_server.SCOPE)
        self.assertNotIn("aud", claims)
        self.assertEqual(claims["exp"] - claims["iat"], 3600)
        self.assertEqual(len({e["headers"]["authorization"] for e in self.server.log}), 1)

    def test_exchanged(self):
        self.works(self.service(token_uri=self.server.url + "/token"))
        self.assertEqual(len(self.tokens()), 1)
        self.assertEqual(self.tokens()[0]["scope"], gcs_server.SCOPE)

    def test_wrong_key(self):
        path = os.path.join(self.folder, "other.pem")
        rs256.generate(path)
        with open(path, encoding="ascii") as f:
            self.fails(self.service(private_key=f.read(), token_uri=self.server.url + "/token"),
                       "auth", "invalid_grant")

    def test_universe(self):
        account = self.service(universe_domain="example.goog")
        self.fails(account, "config", "universe_domain")
        self.works(account, universe_domain="example.goog")
        self.works(account, env={"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.goog"})

    def test_bad_files(self):
        small = os.path.join(self.folder, "small.pem")
        rs256.generate(small, 1024)
        with open(small, encoding="ascii") as f:
            weak = f.read()
        for account, word in (
                ("not json", "no JSON"), ("", "no JSON"),
                ("/etc/a.json", "service_account_json_file"), ("[1]", "no JSON"),
                ('{"a":' * 100, "no JSON"), ({}, "type"), ({"type": 5}, "type"),
                ({"type": "magic"}, "magic"), (self.service(private_key="no key"), "PEM"),
                (self.service(private_key=weak), "2048"), (self.service(private_key=None), ""),
                (self.service(client_email=""), "client_email"),
                (self.service(token_uri="http://example.com/token"), "https"),
                (self.service(token_uri="file:///etc/passwd"), "https"),
                (self.user(refresh_token=None), "refresh_token"),
                (self.external({"environment_id": "aws1"}), "AWS"),
                (self.external({"executable": {"command": "/bin/true"}}), "not supported"),
                (self.external({"url": "http://example.com/"}), "neither https"),
                (self.external({"file": "/nowhere/token"}), "/nowhere"),
                ({"type": "impersonated_service_account",
                  "service_account_impersonation_url": self.server.url},
                 "source_credentials")):
            self.fails(account, "config", word)
        self.assertEqual(self.server.log, [], "a request with credentials that are wrong")

    # ------------------------------------------------------------------- files

    def test_environment_file(self):
        path = self.write(self.service())
        self.works(env={"GOOGLE_APPLICATION_CREDENTIALS": path})

    def test_environment_file_readable_by_others(self):
        for mode in (0o644, 0o640, 0o604, 0o666):
            path = self.write(self.service(), mode=mode)
            if mode == 0o640:
                continue  # the group may read: the owner's choice
            self.fails(None, "config", path, env={"GOOGLE_APPLICATION_CREDENTIALS": path})
        self.assertEqual(self.server.log, [])

    def test_environment_file_is_missing_or_no_file(self):
        path = self.write(self.service())
        os.unlink(path)
        self.write(self.user(), "application_default_credentials.json")
        self.fails(None, "config", path, env={"GOOGLE_APPLICATION_CREDENTIALS": path,
                                              "CLOUDSDK_CONFIG": self.folder})
        os.mkfifo(path)
        self.fails(None, "config", path, env={"GOOGLE_APPLICATION_CREDENTIALS": path})

    def test_well_known_file(self):
        self.write(self.user(), "application_default_credentials.json")
        self.works(env={"CLOUDSDK_CONFIG": self.folder})
        home = os.path.join(self.folder, "home", ".config", "gcloud")
        os.makedirs(home)
        os.rename(os.path.join(self.folder, "application_default_credentials.json"),
                  os.path.join(home, "application_default_credentials.json"))
        self.works(env={"HOME": os.path.join(self.folder, "home")})

    def test_federation_file_may_be_read_by_others(self):
        self.server.subjects["subject-canary"] = "//iam/pools/p/providers/x"
        token = self.write("subject-canary\n", "token", 0o644)
        path = self.write(self.external({"file": token}), mode=0o644)
        self.works(env={"GOOGLE_APPLICATION_CREDENTIALS": path})

    def test_none_at_all(self):
        answer = self.fails(None, "config", "no credentials")
        self.assertIn("anonymous = true", answer["error"]["message"])

    # -------------------------------------------------------------------- user

    def test_user(self):
        self.works(self.user(quota_project_id="quota-p"))
        self.assertEqual(len(self.tokens()), 1)
        self.assertEqual(self.server.of_kind("look")[0]["headers"]["x-goog-user-project"],
                         "quota-p")
        self.server.clear()
        self.works(self.user(quota_project_id="quota-p"),
                   env={"GOOGLE_CLOUD_QUOTA_PROJECT": "other-p"})
        self.assertEqual(self.server.of_kind("look")[0]["headers"]["x-goog-user-project"],
                         "other-p")

    def test_user_revoked(self):
        account = self.user()
        self.server.refresh_tokens.clear()
        answer = self.fails(account, "auth", "invalid_grant")
        self.assertIn("clock", answer["error"]["message"])
        self.assertNotIn("canary", str(answer))

    # ---------------------------------------------------------------- external

    def test_external_file_text(self):
        self.server.subjects["subject-canary"] = "//iam/pools/p/providers/x"
        self.works(self.external({"file": self.write("subject-canary\n", "token")}))
        self.assertEqual([t["scope"] for t in self.tokens()], [gcs_server.SCOPE])

    def test_external_file_json(self):
        self.server.subjects["subject-canary"] = "//iam/pools/p/providers/x"
        path = self.write({"deep": 1, "token": "subject-canary"}, "token")
        source = {"file": path, "format": {"type": "json", "subject_token_field_name": "token"}}
        self.works(self.external(source))
        source["format"]["subject_token_field_name"] = "absent"
        self.fails(self.external(source), "config", "subject_token_field_name")

    def test_external_url_with_impersonation(self):
        self.server.subjects["subject-from-url"] = "//iam/pools/p/providers/x"
        source = {"url": self.server.url + "/subject?audience=x",
                  "headers": {"X-Subject-Key": "let-me-in"},
                  "format": {"type": "json", "subject_token_field_name": "value"}}
        account = self.external(
            source, service_account_impersonation_url=self.server.url +
            "/iam/serviceAccounts/target@p.iam.gserviceaccount.com:generateAccessToken")
        self.works(account)
        self.assertEqual([t["path"].split(":")[0] for t in self.tokens()],
                         ["/subject", "/sts",
                          "/iam/serviceAccounts/target@p.iam.gserviceaccount.com"])
        self.assertEqual([t.get("scope") for t in self.tokens()],
                         [None, gcs_server.PLATFORM, gcs_server.SCOPE])

    def test_external_url_refuses(self):
        source = {"url": self.server.url + "/subject", "headers": {"X-Subject-Key": "wrong"}}
        self.fails(self.external(source), "auth", "403")
        source["headers"]["X-Bad"] = "a\r\nX-Other: b"
        self.fails(self.external(source), "invalid")

    def test_external_subject_unknown(self):
        account = self.external({"file": self.write("subject-canary", "token")})
        answer = self.fails(account, "auth", "invalid_grant")
        self.assertNotIn("canary", str(answer))

    # ------------------------------------------------------------ impersonated

    def test_impersonated(self):
        url = self.server.url + \
            "/iam/serviceAccounts/target@p.iam.gserviceaccount.com:generateAccessToken"
        for source in (self.user(), self.service(),
                       self.service(token_uri=self.server.url + "/token")):
            self.server.clear()
            self.works({"type": "impersonated_service_account", "delegates": [],
                        "service_account_impersonation_url": url, "source_credentials": source})
            self.assertEqual(self.tokens()[-1]["scope"], gcs_server.SCOPE)

    def test_impersonation_denied(self):
        url = self.server.url + "/iam/serviceAccounts/x:generateAccessToken"
        account = {"type": "impersonated_service_account",
                   "service_account_impersonation_url": url, "source_credentials": self.user()}
        self.server.fault("token", "status", nth=2, status=403, reason="forbidden")
        self.fails(account, "denied")

    # ---------------------------------------------------------------- metadata

    def metadata_env(self):
        return {"GCE_METADATA_HOST": self.server.url[7:], "NO_GCE_CHECK": ""}

    def test_metadata(self):
        self.works(env=self.metadata_env())
        asked = [t for t in self.tokens() if t["path"].endswith("/token")]
        self.assertEqual([t["query"] for t in asked], [{"scopes": gcs_server.SCOPE}])

    def test_metadata_of_something_else(self):
        self.server.metadata_flavor = "Router"
        self.fails(None, "config", "no credentials", env=self.metadata_env())

    def test_metadata_not_there(self):
        env = {"GCE_METADATA_HOST": "127.0.0.1:1", "NO_GCE_CHECK": ""}
        begin = time.monotonic()
        self.fails(None, "config", "no metadata server", env=env)
        self.assertLess(time.monotonic() - begin, 8)

    def test_metadata_universe(self):
        self.server.universe = "example.goog"
        self.fails(None, "config", "universe_domain", env=self.metadata_env())

    def test_metadata_goes_silent(self):
        """Once it was seen, its silence passes."""
        self.server.token_life = 60
        with self.open(env=self.metadata_env()) as b:
            self.rc(b("head", key="a"), "ok")
            self.server.refused.update(self.server.tokens)
            self.server.fault("token", "reset", times=100)
            self.rc(b("head", key="a"), "transient")

    # ------------------------------------------------------------- life of one

    def test_one_token_for_many_requests(self):
        with self.open(service_account_json=json.dumps(self.user())) as b:
            for _ in range(10):
                self.rc(b("head", key="a"), "ok")
        self.assertEqual(len(self.tokens()), 1)

    def test_revoked_token_is_renewed_once(self):
        with self.open(service_account_json=json.dumps(self.user())) as b:
            self.rc(b("head", key="a"), "ok")
            self.server.refused.update(self.server.tokens)
            self.rc(b("head", key="a"), "ok")
            self.assertEqual(len(self.tokens()), 2)
            self.server.fault("look", "status", status=401, times=2, reason="authError")
            self.server.clear()
            self.server.fault("look", "status", status=401, times=2, reason="authError")
            self.rc(b("head", key="a"), "auth")
            self.assertEqual(len(self.server.of_kind("look")), 2)

    def test_expired_token_is_renewed(self):
        self.server.token_life = 1
        with self.open(service_account_json=json.dumps(self.user())) as b:
            self.rc(b("head", key="a"), "ok")
            time.sleep(1.2)
            self.server.token_life = 3600
            self.rc(b("head", key="a"), "ok")
        self.assertEqual(len(self.tokens()), 2)

    def test_token_endpoint_faults(self):
        for what, more, want in (("reset", {}, "transient"), ("truncated", {}, "transient"),
                                 ("garbage", {}, "transient"),
                                 ("status", {"status": 503}, "transient"),
                                 ("status", {"status": 429}, "throttled"),
                                 ("status", {"status": 401}, "auth"),
                                 ("status", {"status": 302}, "config")):
            self.server.clear()
            self.server.fault("token", what, **more)
            account = self.user()
            with self.open(service_account_json=json.dumps(account)) as b:
                answer = self.rc(b("head", key="a"), want)
                self.assertNotIn("canary", str(answer))
                self.rc(b("head", key="a", attempt=2), "ok")

    def test_nothing_secret_is_said(self):
        """At every level, of every kind, in every failure: no secret, no token."""
        self.server.subjects["subject-canary"] = "//iam/pools/p/providers/x"
        token = self.write("subject-canary", "token")
        accounts = [self.service(), self.service(token_uri=self.server.url + "/token"),
                    self.user(), self.external({"file": token})]
        said = []
        for account in accounts:
            for kind, what, more in ((None, None, {}), ("token", "status", {"status": 400}),
                                     ("token", "status", {"status": 500}),
                                     ("token", "garbage", {}), ("token", "truncated", {}),
                                     ("look", "status", {"status": 403}),
                                     ("look", "status", {"status": 401, "times": 2}),
                                     ("look", "reset", {})):
                self.server.clear()
                if kind:
                    self.server.fault(kind, what, **more)
                with self.open(service_account_json=json.dumps(account),
                               env={"LOG_DEBUG": "1"}) as b:
                    said.append(str(b("head", key="a")))
                    said.append(str(b("probe")))
        text = "\n".join(said)
        signed = [e["headers"]["authorization"][7:] for e in self.server.log
                  if "authorization" in e["headers"]]
        for secret in ["canary", self.pem.splitlines()[3], *self.server.tokens, *signed]:
            self.assertNotIn(secret, text)
            self.assertNotIn(urllib.parse.quote(secret, safe=""), text)

    def test_identity_is_told(self):
        url = self.server.url + \
            "/iam/serviceAccounts/target@p.iam.gserviceaccount.com:generateAccessToken"
        table = ((self.service(), EMAIL, None),
                 ({"type": "impersonated_service_account", "source_credentials": self.user(),
                   "service_account_impersonation_url": url},
                  "target@p.iam.gserviceaccount.com", None),
                 (None, "machine@project.iam.gserviceaccount.com", self.metadata_env()))
        for account, want, env in table:
            options = {"service_account_json": json.dumps(account)} if account else {}
            with self.open(env=env, **options) as b:
                found = self.rc(b("probe"), "ok")["findings"]
            identity = [f["value"] for f in found if f["name"] == "identity"]
            self.assertEqual(identity, [want])


if __name__ == "__main__":
    # The inherited tests are gcs_ops.py's.
    unittest.main(defaultTest="Credentials")
