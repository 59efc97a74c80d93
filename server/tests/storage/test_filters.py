"""The table of filters, and what derives from it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.storage.conftest import WIDER, Picture, Wider, picture
from tsir.errors import Conflict, InvalidInput
from tsir.records import ImageMetadata
from tsir.searching.language import parse as line
from tsir.storage import columns, filters
from tsir.storage.filters import Filter, conditions, expression, parse
from tsir.storage.milvus.schema import SCHEMA


def test_a_filter_that_asks_nothing_has_no_expression() -> None:
    assert expression(None, True) == expression(Filter(), True) == expression(Filter(formats=()), False) == ""


@pytest.mark.parametrize("embedded", [True, False])
def test_expressions_name_columns_and_hash_what_people_wrote(embedded: bool) -> None:
    asked = expression(Filter(min_width=800, formats=("jpeg", "GIF", "JPEG"), folder="/photos/"), embedded)
    hashed = columns.folder_hash("/photos")
    folder = f'folders like "%|{hashed:016x}%"' if embedded else f"array_contains(folders, {hashed})"
    assert asked == f'width >= 800 and format in ["GIF", "JPEG"] and {folder}'


def test_times_without_a_zone_are_utc() -> None:
    naive, aware = datetime(2024, 6, 1), datetime(2024, 6, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert expression(Filter(taken_after=naive), True) == expression(Filter(taken_after=aware), True) == "taken >= 1717200000000"
    assert parse({"taken_after": "2024-06-01"}) == parse({"taken_after": "2024-06-01T02:00:00+02:00"})


@pytest.mark.parametrize(
    ("said", "meant"), [("2024", "2024-01-01"), ("2024-6", "2024-06-01"), ("2024-6-1", "2024-06-01"), ("9999", "9999-01-01")]
)
def test_a_year_or_a_month_is_its_begin_wherever_it_is_said(said: str, meant: str) -> None:
    moment = parse({"taken_after": f"{meant}T00:00:00Z"})
    assert parse({"taken_after": said}) == line(f"after:{said}").filter == moment


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"colour": "red"}, "unknown key 'colour'; known are taken_after, taken_before, min_width"),
        ({"min_width": True}, "min_width is true; it must be a number of pixels between 0 and 1000000"),
        ({"min_height": 10**9}, "min_height is 1000000000"),
        ({"taken_before": 7}, "taken_before is 7; it must be a time such as 2024, 2024-06, 2024-06-01 or 2024-06-01T12:00:00Z"),
        ({"taken_before": "9999-12-31T23:59:59-23:00"}, "a time such as"),
        ({"orientation": ["landscape"]}, 'it must be "landscape", "portrait" or "square"'),
        ({"formats": ["JPEG"] * 21}, 'it must be a list of names such as \\["JPEG", "PNG"\\]'),
        ({"formats": [7]}, "a list of names"),
        ({"has_location": "yes"}, 'has_location is "yes"; it must be true or false'),
        ({"folder": 7}, "folder is 7; it must be the path of a folder"),
        ({"folder": "photos"}, "The folder 'photos' is not absolute"),
        ({"folder": "/\udcff"}, "is not valid Unicode"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(values: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse(values)


def test_null_is_no_condition() -> None:
    assert parse({"min_width": None, "formats": None}) == Filter()


def test_rows_hold_what_the_conditions_ask() -> None:
    shot = Picture(
        ImageMetadata(640, 480, "JPEG", datetime(1970, 1, 1, 0, 0, 1), "Canon", 1.0, 2.0), ("/photos/a.jpg", "/photos/more/a.jpg")
    )
    served, embedded = (SCHEMA.row(1, where)(shot) for where in (False, True))
    folders = served.pop("folders")
    assert isinstance(folders, list)
    assert folders == sorted(columns.folder_hash(folder) for folder in ("/", "/photos", "/photos/more"))
    assert embedded.pop("folders") == "".join(f"|{value:016x}" for value in folders)
    assert served == embedded == {"taken": 1000, "width": 640, "height": 480, "shape": 1, "format": "JPEG", "located": True}
    assert SCHEMA.row(1, True)(picture())["taken"] == columns.NO_DATE


def test_every_condition_has_words_and_a_schema() -> None:
    schema = filters.json_schema()
    assert list(schema["properties"]) == list(conditions())
    for name, condition in conditions().items():
        assert condition.label
        assert condition.help.endswith(".")
        assert schema["properties"][name]["description"] == condition.help
        assert {"type", "anyOf"} & set(schema["properties"][name])
    assert schema["properties"]["orientation"]["enum"] == ["landscape", "portrait", "square"]
    assert schema["additionalProperties"] is False


def test_a_field_more_is_read_asked_stored_and_described() -> None:
    assert parse({"maker": "Canon"}, Wider) == Wider(maker="Canon")
    with pytest.raises(InvalidInput, match='maker is "Leica"; it must be "Canon" or "Camera"'):
        parse({"maker": "Leica"}, Wider)
    assert expression(Wider(maker="Canon", min_width=3), True) == 'width >= 3 and maker == "Canon"'
    assert WIDER.version == SCHEMA.version + 1
    before, after = (set(WIDER.row(version, True)(picture(camera="Canon"))) for version in (SCHEMA.version, WIDER.version))
    assert after - before == {"maker"}
    assert filters.json_schema(Wider)["properties"]["maker"]["enum"] == ["Canon", "Camera"]


def test_a_collection_that_is_too_old_for_a_condition_is_searched_without_it() -> None:
    assert expression(Wider(min_width=3), True, SCHEMA.version) == "width >= 3"
    with pytest.raises(Conflict, match=r"prepared for maker.*without maker") as caught:
        expression(Wider(maker="Canon"), True, SCHEMA.version)
    assert caught.value.retry_after
