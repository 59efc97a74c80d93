"""One suite for a library on this computer and for both clients of a server."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

import tsir
from tests.fakes import FakeEncoder
from tests.loops import Loop
from tests.ports import free_port
from tsir import errors
from tsir.app import create_app
from tsir.library.library import Library
from tsir.settings import Settings

KEY = "correct-horse"
STAGES = ("read", "decode", "encode", "search", "rows", "answer")


class Awaited:
    """An AsyncClient whose methods are waited for."""

    def __init__(self, client: tsir.AsyncClient) -> None:
        self.client = client
        self.loop = Loop()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        if inspect.isawaitable(value):
            return self.loop.run(value)
        return (lambda *arguments, **named: self.loop.run(value(*arguments, **named))) if callable(value) else value

    def close(self) -> None:
        self.loop.run(self.client.aclose())
        self.loop.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server that asks for a key."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("server"), api_keys=KEY, port=free_port(), _env_file=None)  # type: ignore[call-arg]
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, encoder=FakeEncoder()), port=settings.port, log_level="warning", ws="none", timeout_graceful_shutdown=2
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():  # it listens; the library may still be opening
        time.sleep(0.01)
    yield f"http://127.0.0.1:{settings.port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module", params=["open", "Client", "AsyncClient"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Each way to reach a library, empty."""
    if request.param == "open":
        opened: Any = tsir.open(tmp_path_factory.mktemp("local"), encoder=FakeEncoder())
    else:
        server = request.getfixturevalue("url")  # the server starts meanwhile, and says when it is to be asked again
        opened = tsir.Client(server, KEY) if request.param == "Client" else Awaited(tsir.AsyncClient(server, KEY))
    yield opened
    opened.close()


@pytest.fixture
def name(library: Any, request: pytest.FixtureRequest) -> str:
    """A collection for each way, so that they share a server."""
    return f"of_{type(library).__name__}"


@pytest.fixture
def loaded(library: Any, name: str, photos: Path) -> Any:
    """The library with the six pictures in the collection `name`."""
    if name not in {one.name for one in library.collections}:
        told: list[tuple[str, int, int | None]] = []
        added = library.add(photos, collection=name, progress=lambda *now: told.append(now))
        assert (added.imported, added.failed, added.failures) == (6, 0, ())
        assert told[-1] == ("imported", 6, 6)
        if not isinstance(library, tsir.Library):
            size = sum(path.stat().st_size for path in photos.iterdir())
            assert ("sent", size, size) in told
    return library


def names(hits: tsir.Hits) -> set[str]:
    return {Path(hit.path).stem[:-1] if isinstance(hit.path, str) else "" for hit in hits}


def colour(name: str, size: tuple[int, int] = (30, 20)) -> Image.Image:
    return Image.new("RGB", size, name)


def reds(library: Any, name: str) -> list[int]:
    return [hit.id for hit in library.search("red", collection=name, limit=2)]


