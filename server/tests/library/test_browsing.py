"""Looking through a collection: every condition, every order, whole pages while pictures come and go."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.library.conftest import ENCODER, axis, new_image, search
from tsir.errors import NotFound
from tsir.library.library import Library
from tsir.library.nearest import Nearest
from tsir.records import Image, ImageMetadata, NewImage
from tsir.settings import Settings
from tsir.stopwatch import Stopwatch
from tsir.storage.filters import Filter
from tsir.storage.sql.engine import Database

NAMES = [
    "IMG_1.jpg",
    "img_2.JPG",
    "100%_real.png",
    "a[1].jpg",
    "Größe.jpg",
    "Gro\u0308ße.heic",
    'it\'s "here".gif',
    "x!y_z.webp",
    "back\\slash.jpg",
    "naïve ☃.jpg",
    "-- drop.jpg",
]
CAMERAS = [None, "Canon EOS 5D", "Google Pixel 8", "100% [cam]", "Ärger_1"]
PLACES = [None, (47.37, 8.54), (47.5, 8.7), (-17.7, 178.0), (-16.5, -179.9), (90.0, 0.0)]
START = datetime(2020, 1, 1, tzinfo=timezone.utc)


def item(n: int, folder: Path) -> NewImage:
    image = new_image(folder / ("one", "one/two", "three%")[n % 3] / f"{n:02}{NAMES[n % len(NAMES)]}", write=False)
    taken = None if n % 5 == 0 else START + timedelta(days=100 * (n % 7))
    latitude, longitude = PLACES[n % len(PLACES)] or (None, None)
    size = [(4000, 3000), (600, 800), (500, 500)][n % 3]
    facts = ImageMetadata(*size, ("JPEG", "PNG")[n % 2], taken, CAMERAS[n % len(CAMERAS)], latitude, longitude)
    return replace(image, metadata=facts, file=replace(image.file, bytes=1000 * n))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Forty pictures of all sorts in the collection "photos"."""
    folder = tmp_path_factory.mktemp("browsing")
    with Library.open(Settings(data_dir=folder / "data", _env_file=None)) as library:  # type: ignore[call-arg]
        fill(library, folder / "photos")
        yield library


def fill(library: Library, folder: Path) -> list[int]:
    library.create("photos", ENCODER)
    photos = library.collection("photos")
    ids = [begun.id for begun in photos.begin([item(n, folder) for n in range(40)])]
    photos.finish(ids, np.stack([axis(1, n / 10) for n in range(40)]))
    return ids


def everything(library: Library) -> list[Image]:
    return library.collection("photos").images(limit=1000)[0]


def like(text: str, pattern: str) -> bool:
    """What a pattern means, by another's code: nothing but * and ? is special."""
    pattern = pattern if "*" in pattern or "?" in pattern else f"*{pattern}*"
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def km(one: Image, latitude: float, longitude: float) -> float:
    facts = one.metadata
    if facts.latitude is None or facts.longitude is None:
        return math.inf
    a, b, c = math.radians(facts.latitude), math.radians(latitude), math.radians(facts.longitude - longitude)
    return 6371 * math.acos(max(-1.0, min(1.0, math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(c))))


def boxed(one: Image, south: float, west: float, north: float, east: float) -> bool:
    facts = one.metadata
    if facts.latitude is None or facts.longitude is None or not south <= facts.latitude <= north:
        return False
    return west <= facts.longitude <= east if west <= east else facts.longitude >= west or facts.longitude <= east


RULES: dict[str, Callable[[Image, Any], bool]] = {
    "name": lambda one, text: like(normalize("NFC", PurePosixPath(one.path).name).casefold(), text.casefold()),
    "path": lambda one, text: like(one.path, text),
    "camera": lambda one, text: one.metadata.camera is not None and like(one.metadata.camera.lower(), text.lower()),
    "folder": lambda one, folder: one.path.startswith(folder.rstrip("/") + "/"),
    "taken_after": lambda one, when: one.metadata.clock is not None and one.metadata.clock >= when.replace(tzinfo=None),
    "taken_before": lambda one, when: one.metadata.clock is not None and one.metadata.clock < when.replace(tzinfo=None),
    "imported_after": lambda one, when: one.created_at >= when,
    "imported_before": lambda one, when: one.created_at < when,
    "near": lambda one, place: km(one, place[0], place[1]) <= place[2],
    "box": lambda one, box: boxed(one, *box),
    "has_location": lambda one, known: one.metadata.located is known,
    "orientation": lambda one, name: (
        name == {1: "landscape", 0: "square", -1: "portrait"}[int(np.sign(one.metadata.width - one.metadata.height))]
    ),
    "min_width": lambda one, pixels: one.metadata.width >= pixels,
    "max_width": lambda one, pixels: one.metadata.width <= pixels,
    "min_height": lambda one, pixels: one.metadata.height >= pixels,
    "max_height": lambda one, pixels: one.metadata.height <= pixels,
    "min_megapixels": lambda one, many: one.metadata.width * one.metadata.height >= many * 1e6,
    "max_megapixels": lambda one, many: one.metadata.width * one.metadata.height <= many * 1e6,
    "min_bytes": lambda one, size: one.bytes >= size,
    "max_bytes": lambda one, size: one.bytes <= size,
    "formats": lambda one, names: one.metadata.format in names,
    "ids": lambda one, ids: one.id in ids,
}

