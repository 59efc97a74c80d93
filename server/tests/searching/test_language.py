"""The language of the one line: what it reads, what it leaves alone, and what it says of mistakes."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from tsir.searching.language import KEYS, WRITERS, Line, QueryError, format, parse
from tsir.searching.query import read_filter
from tsir.storage.filters import Filter, conditions
from tsir.storage.kinds import MAX_ID


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]


def test_words_what_is_not_wanted_and_conditions_are_told_apart() -> None:
    found = parse('a dog in the snow -people after:2023 folder:holidays camera:"Pixel 8" size:>4mp near:47.4,8.5')
    assert (found.text, found.not_text) == ("a dog in the snow", ("people",))
    assert found.filter == Filter(
        taken_after=utc(2023, 1, 1), path="*/holidays/*", camera="Pixel 8", min_megapixels=4.000001, near=(47.4, 8.5, 10.0)
    )


@pytest.mark.parametrize(
    "sentence",
    [
        'a sign saying "stop: no entry"',
        'a sign saying "folder:x -y"',
        "black-and-white",
        "10:30 train",
        'a 12" ruler - or two',
        "note: the name: is near: us",
        "-5 degrees, -- no dogs; http://example.com C:\\photos",
        'an "unfinished sentence',
        "\\o/ and \\\\server\\share",
        "re:union at 8:00, ratio 4:3",
        "Größe: 3 — „Hund“",
        "-",
        ":",
        '"',
    ],
)
def test_plain_sentences_stay_as_they_are(sentence: str) -> None:
    assert parse(sentence) == Line(sentence)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("taken:2023-02", Filter(taken_after=utc(2023, 2, 1), taken_before=utc(2023, 3, 1))),
        ("taken:2021..2023", Filter(taken_after=utc(2021, 1, 1), taken_before=utc(2024, 1, 1))),
        ("taken:2021.. imported:..2023-02", Filter(taken_after=utc(2021, 1, 1), imported_before=utc(2023, 3, 1))),
        ("taken:>=2021 imported:<=2023", Filter(taken_after=utc(2021, 1, 1), imported_before=utc(2024, 1, 1))),
        ("width:800.. height:..600 size:..2mb", Filter(min_width=800, max_height=600, max_bytes=2_000_000)),
        ("Before:2023-12-31 imported:>2024", Filter(taken_before=utc(2023, 12, 31), imported_after=utc(2025, 1, 1))),
        ("taken:<2021 imported:>2023-01-31", Filter(taken_before=utc(2021, 1, 1), imported_after=utc(2023, 2, 1))),
        ("size:<=500kb width:800..1200", Filter(max_bytes=500_000, min_width=800, max_width=1200)),
        ("size:<500kb width:>640 height:>=480", Filter(max_bytes=499_999, min_width=641, min_height=480)),
        ("width:<640 height:<=480 size:>2mb", Filter(max_width=639, max_height=480, min_bytes=2_000_001)),
        ("size:>4mp", Filter(min_megapixels=4.000001)),
        ("size:>=0.3mp", Filter(min_megapixels=0.3)),
        ("size:<0.3mp", Filter(max_megapixels=0.299999)),
        ("format:jpg,PNG shape:portrait located:no", Filter(formats=("JPEG", "PNG"), orientation="portrait", has_location=False)),
        ("id:3,1 missing:any", Filter(ids=(3, 1), missing="any")),
        ("near:47.4,8.5,25km", Filter(near=(47.4, 8.5, 25.0))),
        ('folder:"/my photos" name:IMG_*', Filter(folder="/my photos", name="IMG_*")),
    ],
)
def test_conditions_ask_what_they_say(line: str, asked: Filter) -> None:
    assert parse(line) == Line(filter=asked)


def test_a_backslash_takes_the_meaning_away() -> None:
    assert parse("\\-people \\folder:x") == Line("-people folder:x")
    assert parse('dogs -"two people" -Kinder') == Line("dogs", ("two people", "Kinder"))


@pytest.mark.parametrize(
    ("line", "word", "said"),
    [
        ("a dog after:yesterday", "after:yesterday", "it must look like after:2023"),
        ("size:>4xb dog", "size:>4xb", "size:>4mp"),
        ("dog size:big", "size:big", "size:>4mp"),
        ("dog near:far", "near:far", "in quotes"),
        ("x taken:..", "taken:..", "taken:2023"),
        ("x taken:>>2023", "taken:>>2023", "taken:2023"),
        ("x width:..", "width:..", "width:>800"),
        ("near:97,8 x", "near:97,8", "near"),
        ("x format:j/p", "format:j/p", "list of names"),
        ("x format:png,xyz", "format:png,xyz", 'no format "XYZ"; known are JPEG, PNG,'),
        ("x width:<0", "width:<0", "between 0 and"),
        ("x shape:round", "shape:round", '"landscape"'),
        ("x before:2020 before:2021 y", "before:2021", "once more"),
        ("x -camera:canon", "-camera:canon", "turned round"),
        ("x taken:2023-13", "taken:2023-13", "taken:2023"),
        ("x after:0000", "after:0000", "after:2023"),
        ('x camera:"Pixel 8', 'camera:"Pixel', "camera:canon"),
        ("x width:1.5", "width:1.5", "width:>800"),
        ("x taken:9999", "taken:9999", "taken:2023"),
        ("taken:9999-12-31 x", "taken:9999-12-31", "taken:2023"),
        ("x id:7,x", "id:7,x", "id:7,12"),
    ],
)
def test_mistakes_name_their_word(line: str, word: str, said: str) -> None:
    with pytest.raises(QueryError, match=re.escape(said)) as caught:
        parse(line)
    assert caught.value.members == {"position": line.index(word), "length": len(word)}


words = st.text(max_size=40) | st.lists(
    st.sampled_from(
        ["dog", "-dog", '-"a b"', "folder:x", "\\after:1", "\\\\-x", '"', '"a -b"', "-", ":", "near:", " ", "\n", "a:b", 'name:"']
    )
).map(" ".join)
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
    lambda when: when.replace(microsecond=when.microsecond // 1000 * 1000, tzinfo=timezone.utc)
)
printable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
values: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("name", "path", "camera"), printable),
    "folder": printable.map(lambda text: f"/{text}"),
    **{f"{what}_{side}": times for what in ("taken", "imported") for side in ("after", "before")},
    **{f"{end}_{side}": st.integers(0, 10**6) for end in ("min", "max") for side in ("width", "height")},
    **{f"{end}_megapixels": st.floats(0, 10**6) for end in ("min", "max")},
    **{f"{end}_bytes": st.integers(0, 2**53) for end in ("min", "max")},
    "orientation": st.sampled_from(["landscape", "portrait", "square"]),
    "formats": st.just(("JPEG",)) | st.just(("PNG", "GIF")),
    "has_location": st.booleans(),
    "near": st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(0.001, 20_000)),
    "box": st.tuples(st.floats(-90, 0), st.floats(-180, 180), st.floats(0, 90), st.floats(-180, 180)),
    "ids": st.lists(st.integers(1, MAX_ID), max_size=4).map(tuple),
    "missing": st.sampled_from(["true", "false", "any"]),
}
asked = st.lists(st.sampled_from(sorted(values)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: values[name] for name in names})
)


def test_every_field_of_the_filter_can_be_written() -> None:
    assert set(WRITERS) == set(values) == set(conditions())


@given(text=words, unwanted=st.lists(printable.map(str.strip).filter(bool), max_size=2), fields=asked)
@rules(max_examples=150, derandomize=True)
def test_what_is_written_reads_the_same(text: str, unwanted: list[str], fields: dict[str, Any]) -> None:
    line = Line(text.strip(), tuple(unwanted), read_filter(fields))
    assert parse(format(line)) == line


@given(line=words)
@rules(max_examples=150, derandomize=True)
def test_a_line_is_read_or_its_word_is_named(line: str) -> None:
    try:
        found = parse(line)
    except QueryError as error:
        start, length = error.members["position"], error.members["length"]
        assert line[start : start + length].lstrip("-").partition(":")[0].lower() in KEYS
        return
    assert parse(format(found)) == found
