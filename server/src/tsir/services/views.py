"""What people and programs are shown of the library, as models: the same over HTTP, by `--json` in the terminal, and in its client.

Addresses in them are paths below the server's own.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter

from tsir import records
from tsir.jobs.model import Job, JobState
from tsir.searching.search import Found, FoundHit
from tsir.services import jobs
from tsir.stopwatch import Stopwatch

OWNER_HEADER = "X-Tsir-Owner"
"""Carries the token of the user who runs the server; only they can read it."""


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
    missing: int = Field(description="Pictures whose files are not there now: hidden until they are back, or forgotten.")
    state: records.CollectionState
    encoder: EncoderOut
    usable: bool = Field(description="Whether the encoder that runs can search it; otherwise re-encode it.")
    created_at: datetime

    @classmethod
    def of(cls, collection: records.CollectionSummary, usable: bool) -> CollectionOut:
        encoder = collection.encoder
        return cls(
            name=collection.name,
            count=collection.count,
            pending=collection.pending,
            missing=collection.missing,
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
    missing: bool = Field(description="Whether its file is not there now; `paths` tells where it was.")
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
    """Milliseconds of each stage, from the first byte of the request to the last of the answer."""

    read: float = Field(description="Receiving the request and taking it apart.")
    decode: float = Field(description="Decoding the drawing and the example picture.")
    encode: float = Field(description="The model.")
    search: float = Field(description="The vector store.")
    rows: float = Field(description="The catalog.")
    answer: float = Field(description="Shares of the parts, page and JSON.")


class SearchResult(BaseModel):
    """A page of hits, best first."""

    hits: list[HitOut]
    next: str | None = Field(description="Cursor of the next page, for the very same query; null on the last.")
    took_ms: TookMs

    @classmethod
    def of(cls, found: Found, watch: Stopwatch) -> SearchResult:
        """What was found, and how long it took until now."""
        hits = [HitOut.of_hit(hit) for hit in found.hits]
        watch.lap("answer")
        return cls(hits=hits, next=found.next, took_ms=_took(watch))

    @classmethod
    def json_of(cls, found: Found, watch: Stopwatch) -> bytes:
        """The same as JSON; writing it counts, too."""
        page = _HITS.dump_json([HitOut.of_hit(hit) for hit in found.hits])
        following = b"null" if found.next is None else json.dumps(found.next).encode()
        watch.lap("answer")
        return b'{"hits":' + page + b',"next":' + following + b',"took_ms":' + _took(watch).model_dump_json().encode() + b"}"


_HITS = TypeAdapter(list[HitOut])


def _took(watch: Stopwatch) -> TookMs:
    stages = watch.milliseconds()
    return TookMs(**{name: stages.get(name, 0.0) for name in TookMs.model_fields})


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
    kind: str = Field(json_schema_extra={"enum": [*jobs.KINDS.names()]})
    source: str = Field(description="What is imported, for people.")
    state: JobState
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
    def of(cls, job: Job) -> JobOut:
        return cls(**_job_fields(job))


class JobDetail(JobOut):
    """A job with its first failures and, for uploads, the pictures that came of it."""

    failures: list[FailureOut] = Field(description="The first hundred.")
    image_ids: list[int] = Field(description="Pictures of an upload once it is done (the first hundred); empty otherwise.")

    @classmethod
    def of_detail(cls, detail: jobs.JobReport) -> JobDetail:
        listed = [FailureOut(path=failure.path, reason=failure.reason) for failure in detail.failures]
        return cls(**_job_fields(detail.job), failures=listed, image_ids=list(detail.image_ids))

    @classmethod
    def new(cls, job: Job) -> JobDetail:
        """A job that was queued just now."""
        return cls.of_detail(jobs.JobReport(job, jobs.title(job)))


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobOut]


class Forgotten(BaseModel):
    """What was taken out of a collection."""

    pictures: int = Field(description="Missing pictures that the collection no longer knows.")
    found: int = Field(description="Pictures that were missing and are there again: they stay.")


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


def _job_fields(job: Job) -> dict[str, Any]:
    return {**{name: getattr(job, name) for name in JobOut.model_fields if name != "source"}, "source": jobs.title(job)}