fragments = st.sampled_from(["i", "IMG", "_", "%", "[", "]", "*", "?", "!", "'", '"', "\\", "ß", "ö", "snow", "☃", ".jpg", "-- ", "/", "0"])
patterns = st.lists(fragments, min_size=1, max_size=4).map("".join)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": patterns,
    "path": st.one_of(patterns, st.sampled_from(["*/one/*", "*/two/*.jpg", "*three%/1?*"])),
    "camera": st.one_of(patterns, st.sampled_from(["canon", "PIXEL 8", "100%", "ärger", "Ärger", "google*"])),
    "folder": st.sampled_from(["", "/", "one", "one/", "one/two", "three%", "three_", "on"]),  # below that of the photos
    "taken_after": st.integers(0, 700).map(lambda days: START + timedelta(days=days)),
    "taken_before": st.integers(-1_000_000, 700).map(lambda days: max(START + timedelta(days=max(days, -700_000)), START)),
    "imported_after": st.integers(-1, 1).map(lambda hours: datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=hours)),
    "imported_before": st.integers(-1, 1).map(lambda hours: datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=hours)),
    "near": st.tuples(
        st.sampled_from([47.0, 47.37, -17.0, 89.9]), st.sampled_from([8.54, 179.9, -179.0]), st.sampled_from([1.0, 25.0, 400.0])
    ),
    "box": st.sampled_from([(47.0, 8.0, 48.0, 8.6), (-20.0, 170.0, -10.0, -170.0), (-90.0, -180.0, 90.0, 180.0)]),
    "has_location": st.booleans(),
    "orientation": st.sampled_from(["landscape", "portrait", "square"]),
    **{f"{end}_{side}": st.sampled_from([0, 500, 600, 799, 3000, 4000]) for end in ("min", "max") for side in ("width", "height")},
    **{f"{end}_megapixels": st.sampled_from([0.0, 0.25, 0.48, 11.9, 12.0, 12.5]) for end in ("min", "max")},
    **{f"{end}_bytes": st.integers(0, 40_000) for end in ("min", "max")},
    "formats": st.sampled_from([("JPEG",), ("PNG", "JPEG"), ("GIF",)]),
    "ids": st.lists(st.integers(1, 45), max_size=5).map(tuple),
}
asked = st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
)


