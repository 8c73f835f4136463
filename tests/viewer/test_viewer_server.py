"""The small web server: who is answered, and what is not read."""

import http.client
import json
import socket
import time

import pytest

from mltk.utils.errors import DeviceError, FrontendError
from mltk.viewer.server import LocalServer, Reply, json_reply

POLICY = "default-src 'none'"


def answer(request):
    if request.path == "wrong":
        raise FrontendError("fe.x is wrong")
    if request.path == "page":
        return Reply(b"hello", "text/plain")
    return json_reply(
        {"method": request.method, "path": request.path, "query": request.query, "n": len(request.body)}
    )


@pytest.fixture(scope="module")
def server():
    made = LocalServer(answer, POLICY, body_limits={"large": 3_000_000})
    yield made
    made.close()


def ask(server, path="page", method="GET", body=None, token=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        secret = server.token if token is None else token
        connection.request(method, f"/{secret}/{path}" if secret else f"/{path}", body, given)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def test_a_page_with_its_policy(server):
    status, body, headers = ask(server)
    assert (status, body) == (200, b"hello")
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_only_loopback_listens(server):
    assert server.url.startswith("http://127.0.0.1:")
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {
        "127.0.0.1"
    }
    for other in others:
        if other.startswith("127."):
            continue
        with pytest.raises(OSError):  # noqa: PT011
            socket.create_connection((other, server.port), timeout=2)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1:{port}.evil.example"],
)
def test_a_foreign_host_is_refused(server, host):
    status, body, _ = ask(server, Host=host.format(port=server.port))
    assert status == 403
    assert b"hello" not in body


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_the_own_host_is_served(server, name):
    assert ask(server, Host=f"{name}:{server.port}")[0] == 200


@pytest.mark.parametrize("token", ["", "guess", "x" * 32, "%2e%2e"])
def test_without_the_secret_nothing_is_served(server, token):
    status, body, _ = ask(server, token=token)
    assert status == 403
    assert b"address that the command printed" in body


def test_each_run_has_its_own_secret(server):
    other = LocalServer(answer, POLICY)
    try:
        assert other.token != server.token
        assert len(other.token) >= 32
        assert ask(other, token=server.token)[0] == 403
    finally:
        other.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_requests_of_other_sites_are_refused(server, headers):
    given = {name: value.format(port=server.port) for name, value in headers.items()}
    assert ask(server, "clip", "POST", b"1234", **given)[0] == 403


def test_own_requests_are_answered(server):
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec_Fetch_Site": "same-origin"}
    status, body, _ = ask(server, "clip?name=a%20b.wav&x=1", "POST", b"1234", **own)
    assert status == 200
    assert json.loads(body) == {
        "method": "POST",
        "path": "clip",
        "query": {"name": "a b.wav", "x": "1"},
        "n": 4,
    }


def test_a_users_error_is_a_sentence(server):
    status, body, _ = ask(server, "wrong")
    assert status == 422
    assert json.loads(body) == {"error": "fe.x is wrong"}


def test_a_body_within_its_limit(server):
    assert json.loads(ask(server, "large", "POST", bytes(3_000_000))[1])["n"] == 3_000_000


@pytest.mark.parametrize(("path", "size"), [("large", 3_000_001), ("other", 2_000_000)])
def test_a_body_above_its_limit_is_told(server, path, size):
    status, body, _ = ask(server, path, "POST", bytes(size))
    assert status == 413
    assert "MB are too much" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "headers",
    ["", "Content-Length: -5\r\n", "Content-Length: ten\r\n", "Content-Length: 4\r\nContent-Length: 5\r\n",
     "Transfer-Encoding: chunked\r\n", "Content-Length: 99999999999999999999\r\n"],
)  # fmt: skip
def test_a_body_of_unclear_length_is_refused(server, headers):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        start = f"POST /{server.token}/clip HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{headers}\r\n"
        connection.sendall(start.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(64).startswith((b"HTTP/1.1 411", b"HTTP/1.1 413"))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_unknown(server, method):
    assert ask(server, "page", method)[0] == 501


def test_rubbish_does_not_end_it(server, capfd):
    for rubbish in (b"\x00\xff" * 500, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 70_000, b"POST",
                    b"GET /\xe4/page HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port):  # fmt: skip
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(rubbish)
    assert ask(server)[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_taken_port_is_one_sentence(server):
    with pytest.raises(DeviceError, match=rf"port {server.port} .*leave --port away"):
        LocalServer(answer, POLICY, server.port)


def is_answered(connection, request):
    try:
        connection.sendall(request.encode())
        return bool(connection.recv(64))
    except OSError:
        return False


def test_closing_is_quick_and_frees_the_port():
    made = LocalServer(answer, POLICY)
    port = made.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)  # a browser keeps it open
    connection.request("GET", f"/{made.token}/page")
    assert connection.getresponse().read() == b"hello"
    start = time.monotonic()
    made.close()
    assert time.monotonic() - start < 2
    assert not is_answered(
        connection.sock, f"GET /{made.token}/page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    )
    connection.close()
    again = LocalServer(answer, POLICY, port)
    again.close()
