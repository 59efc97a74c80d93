"""Against a server on this machine, which only `allowed` permits; nothing here leaves it."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tsir.errors import Forbidden, InvalidInput, TooLarge, TsirError
from tsir.importing.addresses import IPAddress, is_public
from tsir.importing.urls import fetch


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif kind == "status":
            self.send_error(int(rest))
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                pass
        elif kind == "drip":  # never silent, never done
            try:
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
                while True:
                    self.wfile.write(b"a")
                    time.sleep(0.02)
            except OSError:
                pass
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(f"{rest} for {self.headers['Host']}".encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


def here(address: IPAddress) -> bool:
    return address == ipaddress.ip_address("127.0.0.1")


def get(url: str, max_bytes: int = 10**6, total_s: float = 10.0) -> bytes:
    return fetch(url, max_bytes=max_bytes, total_s=total_s, allowed=here)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_bytes_come_whatever_they_claim_to_be(server: str) -> None:
    assert get(f"{server}/is/hello") == b"hello for " + server.removeprefix("http://").encode()


def test_own_machine_is_refused_unless_allowed(server: str) -> None:
    for url in (server, server.replace("127.0.0.1", "localhost"), server.replace("127.0.0.1", "2130706433"), "http://[::1]/", "http://0/"):
        with pytest.raises(Forbidden, match="public"):
            fetch(url, max_bytes=10)


def test_redirects_are_followed_checked_and_counted(server: str) -> None:
    assert get(f"{server}/to//is/hello").startswith(b"hello")
    with pytest.raises(Forbidden):
        get(f"{server}/to/http://127.0.0.2/secret")
    with pytest.raises(InvalidInput, match="http://"):
        get(f"{server}/to/file:///etc/passwd")
    with pytest.raises(InvalidInput, match="redirects"):
        get(server + "/to/" * 9 + "is/hello".replace("/", "//"))


def test_name_is_resolved_once_and_that_address_is_used(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that would lead elsewhere at a second look: DNS rebinding."""
    answers = ["127.0.0.1", "127.0.0.66"]
    real = socket.getaddrinfo

    def lookup(host: str, *args: object, **kwargs: object) -> object:
        return real(answers.pop(0) if host == "rebind.test" else host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    port = server.rpartition(":")[2]
    assert get(f"http://rebind.test:{port}/is/hello") == f"hello for rebind.test:{port}".encode()
    assert answers == ["127.0.0.66"]
    with pytest.raises(Forbidden):
        get(f"http://rebind.test:{port}/is/hello")


def test_endless_body_ends_at_the_limit(server: str) -> None:
    with pytest.raises(TooLarge, match="MAX_UPLOAD_BYTES"):
        get(f"{server}/endless/", 200_000)


def test_dripping_server_cannot_outlast_the_total_time(server: str) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        get(f"{server}/drip/", total_s=1.0)


def test_stop_ends_a_fetch(server: str) -> None:
    with pytest.raises(TsirError):
        fetch(f"{server}/drip/", max_bytes=10, allowed=here, stopped=lambda: True)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://example.org/a.jpg", "file:///etc/passwd", "http://", "http://user:pass@example.org/", "http://[", "//x/y"],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        get(url)


def test_errors_of_the_other_side_are_sentences(server: str) -> None:
    with pytest.raises(InvalidInput, match="status 404"):
        get(f"{server}/status/404")
    with pytest.raises(InvalidInput, match="no host"):
        get("http://no-such-host.invalid/a.jpg")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InvalidInput, match="cannot be reached"):
        get(f"http://127.0.0.1:{port}/")
