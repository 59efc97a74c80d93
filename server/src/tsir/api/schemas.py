"""What the API says and hears, as models; the TypeScript client is generated from them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field

from tsir import records
from tsir.searching.search import Found, FoundHit
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


class EncoderOut(BaseModel):
    """Which model made the vectors."""

    name: str
    fingerprint: str
    dim: int


class CollectionOut(BaseModel):
    """A named set of pictures, all encoded by one model."""

    name: str
    count: int = Field(description="Pictures that a search can find.")
    pending: int = Field(description="Pictures that were begun and not finished; importing them again mends them.")
    state: records.CollectionState
    encoder: EncoderOut
    usable: bool = Field(description="Whether the encoder that runs can search it; otherwise re-encode it.")
    created_at: datetime

    @classmethod
    def of(cls, collection: records.Collection, usable: bool) -> CollectionOut:
        encoder = collection.encoder
        return cls(
            name=collection.name,
            count=collection.count,
            pending=collection.pending,
            state=collection.state,
            encoder=EncoderOut(name=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim),
            usable=usable,
            created_at=collection.created_at,
        )


class CollectionList(BaseModel):
    """All collections, by name."""

    collections: list[CollectionOut]


class ImageOut(BaseModel):
    """A picture of a collection."""

    id: int
    collection: str
    path: str = Field(description="The oldest place where it lies.")
    paths: list[str] = Field(description="Every place where the same content lies.")
    width: int
    height: int
    bytes: int
    format: str
    taken_at: datetime | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    created_at: datetime
    file_url: str
    thumbnail_url: str = Field(description="Small WebP; add `&size=large` for the large JPEG. May be cached for ever.")

    @classmethod
    def of(cls, image: records.Image) -> ImageOut:
        return cls(**_image_fields(image))


class ImageList(BaseModel):
    """A page of pictures, newest first."""

    images: list[ImageOut]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class HitOut(ImageOut):
    """A picture that a search found."""

    score: float = Field(description="Cosine of query and picture, -1 to 1.")
    parts: dict[str, float] = Field(description="Share of each part of the query in the score; they add up to it.")

    @classmethod
    def of_hit(cls, hit: FoundHit) -> HitOut:
        return cls(**_image_fields(hit.image), score=hit.score, parts=hit.parts)


class TookMs(BaseModel):
    """Milliseconds of each stage."""

    encode: float
    search: float
    fetch: float


class SearchResult(BaseModel):
    """A page of hits, best first."""

    hits: list[HitOut]
    next: str | None = Field(description="Cursor of the next page, for the very same query; null on the last.")
    took_ms: TookMs

    @classmethod
    def of(cls, found: Found) -> SearchResult:
        return cls(hits=[HitOut.of_hit(hit) for hit in found.hits], next=found.next, took_ms=TookMs(**found.took_ms))


class FolderImport(BaseModel):
    """Import a folder of the server."""

    path: Text = Field(description="A folder below one of IMAGE_ROOTS.", min_length=1, max_length=4096)


class UrlImport(BaseModel):
    """Import pictures from public addresses."""

    urls: list[Text] = Field(min_length=1, max_length=10_000)


class Reencode(BaseModel):
    """Encode a collection again with another model."""

    encoder: Text | None = Field(None, max_length=200, description="Name of the model; null: the one that runs.")


class FailureOut(BaseModel):
    """A file that could not be used, and why."""

    path: str
    reason: str


class FailureList(BaseModel):
    """A page of a job's failures."""

    failures: list[FailureOut]


class JobOut(BaseModel):
    """Long work on a collection, with its progress."""

    id: int
    collection: str
    kind: records.JobKind
    source: str = Field(description="What is imported, for people.")
    state: records.JobState
    cancelling: bool = Field(description="Cancelling was asked; the work has not stopped yet.")
    total: int | None = Field(description="Pictures in all; null until counted.")
    done: int
    skipped: int = Field(description="Unchanged since the last import.")
    failed: int
    rate: float = Field(description="Pictures per second.")
    eta_s: float | None
    message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: records.Job) -> JobOut:
        return cls(**_job_fields(job))


class JobDetail(JobOut):
    """A job with its first failures and, for uploads, the pictures that came of it."""

    failures: list[FailureOut] = Field(description="The first hundred.")
    image_ids: list[int] = Field(description="Pictures of an upload once it is done (the first hundred); empty otherwise.")

    @classmethod
    def with_failures(cls, job: records.Job, failures: list[records.JobFailure], image_ids: list[int]) -> JobDetail:
        listed = [FailureOut(path=failure.path, reason=failure.reason) for failure in failures]
        return cls(**_job_fields(job), failures=listed, image_ids=image_ids)


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobOut]


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


def image_url(image: records.Image) -> str:
    """Path of a picture's own resource."""
    return f"/api/v1/collections/{quote(image.collection, safe='')}/images/{image.id}"


def _image_fields(image: records.Image) -> dict[str, Any]:
    url = image_url(image)
    return {
        **{name: getattr(image, name) for name in ImageOut.model_fields if hasattr(image, name)},
        **asdict(image.metadata),
        "paths": list(image.paths),
        "file_url": f"{url}/file",
        # The content is part of the address: ids start again in a fresh library, and thumbnails may be cached for ever.
        "thumbnail_url": f"{url}/thumbnail?v={image.content_hash[:16]}",
    }


def _job_fields(job: records.Job) -> dict[str, Any]:
    return {**{name: getattr(job, name) for name in JobOut.model_fields if name != "source"}, "source": source(job)}


def source(job: records.Job) -> str:
    """What a job works on, in a few words."""
    spec = job.spec
    for key, singular in (("urls", "address"), ("files", "file")):
        if isinstance(items := spec.get(key), list):
            return f"{len(items)} {singular}" if len(items) == 1 else f"{len(items)} {singular}{'es' if key == 'urls' else 's'}"
    return str(spec.get("folder") or spec.get("encoder") or job.kind)
