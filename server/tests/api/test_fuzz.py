"""Whatever is sent: an answer with a sentence, and never a 500."""

import json
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from tests.api.conftest import picture, start
from tsir.settings import Settings


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("fuzz")
    with start(Settings(data_dir=folder / "data", image_roots=str(folder), _env_file=None)) as client:  # type: ignore[call-arg]
        client.post("/img/upload", files={"image": ("a.png", picture("red"))})
        yield client


ODD = ["", "0", "-1", "1", "tsir", "NaN", "1e400", "../..", "%00", "\0", "null", "{}", "[]", "'\"", str(2**64), "\ud800", "red"]
leaves = st.none() | st.booleans() | st.floats() | st.text(max_size=5)
documents = st.recursive(leaves, lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=3)).map(json.dumps)
odd = st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str), st.sampled_from(ODD), documents)
FIELDS = (
    *("text", "not_text", "like", "weights", "filter", "limit", "cursor", "min_score", "text_query", "topk", "table_name"),
    *("image_path", "size", "v", "key", "collection", "sketch", "image", "files", "path", "urls", "File", "Table", "encoder"),
)


def operations(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    skipped = {"/img/drop"}  # and deletions: everything else would be missing for the rest of the test
    return sorted((method, path) for path, known in paths.items() for method in known if path not in skipped and method != "delete")


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@given(data=st.data())
@rules(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_makes_the_server_fail(site: TestClient, data: Any) -> None:
    method, template = data.draw(st.sampled_from(operations(site)), label="operation")
    path = template
    for part in ("name", "id"):
        usual = st.just("tsir" if part == "name" else "1")
        path = path.replace(f"{{{part}}}", encoded(data.draw(st.one_of(usual, usual, odd), label=part)))
    query = data.draw(st.dictionaries(st.sampled_from(FIELDS), odd, max_size=3), label="query")
    address = path + "?" + "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query.items())
    arguments: dict[str, Any] = {}
    if method != "get":
        kind = data.draw(st.sampled_from(["form", "json", "bytes", "none"]), label="kind")
        fields = data.draw(st.dictionaries(st.sampled_from(FIELDS), odd, max_size=4), label="fields")
        fields = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
        if kind == "form":
            files = {}
            if data.draw(st.booleans(), label="file"):
                content = data.draw(st.sampled_from([picture("red"), b"", b"junk", picture()[:50]]), label="content")
                files = {data.draw(st.sampled_from(["sketch", "image", "files", "text"]), label="field"): ("ü\n.png", content)}
            arguments = {"data": fields, "files": files}
        elif kind == "json":
            arguments = {"json": fields}
        elif kind == "bytes":
            types = ["application/json", "multipart/form-data; boundary=x", "text/plain", "multipart/form-data", "", string.punctuation]
            arguments = {"content": data.draw(st.binary(max_size=60)), "headers": {"Content-Type": data.draw(st.sampled_from(types))}}
    answer = site.request(method, address, **arguments)
    assert answer.status_code != 500, answer.text
    if answer.status_code >= 400 and answer.status_code != 503:
        body = answer.json()
        assert body.get("detail") or body.get("msg")
