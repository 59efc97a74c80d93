"""Downloads against a real HTTP server on this machine that cuts, lies, redirects and answers with pages."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tsir.encoders import weights as weights_module
from tsir.encoders.weights import OFFICIAL, Official, download, get_weights, list_weights, verify_weights, weights_file
from tsir.errors import Conflict, EncoderUnavailable, NotFound
from tsir.settings import Settings


def checkpoint(seed: int = 0, size: int = 3_000_000) -> bytes:
    """The outside of a torch checkpoint: a zip with `data.pkl` and a tensor."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
        archive.writestr("archive/data/0", random.Random(seed).randbytes(size))
    return buffer.getvalue()


@dataclass
class Behaviour:
    """What the server does; the log of what it was asked."""

    body: bytes = field(default_factory=checkpoint)
    etag: str | None = '"v1"'
    cut_after: list[int] = field(default_factory=list)
    """Bytes to send before closing the connection, one entry per request; afterwards all is sent."""
    claim: int | None = None
    """A Content-Length that is not true."""
    ranges: bool = True
    status: list[int] = field(default_factory=list)
    """Statuses of the first requests."""
    redirect: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/octet-stream"
    length: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""


@dataclass
class Server:
    url: str
    does: Behaviour


@pytest.fixture
def server() -> Iterator[Server]:
    does = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            does.asked.append((self.path, self.headers.get("Range")))
            self.close_connection = True
            if target := does.redirect.get(self.path):
                self.send_response(302)
                self.send_header("Location", target)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if does.status:
                self.send_response(does.status.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            wanted = self.headers.get("Range")
            if wanted and does.ranges and self.headers.get("If-Range") == does.etag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start and start >= len(does.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(does.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            rest = does.body[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(does.body) - 1}/{len(does.body)}")
            if does.etag:
                self.send_header("ETag", does.etag)
            if does.length:
                self.send_header("Content-Length", str(does.claim - start if does.claim else len(rest)))
            self.send_header("Content-Type", does.content_type)
            self.end_headers()
            self.wfile.write(rest[: does.cut_after.pop(0)] if does.cut_after else rest)

        def end_headers(self) -> None:
            self.send_header("Connection", "close")
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Server(f"http://127.0.0.1:{httpd.server_port}/model.pt", does)
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "PAUSE_S", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mine(settings: Settings, server: Server) -> Settings:
    """Settings whose task-former weights come from the local server."""
    return settings.model_copy(update={"model": "task-former", "weights": server.url})


def fetch(server: Server, tmp_path: Path, **known: object) -> Path:
    target = tmp_path / "model.pt"
    download(Official(server.url, **known), target)  # type: ignore[arg-type]
    return target


def test_a_download_is_whole_recorded_and_reports_its_progress(server: Server, mine: Settings) -> None:
    steps: list[tuple[int, int | None]] = []
    info = get_weights("task-former", mine, lambda done, total: steps.append((done, total)))
    body = server.does.body
    assert info.path is not None and Path(info.path).read_bytes() == body
    assert (info.state, info.bytes, info.sha256) == ("present", len(body), hashlib.sha256(body).hexdigest())
    assert steps[-1] == (len(body), len(body))
    assert sorted(path.name for path in Path(info.path).parent.iterdir()) == ["model.pt", "model.pt.json"]


def test_a_second_get_asks_the_server_nothing(server: Server, mine: Settings) -> None:
    get_weights("task-former", mine)
    get_weights("task-former", mine)
    assert len(server.does.asked) == 1


def test_a_cut_connection_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.does.cut_after = [1_000_000, 500_000]
    assert fetch(server, tmp_path).read_bytes() == server.does.body
    assert [asked[1] for asked in server.does.asked] == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_new_process_goes_on_with_what_an_earlier_one_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.does.cut_after = [1_000_000, 0, 0]
    monkeypatch.setattr(weights_module, "TRIES", 2)
    with pytest.raises(EncoderUnavailable, match="broke off after 1,000,000 bytes of 3,0"):
        fetch(server, tmp_path)
    assert not (tmp_path / "model.pt").exists()
    assert fetch(server, tmp_path).read_bytes() == server.does.body
    assert server.does.asked[-1][1] == "bytes=1000000-"


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.does.cut_after = [1_000_000]
    server.does.ranges = False
    assert fetch(server, tmp_path).read_bytes() == server.does.body


def test_a_server_without_versions_is_not_asked_to_go_on(server: Server, tmp_path: Path) -> None:
    server.does.cut_after = [1_000_000]
    server.does.etag = None
    assert fetch(server, tmp_path).read_bytes() == server.does.body
    assert server.does.asked[1][1] is None


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.does.cut_after = [1_000_000, 0, 0]
    monkeypatch.setattr(weights_module, "TRIES", 2)
    with pytest.raises(EncoderUnavailable):
        fetch(server, tmp_path)
    server.does.body, server.does.etag = checkpoint(seed=1), '"v2"'
    assert fetch(server, tmp_path).read_bytes() == server.does.body


def test_a_complete_part_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pt.part").write_bytes(server.does.body)
    (tmp_path / "model.pt.part.version").write_text('"v1"')
    assert fetch(server, tmp_path).read_bytes() == server.does.body


def test_a_length_that_is_too_long_never_ends_in_weights(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.does.claim = len(server.does.body) + 1000
    server.does.ranges = False
    monkeypatch.setattr(weights_module, "TRIES", 2)
    with pytest.raises(EncoderUnavailable, match="broke off"):
        fetch(server, tmp_path)
    assert not (tmp_path / "model.pt").exists()


def test_a_length_that_is_too_short_never_ends_in_weights(server: Server, tmp_path: Path) -> None:
    server.does.claim = len(server.does.body) - 1000
    with pytest.raises(EncoderUnavailable, match="not the weights: it is incomplete"):
        fetch(server, tmp_path)
    assert list(tmp_path.glob("model*")) == []


def test_a_truncated_answer_without_a_length_never_ends_in_weights(server: Server, tmp_path: Path) -> None:
    server.does.length = False
    server.does.cut_after = [2_000_000]
    with pytest.raises(EncoderUnavailable, match="incomplete"):
        fetch(server, tmp_path)
    assert list(tmp_path.glob("model*")) == []


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_not_taken_for_weights(server: Server, tmp_path: Path, content_type: str) -> None:
    server.does.body = b"<!DOCTYPE html><title>Log in</title>" + b" " * 5000
    server.does.content_type = content_type
    with pytest.raises(EncoderUnavailable, match="web page instead of weights"):
        fetch(server, tmp_path)
    assert not (tmp_path / "model.pt").exists()


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.does.redirect = {"/model.pt": "/elsewhere/model.pt"}
    assert fetch(server, tmp_path).read_bytes() == server.does.body


def test_redirects_in_circles_end(server: Server, tmp_path: Path) -> None:
    server.does.redirect = {"/model.pt": "/other", "/other": "/model.pt"}
    with pytest.raises(EncoderUnavailable, match="redirects in circles"):
        fetch(server, tmp_path)


def test_a_missing_file_is_said_at_once(server: Server, tmp_path: Path) -> None:
    server.does.status = [404]
    with pytest.raises(EncoderUnavailable, match="answered 404 Not Found"):
        fetch(server, tmp_path)
    assert len(server.does.asked) == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.does.status = [503, 503]
    assert fetch(server, tmp_path).read_bytes() == server.does.body


def test_an_unreachable_server_is_an_error_with_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "TRIES", 1)
    with pytest.raises(EncoderUnavailable, match=r"http://127\.0\.0\.1:9/model\.pt"):
        download(Official("http://127.0.0.1:9/model.pt"), tmp_path / "model.pt")


@pytest.mark.parametrize(("known", "message"), [({"sha256": "0" * 64}, "SHA-256"), ({"bytes": 10}, "instead of 10")])
def test_other_bytes_than_the_published_ones_are_refused(server: Server, tmp_path: Path, known: dict[str, object], message: str) -> None:
    with pytest.raises(EncoderUnavailable, match=message):
        fetch(server, tmp_path, **known)
    assert list(tmp_path.glob("model*")) == []


def test_the_proxy_of_the_environment_is_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/model.pt"))
    download(Official("http://weights.invalid/model.pt"), tmp_path / "model.pt")
    assert server.does.asked == [("http://weights.invalid/model.pt", None)]


def test_two_downloads_of_one_file_do_not_meet(server: Server, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / "model.pt.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="Another process is downloading"):
            fetch(server, tmp_path)


def test_a_changed_byte_is_found_by_verify_and_mended_by_get(server: Server, mine: Settings) -> None:
    path = Path(str(get_weights("task-former", mine).path))
    broken = bytearray(path.read_bytes())
    broken[1000] ^= 1
    path.write_bytes(broken)
    with pytest.raises(EncoderUnavailable, match=r"SHA-256 differs.*tsir weights get task-former"):
        verify_weights("task-former", mine)
    get_weights("task-former", mine)
    assert path.read_bytes() == server.does.body


def test_a_truncated_file_is_broken_in_the_list(server: Server, mine: Settings) -> None:
    path = Path(str(get_weights("task-former", mine).path))
    path.write_bytes(server.does.body[:1000])
    info = list_weights(mine)[1]
    assert info.state == "broken"
    assert info.message is not None and "1,000 bytes instead of" in info.message


def test_the_first_download_is_what_later_ones_must_equal(server: Server, mine: Settings) -> None:
    path = Path(str(get_weights("task-former", mine).path))
    path.unlink()
    server.does.body = checkpoint(seed=1)
    with pytest.raises(EncoderUnavailable, match="SHA-256"):
        get_weights("task-former", mine)
    assert not path.exists()


def test_missing_weights_are_listed_with_the_command(settings: Settings) -> None:
    lite, paper = list_weights(settings)
    assert (lite.name, lite.state) == ("lite", "built in")
    assert (paper.name, paper.state, paper.source) == ("task-former", "missing", OFFICIAL["task-former"].url)
    with pytest.raises(EncoderUnavailable, match="tsir weights get task-former"):
        weights_file("task-former", settings.model_copy(update={"model": "task-former"}))


def test_a_local_file_is_used_as_it_is(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(checkpoint(size=100))
    own = settings.model_copy(update={"model": "task-former", "weights": str(path)})
    assert weights_file("task-former", own) == path
    assert verify_weights("task-former", own).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert get_weights("task-former", own).state == "present"


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 and no more", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_local_file_that_cannot_be_weights_is_refused(tmp_path: Path, settings: Settings, content: bytes) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(content)
    with pytest.raises(EncoderUnavailable, match="broken"):
        weights_file("task-former", settings.model_copy(update={"model": "task-former", "weights": str(path)}))


def test_a_local_file_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(EncoderUnavailable, match=r"/nowhere/x\.pt, which does not exist"):
        weights_file("task-former", settings.model_copy(update={"model": "task-former", "weights": "/nowhere/x.pt"}))


def test_a_mirror_is_used_while_another_encoder_runs(server: Server, settings: Settings) -> None:
    assert get_weights("task-former", settings.model_copy(update={"weights": server.url})).source == server.url


def test_a_folder_of_lite_is_not_taken_for_a_checkpoint(settings: Settings, tmp_path: Path) -> None:
    assert list_weights(settings.model_copy(update={"weights": str(tmp_path)}))[1].source == OFFICIAL["task-former"].url


def test_an_encoder_without_published_weights_is_not_found(settings: Settings) -> None:
    with pytest.raises(NotFound, match="Known: task-former"):
        get_weights("resnet", settings)
