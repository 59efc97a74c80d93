import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tsir.settings import Settings


def fresh(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings(_env_file=None)  # type: ignore[call-arg]


def test_reference_names_choose_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = fresh(
        monkeypatch, MILVUS_HOST="db", MILVUS_PORT="19531", MYSQL_HOST="sql", MYSQL_USER="me", MYSQL_PWD="p@ss/word", MYSQL_DB="pictures"
    )
    assert settings.vectors_uri == "http://db:19531"
    assert not settings.vectors_embedded
    assert settings.catalog_url == "mysql+pymysql://me:p%40ss%2Fword@sql:3306/pictures?charset=utf8mb4"


def test_defaults_are_embedded_and_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = fresh(monkeypatch, DATA_DIR=str(tmp_path))
    assert settings.vectors_embedded
    assert settings.vectors_uri == str(tmp_path / "vectors.db")
    assert settings.catalog_url == f"sqlite:///{tmp_path / 'catalog.db'}"
    assert settings.host == "127.0.0.1"
    assert settings.roots == ()


def test_empty_values_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = fresh(monkeypatch, MILVUS_URI="", DATABASE_URL="", API_KEYS="", MYSQL_HOST="")
    assert settings.vectors_embedded
    assert settings.catalog_url.startswith("sqlite")
    assert settings.keys == ()


def test_roots_and_keys_are_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = fresh(monkeypatch, IMAGE_ROOTS=os.pathsep.join([str(tmp_path), "", str(tmp_path / "b")]), API_KEYS="key-1, key-2")
    assert settings.roots == (tmp_path, tmp_path / "b")
    assert settings.keys == ("key-1", "key-2")
    assert "key-1" not in repr(settings)


def test_impossible_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="port"):
        fresh(monkeypatch, PORT="70000")
