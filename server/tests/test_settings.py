import hashlib
import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tsir.settings import ApiKey, Settings


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


def test_roots_may_have_a_colon_in_their_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd, plain = tmp_path / "a:b", tmp_path / "c"
    odd.mkdir()
    assert fresh(monkeypatch, IMAGE_ROOTS=f"{plain}:{odd}:/d").roots == (plain, odd, Path("/d"))
    assert fresh(monkeypatch, IMAGE_ROOTS=json.dumps([f"{tmp_path}/x:y", "/d"])).roots == (tmp_path / "x:y", Path("/d"))
    assert [str(root.name) for root in fresh(monkeypatch, IMAGE_ROOTS="C:\\photos:/d").roots] == ["C:\\photos", "d"]
    with pytest.raises(ValidationError, match="JSON list"):
        fresh(monkeypatch, IMAGE_ROOTS='["/a", 5]')


def test_impossible_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="port"):
        fresh(monkeypatch, PORT="70000")


def test_keys_have_scopes_and_may_be_hashes() -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    for entry, writes in (
        ("secret", True),
        ("write:secret", True),
        ("read:secret", False),
        (f"sha256:{digest}", True),
        (f"read:sha256:{digest.upper()}", False),
    ):
        key = ApiKey.parse(entry)
        assert (key.digest.hex(), key.writes) == (digest, writes), entry


@pytest.mark.parametrize("entry", ["read:", "write: ", "sha256:abcd", "read:sha256:topsecret"])
def test_key_that_cannot_be_used_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    with pytest.raises(ValidationError, match="has an entry") as error:
        fresh(monkeypatch, API_KEYS=f"other-key,{entry}")
    assert "other-key" not in str(error.value) and "topsecret" not in str(error.value)


def test_path_of_a_proxy_is_tidied_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, meant in (("", ""), ("/", ""), ("photos", "/photos"), ("/my/photos/", "/my/photos")):
        assert fresh(monkeypatch, ROOT_PATH=given).root_path == meant
    for wrong in ('/"', "/a b", "/a/../b", "/a;b", "https://a.example/"):
        with pytest.raises(ValidationError, match="such as /photos"):
            fresh(monkeypatch, ROOT_PATH=wrong)


def test_who_reaches_a_container_is_decided_by_where_it_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fresh(monkeypatch).local
    assert not fresh(monkeypatch, HOST="0.0.0.0").local
    assert fresh(monkeypatch, HOST="0.0.0.0", PUBLISH="127.0.0.1").local
    assert not fresh(monkeypatch, HOST="0.0.0.0", PUBLISH="192.0.2.1").local
    assert not fresh(monkeypatch, HOST="0.0.0.0", PUBLISH="", ALLOW_OPEN="").allow_open
