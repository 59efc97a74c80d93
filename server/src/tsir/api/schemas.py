"""What only HTTP says and hears, as models: requests, errors, what runs here. What is shown of the library: `services/views.py`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from tsir.errors import InvalidInput
from tsir.library.library import NAME
from tsir.searching.language import LONGEST
from tsir.searching.query import MAX_LIMIT, MAX_WEIGHT, Collapse, Example, Examples, Sort, Texts, Words, read_filter
from tsir.services.search import EVERYWHERE, Question
from tsir.services.views import EncoderOut
from tsir.storage.conditions import Condition
from tsir.storage.kinds import MAX_ID, MAX_IDS, KindName

CLEAN = r"^[^\x00]*$"
"""What file systems, stores and JSON documents take: no NUL. A lone surrogate is no text already."""

Text = Annotated[str, Field(pattern=CLEAN)]
ABSOLUTE: dict[str, Any] = {"pattern": "^/[^\\x00]*$"}
"""Described, and checked where the sentence about it stands."""
NAMED: dict[str, Any] = {"pattern": f"^{NAME.pattern}$"}
"""The same of a collection's new name."""
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Share = Annotated[float, Field(ge=0, le=1)]
Part = Literal["text", "not_text", "sketch", "image", "like", "not_like"]

MAX_BATCH = 256
"""Queries in one call."""


