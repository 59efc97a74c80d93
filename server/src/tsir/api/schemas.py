"""What only HTTP says and hears, as models: requests, errors, what runs here. What is shown of the library: `services/views.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from tsir.services.views import EncoderOut
from tsir.storage.filters import Condition, KindName


def clean(text: str) -> str:
    """Refuse what no file system, store or JSON document takes: NUL and lone surrogates."""
    if "\0" in text or (not text.isprintable() and any("\ud800" <= char <= "\udfff" for char in text)):
        raise ValueError("must be valid Unicode without NUL characters")
    return text


Text = Annotated[str, AfterValidator(clean)]


class Problem(BaseModel):
    """An error (RFC 9457, application/problem+json): `detail` says what was wrong and what would be right."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="The kind of error, for programs; stable: invalid_input, not_found, store_unavailable, ...")
    detail: str
    instance: str


class FolderImport(BaseModel):
    """Import a folder of the server."""

    path: Text = Field(description="A folder below one of IMAGE_ROOTS.", min_length=1, max_length=4096)
    exclude: list[Text] = Field([], max_length=1000, description="Patterns of what is left out, as .gitignore has them.")


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

    folder: Text | None = Field(None, min_length=1, max_length=4096, description="Absolute, with all below it; null: everywhere.")


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
