"""The whole system on Milvus standalone and MariaDB instead of the embedded stores."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from tests.e2e.conftest import FAKE, Site, ask
from tests.e2e.hands import draw, expect_hits, expect_marks, oval, part, scores, words

pytestmark = [pytest.mark.e2e, pytest.mark.services]


def test_drawing_and_words_find_pictures_in_milvus_and_mariadb(
    new_site: Callable[..., Site], mariadb_url: str, milvus_uri: str, page: Page
) -> None:
    address = sa.make_url(mariadb_url)
    settings = {"MYSQL_HOST": address.host, "MYSQL_PORT": str(address.port), "MYSQL_USER": "root", "MYSQL_DB": address.database}
    site = new_site(command=FAKE, MILVUS_URI=milvus_uri, **settings)
    assert site.load("tsir") >= 100
    page.goto(site.gui)
    draw(page, oval(0.5, 0.5, 0.36, 0.25))
    expect_marks(page, 1)
    words(page).fill("a plate of food")
    expect_hits(page)
    expect(part(page, "text")).to_be_visible()
    expect(part(page, "sketch")).to_be_visible()
    shown = scores(page)
    assert len(shown) >= 20 and shown == sorted(shown, reverse=True)
    data = site.folder / "data"
    assert not (data / "catalog.db").exists() and not (data / "vectors.db").exists()
    assert ask("DELETE", f"{site.api}/api/v1/collections/tsir")[0] == 200
    site.stop()  # its stores are about to go
