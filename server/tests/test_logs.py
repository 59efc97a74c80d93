"""What is logged, and how."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.api.conftest import start
from tsir import logs
from tsir.settings import Settings

Told = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """The lines of JSON that were logged since the last call. Logging is as before in the end."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    # What native libraries write there by themselves is no log.
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


def test_every_line_of_a_request_carries_its_id(settings: Settings, photos: Path, told: Told) -> None:
    chosen = settings.model_copy(update={"log_format": "json", "api_keys": SecretStr("correct-horse")})
    with start(chosen) as client:
        logs.start(chosen)
        told()
        answer = client.get("/api/v1/collections?q=1", headers={"X-API-Key": "correct-horse", "X-Request-Id": "proxy-7.a"})
        assert answer.headers["x-request-id"] == "proxy-7.a"
        (line,) = [line for line in told() if line["logger"] == "tsir.access"]
        assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/api/v1/collections", 200, "proxy-7.a")
        assert line["ms"] >= 0 and line["level"] == "INFO" and line["time"].endswith("+00:00")
        for wrong in ("", "a b", "x" * 101, "<b>", "../../etc", "ü"):
            made = client.get("/nothing", headers=[(b"x-request-id", wrong.encode())]).headers["x-request-id"]  # type: ignore[arg-type]
            assert re.fullmatch("[0-9a-f]{16}", made), wrong
            assert [line["request_id"] for line in told() if line["logger"] == "tsir.access"] == [made]
        refused = client.get("/api/v1/collections/none", headers={"X-Request-Id": "r1"})
        assert (refused.status_code, refused.headers["x-request-id"]) == (401, "r1")
    logging.getLogger("tsir").warning("after")
    assert all("request_id" not in line for line in told() if line["message"] == "after")


def test_threads_that_work_for_a_request_name_it(settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    from tsir.library.library import Library

    chosen = settings.model_copy(update={"log_format": "json"})

    def broken(self: object) -> None:
        logging.getLogger("tsir.library").warning("in a thread")
        raise RuntimeError("broken")

    with start(chosen) as client:
        logs.start(chosen)
        client.event_hooks["response"].clear()
        monkeypatch.setattr(Library, "collections", broken)
        answer = client.get("/api/v1/collections", headers={"X-Request-Id": "abc"})
        assert answer.status_code == 500 and "abc" in answer.json()["detail"]
        lines = {line["message"].split(":")[0]: line for line in told()}
    assert lines["in a thread"]["request_id"] == "abc"
    assert "RuntimeError: broken" in lines["Defect abc"]["exception"]


def test_secrets_stand_in_no_line(settings: Settings, told: Told) -> None:
    chosen = settings.model_copy(
        update={
            "log_format": "json",
            "api_keys": SecretStr("first-key, read:second-key"),
            "mysql_pwd": SecretStr("p4ssw0rd"),
            "milvus_token": SecretStr("root:m1lvus"),
            "database_url": SecretStr("mysql+pymysql://me:s3cret@sql/pictures"),
        }
    )
    for format in ("json", "text"):
        logs.start(chosen.model_copy(update={"log_format": format}))
        log = logging.getLogger("tsir.somewhere")
        log.warning("%s and second-key; p4ssw0rd m1lvus", "first-key")
        log.warning("mysql+pymysql://me:s3cret@sql/pictures: no; GET /data?image_path=a&key=unknown-key&x=1")
        try:
            raise ValueError("first-key")
        except ValueError:
            log.exception("trouble")
        if format == "json":
            text = json.dumps(told())
            for secret in ("first-key", "second-key", "p4ssw0rd", "m1lvus", "s3cret", "unknown-key"):
                assert secret not in text
            assert "image_path=a&key=***&x=1" in text


def test_text_cannot_break_its_line(settings: Settings, capsys: pytest.CaptureFixture[str], told: Told) -> None:
    logs.start(settings)
    logging.getLogger("tsir").warning("GET /a\n2026 ERROR forged \x1b]0;title\x07 %s", "\u009b")
    assert capsys.readouterr().err.splitlines()[0].endswith(r"GET /a\n2026 ERROR forged \x1b]0;title\x07 \x9b")
