"""Pictures from the web: http(s) only, from public addresses only, within limits of bytes and time.

The server fetches what a stranger names, so the address matters more than the name: every host is resolved here, every address it has is
checked, and the connection goes to the checked address, for each redirect again. A name that resolves differently the second time
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from urllib.parse import urljoin

import httpcore
import httpx

from tsir.errors import Forbidden, InvalidInput, TooLarge
from tsir.importing.addresses import IPAddress, is_public

TOTAL_S = 60.0
"""For one picture with all its redirects."""
CONNECT_S, SILENCE_S = 10.0, 15.0
SLICE_S = 0.5
"""How often a waiting read looks whether it should give up."""
MAX_REDIRECTS = 5
AGENT = "tsir (image retrieval; fetches pictures that its user names)"


def fetch(
    url: str,
    *,
    max_bytes: int,
    total_s: float = TOTAL_S,
    allowed: Callable[[IPAddress], bool] = is_public,
    stopped: Callable[[], bool] = lambda: False,
) -> bytes:
    """The bytes behind a URL; whether they are a picture is for the decoder to say.

    Raises InvalidInput (not a URL, no such host, no answer, an answer other than 200), Forbidden (an address that is not public),
    TooLarge. `stopped` is asked about twice a second and ends the attempt.
    """
    give_up = _Clock(time.monotonic() + total_s, stopped)
    with httpcore.ConnectionPool(network_backend=_Checked(allowed, give_up), ssl_context=ssl.create_default_context()) as pool:
        for _ in range(MAX_REDIRECTS + 1):
            target = _parse(url)
            try:
                redirect, data = _get(pool, target, max_bytes)
            except (httpcore.TimeoutException, TimeoutError):
                raise InvalidInput(f"{target.host} took too long to answer: at most {total_s:.0f} seconds are allowed.") from None
            except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
                raise InvalidInput(f"{target.host} cannot be reached: {error or type(error).__name__}.") from None
            if redirect is None:
                return data
            url = urljoin(str(target), redirect)
    raise InvalidInput(f"The address redirects more than {MAX_REDIRECTS} times.")


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError, TypeError):
        raise InvalidInput("This is not a URL. Give one like https://example.org/picture.jpg.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput("Only http:// and https:// addresses can be fetched.")
    if parsed.userinfo:
        raise InvalidInput("An address with a user name in it is not fetched.")
    return parsed


def _get(pool: httpcore.ConnectionPool, url: httpx.URL, max_bytes: int) -> tuple[str | None, bytes]:
    """One request -> (where it redirects to, None) or (None, its body)."""
    request = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    headers: list[tuple[str | bytes, str | bytes]] = [
        ("Host", url.netloc),
        ("User-Agent", AGENT),
        ("Accept", "image/*, */*;q=0.5"),
        ("Accept-Encoding", "identity"),
    ]
    timeout = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": CONNECT_S}
    with pool.stream("GET", request, headers=headers, extensions={"timeout": timeout}) as response:
        fields = {name.lower(): value for name, value in response.headers}
        if response.status in (301, 302, 303, 307, 308) and b"location" in fields:
            return fields[b"location"].decode("latin-1"), b""
        if response.status != 200:
            raise InvalidInput(f"{url.host} answered with status {response.status} instead of a picture.")
        length = fields.get(b"content-length", b"")
        too_large = TooLarge(f"The picture behind the address has more than {max_bytes / 2**20:,.1f} MB (MAX_UPLOAD_BYTES).")
        if length.isdigit() and int(length) > max_bytes:
            raise too_large
        data = bytearray()
        for part in response.iter_stream():
            data += part
            if len(data) > max_bytes:
                raise too_large
        return None, bytes(data)


class _Clock:
    """The moment at which everything has to be over."""

    def __init__(self, deadline: float, stopped: Callable[[], bool]) -> None:
        self._deadline = deadline
        self._stopped = stopped

    def left(self, at_most: float | None) -> float:
        left = 0.0 if self._stopped() else self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return left if at_most is None else min(left, at_most)


class _Checked(httpcore.NetworkBackend):
    """Connects to allowed addresses only, and lets no single byte extend the total time."""

    def __init__(self, allowed: Callable[[IPAddress], bool], clock: _Clock) -> None:
        self._inner = httpcore.SyncBackend()
        self._allowed = allowed
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host, port)
        for position, address in enumerate(addresses):
            try:
                stream = self._inner.connect_tcp(address, port, self._clock.left(timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):  # noqa: PERF203
                if position == len(addresses) - 1:
                    raise
            else:
                return _Stream(stream, self._clock)
        raise httpcore.ConnectError("no address")

    def _resolve(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise InvalidInput(f"There is no host {host!r}.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not self._allowed(ipaddress.ip_address(address.partition("%")[0])):
                raise Forbidden(f"{host!r} is not on the public internet: pictures are fetched from public addresses only.")
        return addresses


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        silent_since = time.monotonic()
        while True:
            try:
                return self._inner.read(max_bytes, self._clock.left(SLICE_S))
            except httpcore.ReadTimeout:  # noqa: PERF203
                if timeout is not None and time.monotonic() - silent_since >= timeout:
                    raise
                self._clock.left(None)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._clock.left(timeout)), self._clock)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)