def test_words_drawings_and_pictures_in_any_form_find_the_same(loaded: Any, name: str, tmp_path: Path) -> None:
    hits = loaded.search("red", collection=name)
    assert len(hits) == 6 and hits.next is None and [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    red = [hit.id for hit in hits[:2]]
    drawn = colour("red")
    drawn.save(tmp_path / "drawn.png")
    array = np.asarray(drawn)
    for sketch in (tmp_path / "drawn.png", str(tmp_path / "drawn.png"), (tmp_path / "drawn.png").read_bytes(), drawn, array):
        assert [hit.id for hit in loaded.search(sketch=sketch, limit=2, collection=name)] == red
        assert {hit.id for hit in loaded.similar(sketch, limit=2, collection=name)} == set(red)
    assert {hit.id for hit in loaded.search("red blue", not_text="blue", limit=2, collection=name)} == set(red)
    weighted = loaded.search("red", sketch=colour("blue"), weights={"text": 1, "sketch": 0.01}, collection=name)
    assert weighted[0].id in red and set(weighted[0].parts) == {"text", "sketch"}


def test_pages_conditions_and_pictures_like_others(loaded: Any, name: str) -> None:
    first = loaded.search("red", limit=4, collection=name)
    rest = loaded.search("red", limit=4, cursor=first.next, collection=name)
    assert (len(first), len(rest), rest.next) == (4, 2, None)
    assert len({hit.id for hit in [*first, *rest]}) == 6
    wide = loaded.search("red", min_width=65, taken_after=None, collection=name)
    assert len(wide) == 3 and all(hit.width == 65 for hit in wide)
    assert len(loaded.search("red", taken_after=datetime(2020, 1, 1), collection=name)) == 0
    like = loaded.similar(first[0])
    assert len(like) == 5 and like[0].id == first[1].id and first[0].id not in {hit.id for hit in like}
    assert [hit.id for hit in loaded.similar(first[0].id, collection=name)] == [hit.id for hit in like]
    assert len(loaded.search(like=first[0], min_score=0.9, collection=name)) == 1
    line = loaded.search("red -blue size:<0.01mp", limit=2, collection=name)
    assert {hit.id for hit in line} == {hit.id for hit in first[:2]}
    several = loaded.search(text=["red", "green"], like=[first[0], first[1].id], not_like=(first[5 - 2], (0, 0, 0.5, 1)), collection=name)
    assert set(several[0].parts) == {"text", "like", "not_like"} and len(several) == 3
    assert len(loaded.search("red", sort="imported", collapse="duplicates", limit=3, collection=name)) == 3


def test_notebooks_show_the_pictures(loaded: Any, name: str) -> None:
    hits = loaded.search("red", collection=name)
    assert hits._repr_html_().count('src="data:image/jpeg;base64,') == 6
    assert hits[:2]._repr_html_().count("<img") == 2
    assert repr(hits).splitlines()[0] == "6 hits" and repr(hits[0].path) in repr(hits)
    assert loaded.search("red", min_width=900, collection=name)._repr_html_() == "<p>Nothing found.</p>"


def test_single_pictures_are_added_looked_at_and_removed(loaded: Any, name: str) -> None:
    added = loaded.add([colour("white", (70, 50)), b"no picture"], collection=name, progress=False)
    assert (added.imported, added.failed) == (1, 1) and "not a picture" in added.failures[0].reason
    (white,) = shown = loaded.search("white", limit=1, collection=name)
    assert loaded.image(white.id, collection=name).width == 70
    page = loaded.images(limit=3, collection=name)
    assert page.images[0].id == white.id and len(loaded.images(cursor=page.next, collection=name).images) == 4
    assert loaded.thumbnail(white)[:2] == b"\xff\xd8" and loaded.thumbnail(white.id, size="large", collection=name)[:2] == b"\xff\xd8"
    copy = colour("white", (35, 25))
    loaded.add(copy, collection=name, progress=False)
    (same,) = loaded.duplicates(collection=name)
    assert [image.width for image in same] == [70, 35]
    done = loaded.remove(*same)
    assert (done.pictures, done.only_copies) == (2, 2)
    with pytest.raises(errors.NotFound, match=f"no image {white.id}"):
        loaded.image(white.id, collection=name)
    assert "(no thumbnail)" in shown._repr_html_()
    assert loaded.restore(done.trash).pictures == 2
    assert next(one.count for one in loaded.collections if one.name == name) == 8
    loaded.remove(*[image for image in loaded.images(collection=name).images if image.width in (70, 35)])
    assert next(one.count for one in loaded.collections if one.name == name) == 6


@pytest.mark.parametrize(
    ("ask", "error", "sentence"),
    [
        (lambda library, name: library.search(collection=name), errors.InvalidInput, "asks for nothing"),
        (lambda library, name: library.search("red", collection="nowhere"), errors.NotFound, "nowhere"),
        (lambda library, name: library.search("red", colour="red", collection=name), errors.InvalidInput, "unknown key 'colour'"),
        (lambda library, name: library.search("red", min_width="wide", collection=name), errors.InvalidInput, "min_width"),
        (lambda library, name: library.search("red", min_width=object(), collection=name), errors.InvalidInput, "object"),
        (lambda library, name: library.search("red", limit=0, collection=name), errors.InvalidInput, "limit"),
        (lambda library, name: library.search("red", limit=2.5, collection=name), errors.InvalidInput, "limit"),
        (lambda library, name: library.search("red", min_score="high", collection=name), errors.InvalidInput, "min_score"),
        (lambda library, name: library.search("red size:huge", collection=name), errors.InvalidInput, "size:huge"),
        (lambda library, name: library.search("\ud800", collection=name), errors.InvalidInput, "valid Unicode"),
        (lambda library, name: library.search("a\0b", collection=name), errors.InvalidInput, "valid Unicode"),
        (lambda library, name: library.search("red", weights="text", collection=name), errors.InvalidInput, "weights"),
        (lambda library, name: library.search("red", weights={"text": object()}, collection=name), errors.InvalidInput, "weights"),
        (lambda library, name: library.search("red", collections=7, collection=name), errors.InvalidInput, "collections is 7"),
        (lambda library, name: library.search("red", collections=["nowhere"], collection=name), errors.NotFound, "nowhere"),
        (lambda library, name: library.search("red", cursor="x", collection=name), errors.NotFound, "cursor"),
        (lambda library, name: library.search(7, collection=name), errors.InvalidInput, "query is of the type int"),
        (lambda library, name: library.search(sketch="/no/such.png", collection=name), errors.InvalidInput, "No such file"),
        (lambda library, name: library.search(sketch=b"", collection=name), errors.InvalidInput, ""),
        (lambda library, name: library.search(image=b"text", collection=name), errors.InvalidImage, "not a picture"),
        (lambda library, name: library.search(sketch=np.zeros((3, 3)), collection=name), errors.InvalidInput, "float64"),
        (lambda library, name: library.search(like=10**9, collection=name), errors.NotFound, "no image"),
        (lambda library, name: library.similar(None, collection=name), errors.InvalidInput, ""),
        (lambda library, name: library.thumbnail(10**9, collection=name), errors.NotFound, "no image"),
        (lambda library, name: library.add("/no/such/folder", collection=name), errors.NotFound, "/no/such/folder"),
        (lambda library, name: library.search("red", cursor=7, collection=name), errors.TsirError, "cursor"),
        (lambda library, name: library.search("red", collection="a/b"), errors.NotFound, "a/b"),
        (lambda library, name: library.search("red", collection=""), errors.NotFound, "''"),
        (lambda library, name: library.image(0, collection=name), errors.InvalidInput, "between 1"),
        (lambda library, name: library.image("first", collection=name), errors.InvalidInput, "by its id"),
        (lambda library, name: library.images(limit=2.5, collection=name), errors.InvalidInput, "limit"),
        (lambda library, name: library.restore("../nothing"), errors.NotFound, "nothing"),
        (lambda library, name: library.add("", collection=name), errors.NotFound, "''"),
        (lambda library, name: library.add([], collection=name), errors.InvalidInput, "Nothing to add"),
        (lambda library, name: library.add(3, collection=name), errors.InvalidInput, "int"),
        (lambda library, name: library.add(colour("red"), collection="no good name"), errors.InvalidInput, "no good name"),
    ],
)
def test_what_cannot_be_used_is_said(
    loaded: Any, name: str, ask: Callable[[Any, str], object], error: type[errors.TsirError], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        ask(loaded, name)
    assert sentence in str(raised.value) and str(raised.value)


def test_several_collections_are_searched_at_once(loaded: Any, name: str) -> None:
    other = f"{name}_other"
    added = loaded.add(colour("red", (90, 60)), collection=other, progress=False)
    assert added.imported == 1
    for collections in (other, [name, other], "all"):
        assert other in {hit.collection for hit in loaded.search("red", collection=name, collections=collections)}


def test_pictures_are_listed_by_conditions(loaded: Any, name: str) -> None:
    listed = loaded.images(sort="name", min_width=65, collection=name).images
    assert len(listed) == 3 and all(image.width == 65 for image in listed)
    assert [image.path for image in listed] == sorted(image.path for image in listed)
    assert loaded.images(ids=[], collection=name).images == []
    if not isinstance(loaded, tsir.Library):
        with pytest.raises(errors.InvalidInput, match="does not fit in an address"):
            loaded.images(ids=range(1, 10_000), min_bytes=2**52, collection=name, path="x" * 300, name="y" * 300, camera="%" * 300)
    for wrong in ({"sort": "size"}, {"min_width": "wide"}, {"colour": "red"}, {"limit": 0}):
        with pytest.raises(errors.InvalidInput, match=next(iter(wrong))):
            loaded.images(collection=name, **wrong)


def test_numbers_of_numpy_are_numbers(loaded: Any, name: str) -> None:
    some = np.array(reds(loaded, name))
    assert len(loaded.search("red", ids=some, min_width=np.int64(1), limit=np.int64(2), collection=name)) == 2


def test_a_mistake_in_a_line_has_its_place(loaded: Any, name: str) -> None:
    with pytest.raises(errors.InvalidInput) as raised:
        loaded.search("red size:huge", collection=name)
    assert raised.value.members == {"position": 4, "length": 9}


def test_opened_twice_it_is_one_library_and_another_process_is_told(tmp_path: Path) -> None:
    with tsir.open(tmp_path / "here", encoder=FakeEncoder()) as first:
        second = tsir.open(tmp_path / "here")
        second.close()
        assert first.collections == []
        with pytest.raises(errors.Conflict, match="other settings"):
            tsir.open(tmp_path / "here", top_k=7)
        with pytest.raises(errors.StoreUnavailable, match="closed"):
            _ = second.collections
    settings = Settings(data_dir=tmp_path / "here", _env_file=None)  # type: ignore[call-arg]
    with Library.open(settings):
        with pytest.raises(errors.Conflict, match="in use by another process"):
            tsir.open(tmp_path / "here")
        settings.server_note.write_text('{"url": "http://127.0.0.1:5000"}')
        with pytest.raises(errors.Conflict, match=r'tsir.Client\("http://127.0.0.1:5000"\)'):
            tsir.open(tmp_path / "here")
    (tmp_path / "file").touch()
    with pytest.raises(errors.InvalidInput, match="cannot be made"):
        tsir.open(tmp_path / "file")
    with pytest.raises(errors.InvalidInput, match="no setting 'modell'"):
        tsir.open(tmp_path / "here", modell="lite")


def test_import_is_light_and_a_program_that_forgets_to_close_ends(tmp_path: Path) -> None:
    code = """
import sys
import tsir
heavy = {"numpy", "PIL", "pydantic", "httpx", "sqlalchemy", "pymilvus", "rich", "typer"} & set(sys.modules)
assert not heavy, heavy
assert {"open", "Client", "AsyncClient"} <= set(dir(tsir))
from PIL import Image
from tests.fakes import FakeEncoder
library = tsir.open(sys.argv[1], encoder=FakeEncoder())
assert library.add([Image.new("RGB", (9, 9), "red")], progress=False).imported == 1
print(len(library.search("red")))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=250
    )
    assert (ended.stdout, ended.returncode) == ("1\n", 0), ended.stderr


class Away(BaseHTTPRequestHandler):
    """Is away for the first requests, and says for how long."""

    asked: list[bytes]
    answers: list[tuple[int, dict[str, str], bytes]]

    def _answer(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        status, headers, body = self.answers.pop(0)
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_what_is_no_address_and_no_key_is_said_at_once() -> None:
    for kind in (tsir.Client, tsir.AsyncClient):
        with pytest.raises(errors.InvalidInput, match="no address"):
            kind("http://[::1")
        for key in ("schlüssel", "two\nlines"):
            with pytest.raises(errors.InvalidInput, match="ASCII"):
                kind("http://127.0.0.1:5000", key)


def test_a_closed_client_says_so() -> None:
    client = tsir.Client("http://127.0.0.1:5000")
    client.close()
    client.close()
    with pytest.raises(errors.StoreUnavailable, match="closed"):
        client.search("red")
    awaited = Awaited(tsir.AsyncClient("http://127.0.0.1:5000"))
    awaited.aclose()
    with pytest.raises(errors.StoreUnavailable, match="closed"):
        awaited.search("red")
    awaited.close()


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_announced_absence_is_waited_for_and_all_else_is_told(kind: str) -> None:
    away = (503, {"Retry-After": "0"}, b'{"code": "store_unavailable", "detail": "Away."}')
    found = (
        200,
        {},
        json.dumps({"hits": [], "next": None, "cut": None, "hint": None, "took_ms": dict.fromkeys(STAGES, 0)}).encode(),
    )
    handler = type("Handler", (Away,), {"asked": [], "answers": [away, away, found]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with server:
        client: Any = tsir.Client(url, patience=5) if kind == "Client" else Awaited(tsir.AsyncClient(url, patience=5))
        assert len(client.search(sketch=colour("red"), collection="c")) == 0
        sent = [body.replace(body.split(b"\r\n", 1)[0], b"") for body in handler.asked]  # without the random boundaries
        assert len(sent) == 3 and sent[0] == sent[1] == sent[2] and b"PNG" in sent[0], "the drawing is sent anew"
        for answer, error, sentence in (
            ((503, {"Retry-After": "3600"}, away[2]), errors.StoreUnavailable, "Away."),
            ((503, {}, b"<html>"), errors.TsirError, "status 503"),
            ((401, {}, b'{"code": "api_key_needed", "detail": "A key."}'), errors.Unauthorized, "A key."),
        ):
            handler.answers.append(answer)
            with pytest.raises(error, match=sentence) as raised:
                client.search("red", collection="c")
            assert raised.value.status == answer[0]
        client.close()
        server.shutdown()
    client = tsir.Client(url) if kind == "Client" else Awaited(tsir.AsyncClient(url))
    with pytest.raises(errors.StoreUnavailable, match="Is it running"):
        _ = client.collections
    client.close()