class Problem(BaseModel):
    """An error (RFC 9457, application/problem+json): `detail` says what was wrong and what would be right."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="The kind of error, for programs; stable: invalid_input, not_found, store_unavailable, ...")
    detail: str
    instance: str
    position: int | None = Field(None, description="Of a query's word that cannot be read: its first character, from 0.")
    length: int | None = Field(None, description="Characters of that word.")


class TextPart(BaseModel, extra="forbid"):
    """A text among several."""

    text: Text = Field(min_length=1)
    weight: float = Field(1, ge=-MAX_WEIGHT, le=MAX_WEIGHT, description="Beside the other texts; below zero: not this.")


class ExamplePart(BaseModel, extra="forbid"):
    """A picture of the collection, or a part of it."""

    id: Id
    box: tuple[Share, Share, Share, Share] | None = Field(
        None, description="Left, top, right and bottom of a part, in shares of the picture's width and height."
    )
    weight: float = Field(1, ge=-MAX_WEIGHT, le=MAX_WEIGHT, description="Beside the other pictures; below zero: not this.")


ONE, PART, SEVERAL = "<one>", "<part>", "<several>"
"""What a value is that may be of one of these forms. In the place of an error they are left out."""


def _among(said: str, one: Callable[[Any], bool]) -> Discriminator:
    """Tells the forms of a value apart, of which `one` knows the plain one; of a value in none of them the sentence is `said`."""

    def form(value: object) -> str | None:
        if isinstance(value, list | tuple):
            return SEVERAL
        return PART if isinstance(value, dict | BaseModel) else ONE if one(value) else None

    return Discriminator(form, custom_error_type="form", custom_error_message=f"must be {said}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) or (isinstance(value, str) and value.isascii() and value.isdigit())


_TEXT = 'a text, or such as {"text": "a dog", "weight": 0.5}'
_EXAMPLE = 'the id of a picture, such as 7, or {"id": 7, "box": [0.1, 0.2, 0.5, 0.6]} for a part of it'
_OneText = Annotated[Annotated[Text, Tag(ONE)] | Annotated[TextPart, Tag(PART)], _among(_TEXT, _is_text)]
_OneExample = Annotated[Annotated[Id, Tag(ONE)] | Annotated[ExamplePart, Tag(PART)], _among(_EXAMPLE, _is_number)]
TextsIn = (
    Annotated[
        Annotated[Text, Tag(ONE)] | Annotated[list[_OneText], Tag(SEVERAL)],
        _among(f"a text, or a list, each of it {_TEXT}", _is_text),
    ]
    | None
)
ExamplesIn = (
    Annotated[
        Annotated[Id, Tag(ONE)] | Annotated[ExamplePart, Tag(PART)] | Annotated[list[_OneExample], Tag(SEVERAL)],
        _among(f"{_EXAMPLE}; or a list of these", _is_number),
    ]
    | None
)
CollectionsIn = (
    Annotated[
        Annotated[Literal["all"], Tag(ONE)] | Annotated[list[Text], Tag(SEVERAL)],
        _among('a list of names, or "all"', lambda value: value == EVERYWHERE),
    ]
    | None
)


class SearchRequest(BaseModel, extra="forbid"):
    """A search as JSON. At least one of query, text, sketch, image and like is needed."""

    query: Text | None = Field(None, max_length=LONGEST, description="A line in the query language: `a dog -people after:2023`.")
    text: TextsIn = Field(None, description="What the picture shows; several texts count together.")
    not_text: TextsIn = Field(None, description="What it does not show.")
    sketch: str | None = Field(None, description="A drawing, dark on white or transparent: a file in base64, or a data URL.")
    image: str | None = Field(None, description="A picture that looks like it: a file in base64, or a data URL.")
    like: ExamplesIn = Field(None, description="Pictures of the collection, or parts of them, that look like it.")
    not_like: ExamplesIn = Field(None, description="Pictures of the collection, or parts of them, that do not.")
    weights: dict[Part, Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT)]] = Field({}, description="How much each part counts.")
    filter: dict[str, Any] | None = Field(None, description="Conditions, all of which must hold.")
    limit: int | None = Field(None, ge=1, le=MAX_LIMIT, description="Hits per page; TOP_K when missing.")
    cursor: Text | None = Field(None, max_length=200, description="`next` of the page before, with the same query.")
    min_score: float | None = Field(None, ge=-1, le=1, description="Leave out hits below this cosine.")
    min_relevance: float | None = Field(None, ge=0, le=1, description="Leave out hits of a lower relevance.")
    collapse: Collapse | None = Field(None, description="Make one hit of near-duplicates, or of pictures taken one after the other.")
    sort: Sort = Field("relevance", description="taken, imported: the best hits in the order of time, the newest first.")
    collections: CollectionsIn = Field(None, description='Collections that are searched as well, all of one encoder; "all": all there are.')

    def question(self, collection: str, default_limit: int) -> Question:
        """Raises InvalidInput for what cannot be used."""
        return Question(
            collection,
            query=self.query,
            text=_texts(self.text),
            not_text=_texts(self.not_text),
            sketch=decoded("sketch", self.sketch),
            image=decoded("image", self.image),
            like=_examples(self.like),
            not_like=_examples(self.not_like),
            weights={str(part): value for part, value in self.weights.items()},
            filter=read_filter(self.filter) if self.filter else None,
            limit=self.limit or default_limit,
            cursor=self.cursor or None,
            min_score=self.min_score,
            min_relevance=self.min_relevance,
            collapse=self.collapse,
            sort=self.sort,
            collections=(EVERYWHERE,) if self.collections == EVERYWHERE else self.collections or (),
        )


def _texts(given: TextsIn) -> Texts:
    if given is None or isinstance(given, str):
        return given
    return [Words(one) if isinstance(one, str) else Words(one.text, one.weight) for one in given]


def _examples(given: ExamplesIn) -> Examples:
    if given is None or isinstance(given, int):
        return given
    listed = given if isinstance(given, list) else [given]
    return [Example(one) if isinstance(one, int) else Example(one.id, one.box, one.weight) for one in listed]


def decoded(name: str, text: str | None) -> bytes | None:
    """The bytes of a picture in JSON. Raises InvalidInput for what is no base64."""
    if not text:
        return None
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except ValueError:
        raise InvalidInput(f"{name} is no base64: send the bytes of a picture file in base64, or a data URL.") from None


class SearchBatch(BaseModel, extra="forbid"):
    """Many searches of one collection in one call."""

    queries: list[SearchRequest] = Field(min_length=1, max_length=MAX_BATCH)


class FolderImport(BaseModel):
    """Import a folder of the server."""

    path: Text = Field(description="A folder below one of IMAGE_ROOTS.", min_length=1, max_length=4096)
    again: bool = Field(False, description="Also what somebody took out of the collection before.")
    exclude: list[Text] = Field([], max_length=1000, description="Patterns of what is left out, as .gitignore has them.")


class Backup(BaseModel):
    """Write the library to one file."""

    file: Text = Field(description="Absolute path of the ZIP to write, on the server's machine.", min_length=1, max_length=4096)
    uploads: bool = Field(True, description="Whether it holds the uploaded pictures, which nobody else has.")
    pictures: bool = Field(False, description="Whether it holds the pictures of imported folders, too.")


class UrlImport(BaseModel):
    """Import pictures from public addresses."""

    urls: list[Text] = Field(min_length=1, max_length=10_000)


class SignIn(BaseModel):
    """A key, to be changed for a cookie."""

    key: Text = Field(min_length=1, max_length=4096, description="One of the server's API keys.")


class SessionOut(BaseModel):
    """What a caller may do, and by what."""

    scope: Literal["read", "write"] = Field(description="read: look and search; write: everything.")
    by: Literal["key", "cookie", "nothing"] = Field(description="nothing: this server asks for no key.")
    expires_at: datetime | None = Field(None, description="When the cookie's session ends, at the latest.")


class Reencode(BaseModel):
    """Encode a collection again with another model."""

    encoder: Text | None = Field(None, max_length=200, description="Name of the model; null: the one that runs.")


class Forget(BaseModel):
    """Take missing pictures out of a collection."""

    folder: Text | None = Field(
        None, min_length=1, max_length=4096, description="Absolute, with all below it; null: everywhere.", json_schema_extra=ABSOLUTE
    )


Ids = Annotated[list[Id], Field(max_length=MAX_IDS)]
"""Numbers of pictures."""


class Rename(BaseModel):
    """Another name for a collection."""

    name: Text = Field(description="A letter or _, then up to 63 letters, digits, _ or -.", max_length=200, json_schema_extra=NAMED)


class Remove(BaseModel):
    """Pictures to take out of a collection: by number, by path, or both."""

    ids: Ids = []
    paths: list[Text] = Field([], max_length=10_000, description="Absolute paths, exactly as a picture's `paths` have them.")


class Some(BaseModel):
    """Pictures of a collection."""

    ids: Ids | None = Field(None, description="null: all.")


class Add(BaseModel):
    """Pictures of another collection to add to one."""

    source: Text = Field(alias="from", description="Name of the collection that has them.", max_length=200)
    ids: Ids


class Relocate(BaseModel):
    """A folder that was moved."""

    old: Text = Field(
        alias="from", description="Where it was, absolute; it need not be there.", min_length=1, max_length=4096, json_schema_extra=ABSOLUTE
    )
    new: Text = Field(alias="to", description="Where it is now: a folder below one of IMAGE_ROOTS.", min_length=1, max_length=4096)


class Limits(BaseModel):
    """What the server accepts."""

    max_upload_bytes: int
    max_request_bytes: int
    max_pixels: int
    max_text: int
    max_limit: int
    default_limit: int


class Choice(BaseModel):
    """A value to choose, and what to call it."""

    value: str
    label: str


class FilterField(BaseModel):
    """A condition that a search's filter may have: enough to draw a form for it."""

    name: str
    kind: KindName
    label: str = Field(description="A few words for people.")
    help: str = Field(description="A sentence for people.")
    choices: list[Choice] = Field(description="Of the kind choice: what can be chosen.")

    @classmethod
    def of(cls, name: str, condition: Condition) -> FilterField:
        kind = condition.kind
        choices = [Choice(value=value, label=label) for value, label in kind.choices.items()]
        return cls(name=name, kind=kind.name, label=condition.label, help=condition.help, choices=choices)


class FormatOut(BaseModel):
    """A picture format that is read."""

    name: str = Field(description="As the catalog has it, and as a filter may ask for it.")
    label: str
    suffixes: list[str] = Field(description="File name endings, lower case, with their dot.")
    media_type: str


class ThumbnailOut(BaseModel):
    """A size in which thumbnails are served."""

    size: str = Field(description="Value of `size` in a thumbnail's address.")
    side: int = Field(description="Longest long side, pixels.")
    media_type: str


class SystemOut(BaseModel):
    """What runs here."""

    version: str
    versions: dict[str, str]
    encoder: EncoderOut
    default_weights: dict[str, float]
    device: str
    vectors: Literal["milvus-lite", "milvus"]
    catalog: str
    limits: Limits
    filters: list[FilterField] = Field(description="What a search can be filtered by.")
    formats: list[FormatOut]
    thumbnails: list[ThumbnailOut] = Field(description="Small ones first.")
    import_roots: list[str]
    default_collection: str
    collections: int
    images: int
    advice: list[str]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(BaseModel):
    """Whether stores and encoder answer: "ok", or a sentence that says what is wrong."""

    status: Literal["ok", "starting", "unavailable"]
    catalog: str
    vectors: str
    encoder: str
