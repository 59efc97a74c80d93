"""Whole servers, killed again and again while they import: in the end every picture is there once."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.processes import Site, wait_for
from tests.services.fixtures import MariaDB, Milvus
from tests.trials import idle, picture, run, stored, uploading
from tsir.library.check import check
from tsir.library.library import Library
from tsir.settings import Settings
from tsir.storage.sql.schema import jobs

KILLS = int(os.environ.get("TSIR_KILLS", "3"))
"""Imports on the embedded stores; on servers, where each takes several times as long, half as many."""
PICTURES = 250
LONGEST_S = 1.5
"""Until the kill, or until a store that was taken away is back: an import takes about as long."""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the minute without a sign of life tells")


@LINUX
@pytest.mark.parametrize("settings", [pytest.param("services", marks=pytest.mark.services)], indirect=True)
def test_job_of_a_killed_server_falls_to_another_one(settings: Settings, photos_folder: Path, tmp_path: Path) -> None:
    assert settings.milvus_uri and settings.database_url
    environment = {
        "IMAGE_ROOTS": str(photos_folder),
        "MILVUS_URI": settings.milvus_uri,
        "DATABASE_URL": settings.database_url.get_secret_value(),
    }
    draw = np.random.default_rng(0)
    for number in range(PICTURES):
        (photos_folder / f"{number:03}.png").write_bytes(picture(draw))
    sites = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        sites.append(Site(tmp_path / name, "serve", **environment))
    first, second = sites
    try:
        first.start()
        job = first.http.post("/api/v1/collections/tsir/imports", json={"path": str(photos_folder)}).json()
        wait_for(lambda: first.http.get(f"/api/v1/jobs/{job['id']}").json()["state"] != "queued", first.log)
        first.end(signal.SIGKILL)
        with Library.open(settings) as library:  # its last sign of life will not be old today
            statement = jobs.update().values(heartbeat=datetime.now() + timedelta(days=1))
            library.stores.catalog.database.write(lambda connection: connection.execute(statement))
        second.start()
        wait_for(idle(second), second.log)
        assert second.http.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done"
        assert second.end(signal.SIGTERM) == 0
    finally:
        for site in sites:
            if site.process is not None:
                site.end(signal.SIGKILL)
            site.http.close()
    with Library.open(settings) as library:
        assert len(stored(library)) == PICTURES


@pytest.mark.timeout(300 + 90 * KILLS)
def test_imports_killed_at_random_moments_lose_and_double_nothing(
    settings: Settings, photos_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(10**6)
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    stores: list[MariaDB | Milvus] = []
    turns = KILLS
    environment = {"IMAGE_ROOTS": str(photos_folder)}
    if settings.milvus_uri and settings.database_url:
        environment |= {"MILVUS_URI": settings.milvus_uri, "DATABASE_URL": settings.database_url.get_secret_value()}
        turns = max(1, KILLS // 2)
        stores = [request.getfixturevalue("milvus_server"), request.getfixturevalue("mariadb_server")]
    site = Site(tmp_path, "serve", **environment)
    expected: set[str] = set()
    site.start()
    try:
        for turn in range(turns):
            folder = photos_folder / f"{turn:03}"
            folder.mkdir()
            for number in range(PICTURES):
                data = picture(draw)
                (folder / f"{number:03}.png").write_bytes(data)
                expected.add(hashlib.sha256(data).hexdigest())
            job = site.http.post("/api/v1/collections/tsir/imports", json={"path": str(folder)})
            assert job.status_code == 202, job.text
            with uploading(site, draw) as acknowledged:
                time.sleep(rng.uniform(0, LONGEST_S))
                if stores and turn % 5 > 2:
                    with stores[turn % 5 - 3].down(kill=rng.random() < 0.5):
                        time.sleep(rng.uniform(0, LONGEST_S))
                else:
                    site.end(signal.SIGKILL)
                    site.start()
            expected |= acknowledged
            wait_for(idle(site), site.log)
        assert site.end(signal.SIGTERM) == 0
    finally:
        if site.process is not None:
            site.end(signal.SIGKILL)
        site.http.close()

    with Library.open(settings) as library:
        images = stored(library)
        times = Counter(image.content_hash for image in images)
        assert not expected - set(times), f"pictures are missing (seed {seed})"
        assert set(times.values()) == {1}, f"pictures are there twice (seed {seed})"
        assert all(library.files.thumbnails.find(image.content_hash, size) for image in images for size in ("small", "large"))
        report = check(library)
        assert report.clean, (seed, report)
        assert report.images == report.vectors == len(images)


@pytest.mark.parametrize("settings", ["embedded"], indirect=True)
def test_vectors_that_are_removed_or_spoiled_while_it_is_away_cost_nothing(settings: Settings) -> None:
    assert run("vectors", max(1, KILLS // 10), random.randrange(10**6)) is None  # `python -m tests.trials` tries more
