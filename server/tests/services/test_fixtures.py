"""The real servers themselves: what tests of outages rely on."""

from __future__ import annotations

import numpy as np
import pymysql
import pytest
import sqlalchemy as sa
from pymilvus import MilvusClient

from tests.services.fixtures import MariaDB, Milvus, mysql_refuses

pytestmark = pytest.mark.services


def test_mariadb_keeps_what_was_written_through_a_kill_and_a_restart(mariadb_server: MariaDB, mariadb_url: str) -> None:
    engine = sa.create_engine(mariadb_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE names (name VARCHAR(10)) ENGINE=InnoDB"))
        connection.execute(sa.text("INSERT INTO names VALUES ('猫')"))
    with mariadb_server.down(kill=True), pytest.raises(sa.exc.OperationalError):
        engine.connect()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT name FROM names")).scalars().all() == ["猫"]


def test_a_frozen_mariadb_answers_again(mariadb_server: MariaDB) -> None:
    with mariadb_server.paused(), pytest.raises(pymysql.OperationalError):
        pymysql.connect(host="127.0.0.1", port=mariadb_server.port, user="root", connect_timeout=1, read_timeout=1)
    assert mariadb_server.answers()


def test_what_mysql_would_refuse_is_seen() -> None:
    refused = [
        "INSERT INTO images (id) VALUES (1) RETURNING id",
        "ALTER TABLE images ADD COLUMN IF NOT EXISTS a INT",
        "CREATE INDEX IF NOT EXISTS a ON images (id)",
        "UPDATE images SET state='a' WHERE id IN (SELECT images.id\nFROM images)",
        "DELETE FROM images WHERE EXISTS (SELECT * FROM locations JOIN images ON id = image_id)",
    ]
    taken = [
        "UPDATE images SET name=(SELECT name FROM locations WHERE image_id = images.id LIMIT 1)",
        "DELETE FROM images WHERE id IN (SELECT id FROM images_old)",
        "CREATE TABLE IF NOT EXISTS a (id INT)",
        "SELECT id FROM images WHERE id IN (SELECT id FROM images) FOR UPDATE",
    ]
    assert [statement for statement in [*refused, *taken] if mysql_refuses(statement)] == refused


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_milvus_keeps_what_was_written_through_an_outage(milvus_server: Milvus, milvus_uri: str, kill: bool) -> None:
    name = f"fixtures_{kill}"
    vectors = np.eye(8, dtype=np.float32)
    client = MilvusClient(uri=milvus_uri)
    client.create_collection(name, dimension=8, metric_type="COSINE", consistency_level="Strong")
    client.upsert(name, [{"id": i, "vector": vectors[i]} for i in range(8)])
    client.close()
    with milvus_server.down(kill=kill):
        assert not milvus_server.answers()
    client = MilvusClient(uri=milvus_uri)
    client.load_collection(name)
    hits = client.search(name, [vectors[3]], limit=2, consistency_level="Strong")
    assert hits[0][0]["id"] == 3
    client.drop_collection(name)
    client.close()
