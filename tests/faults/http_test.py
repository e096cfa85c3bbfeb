#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP layer of the network backends through TLS and proxies, by tests/bin/http-request."""
import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD_DIR") or os.path.join(HERE, "../../build/full")
PROGRAM = os.path.join(BUILD, "tests/bin/http-request")
OK, AUTH, DENIED, TRANSIENT, CONFIG, UNCERTAIN = 0, -4, -5, -7, -14, -17
MIB = 1 << 20


def setUpModule():
    global CERTIFICATES
    CERTIFICATES = tempfile.mkdtemp(prefix="persist-certificates-")
    subprocess.run([os.path.join(HERE, "../servers/certificates"), CERTIFICATES], check=True)


def tearDownModule():
    shutil.rmtree(CERTIFICATES)


def certificate(name):
    return os.path.join(CERTIFICATES, name + ".pem")


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Server:
    """One thread per connection; `serve` gets each."""

    def __init__(self, serve, context=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.serve, self.context = serve, context
        self.connections, self.heads, self.resumed = 0, [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def handle(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.resumed.append(connection.session_reused)
            self.serve(self, connection)
        except OSError:
            pass
        finally:
            connection.close()

    def stop(self):
        # Wakes accept(), which close alone does not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_head(connection, buffered=b""):
    while b"\r\n\r\n" not in buffered:
        data = connection.recv(65536)
        if not data:
            raise ConnectionError
        buffered += data
    head, _, rest = buffered.partition(b"\r\n\r\n")
    return head.decode(), rest


def length_of(head):
    for line in head.lower().split("\r\n"):
        if line.startswith("content-length:"):
            return int(line[15:])
    return 0


def web(server, connection):
    """Answers 200 "hello" to everything, connections kept."""
    rest = b""
    while True:
        head, rest = read_head(connection, rest)
        server.heads.append(head)
        missing = length_of(head) - len(rest)
        rest = b""
        while missing > 0:
            missing -= len(connection.recv(min(missing, 65536)) or b"x" * missing)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def reset_in_body(server, connection):
    head, rest = read_head(connection)
    if length_of(head) > len(rest):
        connection.recv(10000)
    reset(connection)


def context(name, **options):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate(name), os.path.join(CERTIFICATES, name + ".key"))
    for key, value in options.items():
        setattr(made, key, value)
    return made


class Test(unittest.TestCase):
    def server(self, serve=web, tls=None):
        made = Server(serve, tls)
        self.addCleanup(made.stop)
        return made

    def request(self, *arguments, env=None):
        """[(code, status, may have applied, message)], one per request."""
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                              check=False, env={**clean, **(env or {})})
        self.assertEqual(done.returncode, 0, f"{arguments}: {done}")
        out = []
        for line in done.stdout.splitlines():
            code, status, may, _, message = line.split(" ", 4)
            out.append((int(code), int(status), may == "may=1", message))
        return out

    def one(self, *arguments, **more):
        answers = self.request(*arguments, **more)
        self.assertEqual(len(answers), 1)
        return answers[0]


class TlsTest(Test):
    def get(self, name, *arguments, ca="ca", host="localhost", **options):
        server = self.server(tls=context(name, **options))
        return self.one("--ca", certificate(ca), *arguments, "GET",
                        f"https://{host}:{server.port}/x")

    def test_good_certificates(self):
        self.assertEqual(self.get("good")[:2], (OK, 200))
        self.assertEqual(self.get("good", host="127.0.0.1")[:2], (OK, 200))
        self.assertEqual(self.get("good", host="bucket.localhost")[:2], (OK, 200))

    def test_bad_certificates(self):
        for name, host in (("expired", "localhost"), ("other", "localhost"),
                           ("stranger", "localhost"), ("good", "a.b.localhost")):
            code, status, may, message = self.get(name, "--writes", host=host)
            self.assertEqual((code, status, may), (CONFIG, 0, False), f"{name}: {message}")
            self.assertIn("certificate", message + " certificate" * ("SSL" in message))

    def test_system_authorities_do_not_know_ours(self):
        server = self.server(tls=context("good"))
        self.assertEqual(self.one("GET", f"https://localhost:{server.port}/")[0], CONFIG)

    def test_another_protocol_at_first_is_another_port(self):
        server = self.server(lambda s, c: c.sendall(b"HTTP/1.1 400 No\r\n\r\n"))
        answer = self.one("--ca", certificate("ca"), "--writes", "--body", "10", "PUT", f"https://localhost:{server.port}/")
        self.assertEqual(answer[:3], (CONFIG, 0, False))
        self.assertIn("an http:// endpoint", answer[3])
        server = self.server(lambda s, c: c.sendall(b"\x15\x03\x03\x00\x02\x02\x46"))
        answer = self.one("GET", f"http://localhost:{server.port}/")
        self.assertEqual(answer[0], CONFIG)
        self.assertIn("an https:// endpoint", answer[3])

    def test_another_protocol_later_is_transient(self):
        replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"220 mail.test ESMTP\r\n"]

        def serve(_server, connection):
            read_head(connection)
            connection.sendall(replies.pop(0))
        server = self.server(serve)
        answers = self.request("--times", "2", "GET", f"http://localhost:{server.port}/")
        self.assertEqual([a[0] for a in answers], [OK, TRANSIENT])

    def test_what_to_do_is_said(self):
        for name, ca in (("stranger", "ca"), ("good", "stranger")):
            self.assertIn("ca_bundle", self.get(name, ca=ca)[3])
        self.assertNotIn("ca_bundle", self.get("expired")[3])

    def test_ca_bundle_must_be_there(self):
        done = subprocess.run([PROGRAM, "--ca", "/no/such/file", "GET", "https://localhost/"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "cannot read the CA bundle /no/such/file\n")

    def test_old_versions_are_refused(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            server = self.server(tls=context("good", minimum_version=ssl.TLSVersion.TLSv1,
                                             maximum_version=ssl.TLSVersion.TLSv1_1))
        server.context.set_ciphers("ALL:@SECLEVEL=0")
        # The system's configuration may refuse them already: it is not asked.
        settings = os.path.join(CERTIFICATES, "openssl.cnf")
        with open(settings, "w", encoding="utf-8") as f:
            f.write("openssl_conf = d\n[d]\nssl_conf = s\n[s]\nsystem_default = x\n[x]\n"
                    "MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n")
        answer = self.one("--ca", certificate("ca"), "GET", f"https://localhost:{server.port}/",
                          env={"OPENSSL_CONF": settings})
        self.assertEqual(answer[:3], (TRANSIENT, 0, False))
        self.assertEqual(self.get("good", maximum_version=ssl.TLSVersion.TLSv1_2)[0], OK)

    def test_handshakes_that_fail_are_transient(self):
        for serve in (lambda s, c: reset(c), lambda s, c: None):
            server = self.server(serve)
            answer = self.one("--ca", certificate("ca"), "--writes", "--body", "10", "PUT",
                              f"https://localhost:{server.port}/x")
            self.assertEqual(answer[:3], (TRANSIENT, 0, False))

    def test_reset_under_an_upload_does_not_kill(self):
        server = self.server(reset_in_body, context("good"))
        for size, code in ((8 * MIB, TRANSIENT), (1000, UNCERTAIN)):
            answers = self.request("--ca", certificate("ca"), "--writes", "--body", str(size),
                                   "--times", "10", "PUT", f"https://localhost:{server.port}/x")
            self.assertEqual([a[0] for a in answers], [code] * 10)

    def test_a_head_sent_in_pieces_shows_no_secret(self):
        # libcurl sends 64 KiB at a time; the second piece begins within the value.
        server = self.server(tls=context("good"))
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        done = subprocess.run([PROGRAM, "--ca", certificate("ca"), "--times", "2", "GET",
                               f"https://localhost:{server.port}/x?upload_id={'canary' * 15000}"],
                              capture_output=True, text=True, timeout=60, check=True,
                              env={**clean, "HTTP_REQUEST_VERBOSE": "1"})
        self.assertEqual(done.stdout.count("200 may=1"), 2)
        self.assertNotIn("canary", done.stderr)
        self.assertEqual(done.stderr.count("> GET /x?upload_id=[hidden]"), 2)
        self.assertEqual(done.stderr.count("> Host: localhost:"), 2)

    def test_connections_are_kept(self):
        server = self.server(tls=context("good"))
        answers = self.request("--ca", certificate("ca"), "--times", "5", "--body", "2000000",
                               "PUT", f"https://localhost:{server.port}/x")
        self.assertEqual([a[:2] for a in answers], [(OK, 200)] * 5)
        self.assertEqual(server.connections, 1)


def refuse(status):
    def serve(server, connection):
        head, _ = read_head(connection)
        server.heads.append(head)
        connection.sendall(f"HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic realm=x\r\n"
                           "Content-Length: 0\r\n\r\n".encode())
    return serve


def tunnel(server, connection):
    """CONNECT, then bytes both ways."""
    head, _ = read_head(connection)
    server.heads.append(head)
    port = int(head.split()[1].rpartition(":")[2])
    other = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")

    def pump(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=pump, args=(other, connection), daemon=True)
    back.start()
    pump(connection, other)
    back.join()
    other.close()


class ProxyTest(Test):
    def test_tunnel(self):
        target, proxy = self.server(tls=context("good")), self.server(tunnel)
        answer = self.one("--ca", certificate("ca"), "--proxy",
                          f"http://user:canary@127.0.0.1:{proxy.port}", "GET",
                          f"https://localhost:{target.port}/secret")
        self.assertEqual(answer[:2], (OK, 200))
        self.assertTrue(proxy.heads[0].startswith(f"CONNECT localhost:{target.port} "))
        self.assertNotIn("secret", proxy.heads[0])

    def test_refusals(self):
        for status, code in ((407, AUTH), (403, DENIED), (302, CONFIG), (503, TRANSIENT)):
            proxy = self.server(refuse(status))
            answer = self.one("--ca", certificate("ca"), "--writes", "--body", "5", "--proxy",
                              f"http://user:canary@127.0.0.1:{proxy.port}", "PUT",
                              "https://localhost:1/x")
            self.assertEqual(answer[:3], (code, 0, False), answer)
            self.assertNotIn("canary", answer[3])

    def test_proxy_that_is_not_there(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        answer = self.one("--proxy", f"http://127.0.0.1:{port}", "--writes", "--body", "5", "PUT",
                          "https://localhost:1/x")
        self.assertEqual(answer[:3], (TRANSIENT, 0, False))

    def test_environment(self):
        target, proxy = self.server(), self.server()
        env = {"http_proxy": f"http://127.0.0.1:{proxy.port}"}
        url = f"http://127.0.0.1:{target.port}/x"
        via = ("--env-proxy", "--allow-http")
        self.assertEqual(self.one(*via, "GET", url, env=env)[0], OK)
        self.assertTrue(proxy.heads[0].startswith("GET http://127.0.0.1:"))
        self.assertEqual((target.connections, proxy.connections), (0, 1))
        self.assertEqual(self.one(*via, "--no-proxy", "GET", url, env=env)[0], OK)
        self.assertEqual(self.one("GET", url, env=env)[0], OK)
        self.assertEqual(self.one(*via, "GET", url, env={**env, "no_proxy": "127.0.0.1"})[0], OK)
        self.assertEqual((target.connections, proxy.connections), (3, 1))

    def test_plain_http_of_this_machine_does_not_leave_it(self):
        target, proxy = self.server(), self.server()
        url = f"http://127.0.0.1:{target.port}/x"
        for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
            env = {name: f"http://127.0.0.1:{proxy.port}"}
            self.assertEqual(self.one("--env-proxy", "GET", url, env=env)[0], OK)
        self.assertEqual((target.connections, proxy.connections), (3, 0))
        # A proxy that the store names is asked.
        self.assertEqual(self.one("--proxy", f"http://127.0.0.1:{proxy.port}", "GET", url)[0], OK)
        self.assertEqual((target.connections, proxy.connections), (3, 1))


class MoreRightsTest(unittest.TestCase):
    """A program with more rights than its caller: what the caller's environment says moves nothing."""

    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("only root can make a program that is somebody else's")
        self.place = tempfile.mkdtemp(prefix="persist-more-rights-")
        self.addCleanup(shutil.rmtree, self.place)
        os.chmod(self.place, 0o777)
        self.program = os.path.join(self.place, "http-request")
        shutil.copy(PROGRAM, self.program)
        os.chown(self.program, 65534, 65534)
        os.chmod(self.program, 0o4755)

    def output(self, *arguments, program=None, **env):
        done = subprocess.run([program or self.program, *arguments, "GET", "http://127.0.0.1:1/"],
                              env={"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""), **env},
                              capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def test_keys_of_tls_go_to_no_file(self):
        keys = os.path.join(self.place, "keys")
        self.assertIn("more rights than its caller", self.output(SSLKEYLOGFILE=keys))
        self.assertFalse(os.path.exists(keys))
        self.assertIn("127.0.0.1:1", self.output())
        self.assertIn("127.0.0.1:1", self.output(program=PROGRAM, SSLKEYLOGFILE=keys))

    def test_programs_are_found_and_run_without_it(self):
        env = {"PATH": self.place, "CANARY": "1"}
        out = self.output("--run", "/usr/bin/env", **env)
        self.assertTrue(out.startswith("0 \nPATH=/usr/local/bin:/usr/bin:/bin\n"), out)
        self.assertNotIn("CANARY", out)
        self.assertIn("CANARY=1\n", self.output("--run", "/usr/bin/env", program=PROGRAM, **env))
        with open(os.path.join(self.place, "helper"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\necho caught\n")
        os.chmod(f.name, 0o755)
        self.assertIn("by their path only", self.output("--run", "helper", **env))
        self.assertIn("caught", self.output("--run", "helper", program=PROGRAM, **env))


if __name__ == "__main__":
    unittest.main()
