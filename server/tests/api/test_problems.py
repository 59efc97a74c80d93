"""Errors name their kind by a code that stays, beside the sentence."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.requests import ClientDisconnect

from tests.api.conftest import start
from tsir import errors
from tsir.api.guard import Guard
from tsir.api.problems import add_handlers
from tsir.errors import TsirError
from tsir.settings import Settings

TSIR = "/api/v1/collections/tsir"
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TsirError)]


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "code"),
    [
        ("GET", "/api/v1/nothing", {}, 404, "no_such_address"),
        ("PATCH", "/api/v1/system", {}, 405, "method_not_allowed"),
        ("POST", f"{TSIR}/imports", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        ("POST", f"{TSIR}/search", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "unreadable_body"),
        ("POST", f"{TSIR}/search", {"data": {"text": "red", "limit": "many"}}, 422, "invalid_input"),
        ("POST", f"{TSIR}/search", {"data": {"text": "red", "filter": '{"colour": 1}'}}, 422, "invalid_input"),
        ("POST", f"{TSIR}/search", {"files": {"image": ("a.jpg", b"no picture")}}, 422, "invalid_image"),
        ("GET", "/api/v1/collections/none", {}, 404, "not_found"),
        ("POST", f"{TSIR}/imports", {"json": {"path": "/etc"}}, 403, "forbidden"),
    ],
)
def test_a_problem_has_a_code(client: TestClient, method: str, path: str, request_: dict[str, Any], status: int, code: str) -> None:
    answer = client.request(method, path, **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_missing_key_has_a_code(settings: Settings) -> None:
    with start(settings.model_copy(update={"api_keys": SecretStr("0123456789abcdef")})) as client:
        assert client.get("/api/v1/system").json()["code"] == "api_key_needed"


def test_the_references_routes_answer_as_before(client: TestClient) -> None:
    answer = client.post("/img/load", json={"File": "/etc"})
    assert answer.status_code == 403
    assert set(answer.json()) == {"status", "msg"}


@pytest.fixture(scope="module")
def failing() -> TestClient:
    """An app that raises whatever its address names."""
    app = FastAPI()
    add_handlers(app)
    app.add_middleware(Guard, settings=Settings(_env_file=None))  # type: ignore[call-arg]

    @app.get("/{name}")
    def fail(name: str) -> None:
        if name == "ClientDisconnect":
            raise ClientDisconnect
        raise next((kind(f"A sentence of {name}.") for kind in KINDS if kind.__name__ == name), RuntimeError(name))

    return TestClient(app)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_is_answered_with_its_code(failing: TestClient, kind: type[TsirError]) -> None:
    answer = failing.get(f"/{kind.__name__}")
    body = answer.json()
    assert (answer.status_code, body["code"], body["title"]) == (kind.status, kind.code, kind.title)
    assert body["detail"] == f"A sentence of {kind.__name__}."


def test_codes_tell_kinds_of_errors_apart() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", kind.code) for kind in KINDS)


def test_a_defect_has_a_code(failing: TestClient) -> None:
    answer = failing.get("/RuntimeError")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


def test_a_client_that_leaves_is_no_defect(failing: TestClient) -> None:
    answer = failing.get("/ClientDisconnect")
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_body")


def test_a_store_that_refuses_is_not_asked_again(failing: TestClient) -> None:
    assert "retry-after" not in failing.get("/StoreRefused").headers
    assert failing.get("/StoreUnavailable").headers["retry-after"]
