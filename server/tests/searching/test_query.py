from typing import Any

import pytest
from PIL import Image

from tsir.errors import InvalidInput, NotFound
from tsir.searching.query import MAX_WINDOW, Mark, Query, check_text, digest, make_cursor, parse_filter, parse_weights, read_cursor
from tsir.storage.filters import Filter


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "asks for nothing"),
        ({"text": "  \n"}, "asks for nothing"),
        ({"not_text": "red"}, "not_text alone finds nothing"),
        ({"text": "red", "weights": {"text": 0}}, "weight above zero"),
        ({"text": "red", "weights": {"text": -1}}, "weight above zero"),
        ({"text": "red", "weights": {"colour": 1}}, "unknown name 'colour'; known are text, not_text, sketch, image, like"),
        ({"text": "red", "weights": {"text": float("nan")}}, "weight of text is NaN"),
        ({"text": "red", "weights": {"text": float("inf")}}, "weight of text is Infinity"),
        ({"text": "red", "weights": {"text": "1"}}, 'weight of text is "1"'),
        ({"text": "red", "weights": {"text": True}}, "weight of text is true"),
        ({"text": "red", "limit": 0}, "between 1 and 1000"),
        ({"text": "red", "limit": 1001}, "between 1 and 1000"),
        ({"text": "red", "limit": 2.5}, "a whole number"),
        ({"text": "red", "limit": "2"}, "a whole number"),
        ({"text": "red", "min_score": "0.5"}, "between -1 and 1"),
        ({"text": "red", "min_relevance": True}, "between 0 and 1"),
        ({"filter": Filter(camera="canon")}, "Conditions alone are for a list"),
        ({"text": "red", "min_score": 1.5}, "between -1 and 1"),
        ({"text": "red", "min_score": float("nan")}, "between -1 and 1"),
    ],
)
def test_query_that_cannot_be_asked_is_refused_with_a_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Query("photos", **fields)


def test_blank_text_counts_as_none() -> None:
    query = Query("photos", text=" ", sketch=Image.new("RGB", (8, 8)))
    assert query.text is None
    assert query.given() == ("sketch",)


def test_weights_are_read_from_json() -> None:
    assert parse_weights('{"text": 1, "sketch": 0.5}') == {"text": 1.0, "sketch": 0.5}
    assert parse_weights("") == {}
    for wrong in ("[1]", "text=1", '{"text": NaN}', "{" * 100_000):
        with pytest.raises(InvalidInput, match="weight"):
            parse_weights(wrong)


def test_filter_is_read_from_json() -> None:
    found = parse_filter('{"taken_after": "2024-06-01T12:00:00Z", "min_width": 800, "formats": ["jpg", "png"], "orientation": "landscape"}')
    assert found is not None
    assert found.taken_after is not None
    assert found.taken_after.isoformat() == "2024-06-01T12:00:00+00:00"
    assert (found.min_width, found.formats, found.orientation) == (800, ("JPEG", "PNG"), "landscape")
    assert parse_filter(" ") is None
    for asked in ("heif", "HEIC"):
        heif = parse_filter(f'{{"formats": ["{asked}", "gif"]}}')
        assert heif is not None
        assert set(heif.formats) == {"HEIC", "HEIF", "GIF"}
    assert parse_filter('{"min_width": null}') == Filter()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"colour": "red"}', "unknown key 'colour'; known are taken_after"),
        ('{"min_width": "wide"}', 'min_width is "wide"'),
        ('{"min_width": -1}', "between 0 and"),
        ('{"taken_after": "yesterday"}', "a time such as 2024"),
        ('{"taken_after": "0001-01-01T00:00:00+23:59"}', "a time such as"),
        ('{"orientation": "diagonal"}', '"landscape", "portrait" or "square"'),
        ('{"formats": "JPEG"}', "a list of names"),
        ('{"formats": ["JPEG", "xyz"]}', 'no format "XYZ"; known are JPEG, PNG,'),
        ('{"formats": ["a\\" or 1==1"]}', "a list of names"),
        ('{"has_location": 1}', "true or false"),
        ('{"folder": ""}', "the path of a folder"),
        ("nonsense", "is not JSON"),
        ("3", "must be a JSON object"),
    ],
)
def test_filter_with_a_mistake_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_filter(text)


def test_text_beyond_the_limit_is_refused() -> None:
    check_text("text", "x" * 10, 10)
    with pytest.raises(InvalidInput, match="text has 11 characters; at most 10"):
        check_text("text", "x" * 11, 10)


def test_cursor_belongs_to_one_query() -> None:
    ours = digest(Query("photos", text="red"), {}, "f")
    for mark in (Mark(20, (0.25, -7)), Mark(20, (-1.1641532182693481e-10, -(2**53))), Mark(20, (-62135596800.0, 7))):
        cursor = make_cursor(mark, ours)
        assert read_cursor(cursor, ours, 10) == mark
        assert len(cursor) <= 200, "what the API takes"
    assert read_cursor(None, ours, 10) is None
    for other in (
        digest(Query("photos", text="blue"), {}, "f"),
        digest(Query("other", text="red"), {}, "f"),
        digest(Query("photos", text="red"), {}, "g"),
        digest(Query("photos", text="red", weights={"text": 2}), {}, "f"),
        digest(Query("photos", text="red", filter=Filter(min_width=3)), {}, "f"),
    ):
        with pytest.raises(NotFound, match="another query"):
            read_cursor(cursor, other, 10)
    with pytest.raises(InvalidInput, match="page through"):
        read_cursor(make_cursor(Mark(MAX_WINDOW - 5, (0.5, -1)), ours), ours, 10)


@pytest.mark.parametrize(
    "cursor", ["x", "!!!!", "ÿ", "MTA", make_cursor(Mark(10**9, (1.0, -1)), "0"), make_cursor(Mark(-1, (1.0, -1)), "0")]
)
def test_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(NotFound, match="cursor is not one of ours"):
        read_cursor(cursor, "0", 10)