@given(values=asked)
@rules(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lists_and_searches_let_through_what_every_condition_says(many: Library, values: dict[str, Any]) -> None:
    root = many.settings.data_dir.parent / "photos"
    if "folder" in values:
        values = values | {"folder": values["folder"] if values["folder"] == "/" else str(root / values["folder"])}
    right = {one.id for one in everything(many) if all(RULES[name](one, value) for name, value in values.items())}
    filter = Filter(**values)
    photos = many.collection("photos")
    listed = [one.id for one in photos.images(filter=filter, limit=1000)[0]]
    assert listed == sorted(right, reverse=True)
    assert {hit.image.id for hit in photos.search(axis(1), 1000, filter=filter)} == right
    facets = photos.facets(filter)
    for counts in (facets.years, facets.folders, facets.cameras, facets.formats):
        assert (facets.total, sum(count.count for count in counts)) == (len(right), len(right))


FIXED: list[dict[str, Any]] = [
    {"name": "GRÖSSE"}, {"name": "*[1]*"}, {"name": "100%"}, {"name": "??img_?.jpg"}, {"name": "back\\slash"}, {"name": "'s \"h"},
    {"path": "*/one/*.jpg"}, {"path": "three%/"}, {"path": "*x!y_z*"}, {"camera": "PIXEL 8"}, {"camera": "100% [c"}, {"camera": "Ärger_1"},
    {"near": (47.37, 8.54, 25.0)}, {"near": (-17.0, 180.0, 400.0)}, {"box": (-20.0, 170.0, -10.0, -170.0)}, {"box": (47.0, 8.0, 48.0, 8.6)},
    {"has_location": False}, {"orientation": "square"}, {"taken_after": START}, {"taken_before": START + timedelta(days=300)},
    {"imported_after": START}, {"imported_before": START}, {"min_width": 600}, {"max_width": 600}, {"min_height": 800}, {"max_height": 800},
    {"min_megapixels": 0.48}, {"max_megapixels": 0.48}, {"min_bytes": 20_000}, {"max_bytes": 20_000},
    {"formats": ("PNG",)}, {"ids": (1, 3)},
]  # fmt: skip


def test_every_condition_means_the_same_on_servers(library: Library, photos_folder: Path) -> None:
    fill(library, photos_folder)
    images, photos = everything(library), library.collection("photos")
    assert {name for values in FIXED for name in values} | {"missing", "folder"} == set(RULES) | {"missing"}
    search(library, "photos", axis(1), 1)
    for values in FIXED:
        right = {one.id for one in images if all(RULES[name](one, value) for name, value in values.items())}
        assert {one.id for one in photos.images(filter=Filter(**values))[0]} == right, values
        assert {hit.image.id for hit in photos.search(axis(1), 100, filter=Filter(**values))} == right, values
    facets = photos.facets()
    assert [sum(count.count for count in counts) for counts in (facets.years, facets.folders, facets.cameras, facets.formats)] == [40] * 4
    assert {count.value for count in facets.folders} == {str(photos_folder / folder) for folder in ("one", "one/two", "three%")}


def test_every_condition_has_a_rule() -> None:
    assert set(RULES) | {"missing"} == set(Filter.__dataclass_fields__)


def test_facets_count_years_folders_cameras_and_formats(many: Library) -> None:
    facets, images = many.collection("photos").facets(), everything(many)
    years = [str(one.metadata.taken_at.year) if one.metadata.taken_at else None for one in images]
    assert {count.value: count.count for count in facets.years} == {year: years.count(year) for year in set(years)}
    assert [count.value for count in facets.years] == ["2021", "2020", None]
    folders = [str(PurePosixPath(one.path).parent) for one in images]
    assert {count.value: count.count for count in facets.folders} == {folder: folders.count(folder) for folder in set(folders)}
    cameras = [one.metadata.camera for one in images]
    assert {count.value: count.count for count in facets.cameras} == {camera: cameras.count(camera) for camera in set(cameras)}
    assert {count.value: count.count for count in facets.formats} == {"JPEG": 20, "PNG": 20}


@pytest.mark.parametrize("most", [1_000, 20])
def test_more_pictures_than_are_named_to_the_vector_store_are_found_all_the_same(many: Library, most: int) -> None:
    photos = many.collection("photos")
    far = Filter(camera="canon", min_bytes=20_000)
    right = [hit.image.id for hit in photos.search(axis(1), 50, filter=far)]
    assert len(right) == 4
    nearest = Nearest(many.stores, photos.ref, lambda: photos.ref, far, Stopwatch(), named=3, most=most)
    assert [hit.image.id for hit in nearest.hits(axis(1)[None], 2, 0)[0]] == right[:2]


class Paging(RuleBasedStateMachine):
    """Pictures come, go and get other names while somebody pages through: none of those that stay is left out or seen twice."""

    def __init__(self) -> None:
        super().__init__()
        self.photos = PAGED[0].collection("photos")
        self.folder = PAGED[0].settings.data_dir.parent / "photos"
        for image in self.photos.images(limit=1000)[0]:
            self.photos.delete([image.id])
        self.number = 0
        self.readers: dict[tuple[Any, Any], tuple[str | None, list[Image], set[int]]] = {}
        for _ in range(6):
            self.come(self.number * 7 % 11)

    def key(self, sort: str, image: Image) -> Any:
        name = PurePosixPath(image.path).name.casefold()
        return {"imported": (), "name": (name,), "taken": (image.metadata.taken_at,)}[sort]

    @rule(spread=st.integers(0, 12))
    def come(self, spread: int) -> None:
        self.number += 1
        made = item(spread, self.folder)
        path = f"{self.folder}/{spread}/{self.number}.jpg"
        made = replace(made, content_hash=f"{self.number:064}", file=replace(made.file, path=path))
        (begun,) = self.photos.begin([made])
        self.photos.finish([begun.id], axis(1)[None])

    @rule(which=st.integers(0, 50))
    def go(self, which: int) -> None:
        if images := self.photos.images(limit=1000)[0]:
            gone = images[which % len(images)].id
            self.photos.delete([gone])
            for _, _, stays in self.readers.values():
                stays.discard(gone)

    @rule(sort=st.sampled_from(["imported", "taken", "name"]), order=st.sampled_from([None, "asc", "desc"]))
    def begin(self, sort: Any, order: Any) -> None:
        self.readers[sort, order] = (None, [], {image.id for image in self.photos.images(limit=1000)[0]})
        self.turn(sort, order)

    @rule(sort=st.sampled_from(["imported", "taken", "name"]), order=st.sampled_from([None, "asc", "desc"]))
    def turn(self, sort: Any, order: Any) -> None:
        if (sort, order) not in self.readers:
            return
        cursor, seen, stays = self.readers[sort, order]
        page, following = self.photos.images(cursor, 2, sort=sort, order=order)
        seen = [*seen, *page]
        assert len({image.id for image in seen}) == len(seen)
        dated = [image for image in seen if sort != "taken" or image.metadata.taken_at]
        turned = [(*self.key(sort, image), image.id) for image in dated]
        assert turned == sorted(turned, reverse=(order or ("asc" if sort == "name" else "desc")) == "desc")
        assert dated == seen[: len(dated)]
        if following is None:
            assert stays <= {image.id for image in seen}
            del self.readers[sort, order]
        else:
            self.readers[sort, order] = (following, seen, stays)

    @invariant()
    def facets_add_up(self) -> None:
        assert self.photos.facets().total == len(self.photos.images(limit=1000)[0])


PAGED: list[Any] = []


def test_pages_stay_whole_while_pictures_come_and_go(tmp_path: Path) -> None:
    with Library.open(Settings(data_dir=tmp_path / "data", _env_file=None)) as library:  # type: ignore[call-arg]
        library.create("photos", ENCODER)
        PAGED[:] = [library]
        run_state_machine_as_test(Paging, settings=rules(max_examples=4, stateful_step_count=20, deadline=None, derandomize=True))  # type: ignore[no-untyped-call]


def test_a_cursor_belongs_to_its_filter_and_order(many: Library) -> None:
    photos = many.collection("photos")
    _, cursor = photos.images(limit=3, sort="name")
    for other in ({"sort": "taken"}, {"sort": "name", "order": "desc"}, {"sort": "name", "filter": Filter(min_width=1)}, {}):
        with pytest.raises(NotFound, match="cursor"):
            photos.images(cursor, 3, **other)


def test_names_follow_the_places_of_a_picture(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    photos = library.collection("photos")
    photos.finish([photos.begin([new_image(photos_folder / "zoo/Bee.jpg", "a")])[0].id], axis(1)[None])
    photos.finish([photos.begin([new_image(photos_folder / "cow.jpg", "b")])[0].id], axis(1)[None])
    photos.begin([new_image(photos_folder / "Ant.jpg", "b")])

    def listed(**asked: Any) -> list[str]:
        return [Path(image.path).name for image in photos.images(filter=Filter(**asked), sort="name")[0]]

    assert listed() == ["Bee.jpg", "cow.jpg"]
    assert listed(name="ant") == listed(name="COW*") == ["cow.jpg"]
    (photos_folder / "cow.jpg").unlink()
    photos.sweep(photos_folder)
    assert listed() == ["Ant.jpg", "Bee.jpg"]
    assert listed(name="cow") == []
    (photos_folder / "zoo/Bee.jpg").unlink()
    photos.sweep(photos_folder)
    assert listed() == ["Ant.jpg"]
    assert listed(missing="true", name="bee", folder=str(photos_folder / "zoo")) == ["Bee.jpg"]
    assert [hit.image.path for hit in search(library, "photos", axis(1), 5, filter=Filter(missing=True, name="b?e*", near=None))] == [
        str(photos_folder / "zoo/Bee.jpg")
    ]


def test_names_are_there_in_a_catalog_of_the_version_before(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        fill(library, photos_folder)
        before = [image.id for image in library.collection("photos").images(sort="name")[0]]
    database = Database(settings)
    for statement in (
        "DROP INDEX ix_images_name ON images",
        "DROP INDEX ix_images_taken ON images",
        "ALTER TABLE images DROP COLUMN name",
        "ALTER TABLE locations DROP COLUMN name",
        "UPDATE alembic_version SET version_num = '0002'",
    ):
        words = statement.partition(" ON ")[0] if database.embedded else statement
        database.write(lambda connection, words=words: connection.execute(sa.text(words)))  # type: ignore[misc]
    database.close()
    with Library.open(settings) as library:
        assert [image.id for image in library.collection("photos").images(sort="name")[0]] == before
        found = library.collection("photos").images(filter=Filter(name="grÖSSE"))[0]
        assert {Path(image.path).name[2:] for image in found} == {"Größe.jpg", "Gro\u0308ße.heic"}
