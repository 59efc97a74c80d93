"""What people and programs are shown of the library, as models: the same over HTTP, by `--json` in the terminal, and in its client.

Addresses in them are paths below the server's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter

from tsir import records
from tsir.importing.folders import Listing
from tsir.jobs.model import Job, JobState
from tsir.library.backup import Archived
from tsir.searching.language import Line, format
from tsir.searching.search import Found, FoundHit, Hint
from tsir.services import backup, jobs, trash
from tsir.stopwatch import Stopwatch
from tsir.storage.filters import said

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
    excluded: int = Field(description="Pictures that were taken out and lie in folders: imports leave them out.")
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
            excluded=collection.excluded,
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
    taken_at: datetime | None = Field(
        description="By the camera's own clock: without a zone (2021-05-01T23:30:00), which most cameras do not note, or with the offset "
        "that it noted. To be shown as it is; filters and orders by it mean the camera's own date and time, too."
    )
    camera: str | None
    latitude: float | None
    longitude: float | None
    created_at: datetime
    missing: bool = Field(description="Whether its file is not there now; `paths` tells where it was.")
    file_url: str
    thumbnail_url: str = Field(description="Small; add `&size=large` for the large one. May be cached for ever.")

    @classmethod
    def of(cls, image: records.Image) -> ImageOut:
        return cls(**_image_fields(image))


class CountOut(BaseModel):
    """How many pictures have a value."""

    value: str | None = Field(description="null: nothing is known.")
    count: int


class FacetsOut(BaseModel):
    """How many pictures there are of each sort: what one can narrow a list down to. The most frequent first, at most a thousand."""

    total: int
    years: list[CountOut] = Field(description="When they were taken, the newest first.")
    folders: list[CountOut] = Field(description="Absolute, as the filter takes them; without what lies in folders below.")
    cameras: list[CountOut]
    formats: list[CountOut]

    @classmethod
    def of(cls, facets: records.Facets) -> FacetsOut:
        return cls.model_validate(asdict(facets))


class ImageList(BaseModel):
    """A page of pictures."""

    images: list[ImageOut]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class DuplicateGroup(BaseModel):
    """Pictures that are one and the same."""

    images: list[ImageOut] = Field(description="Two or more; the best first: it says most of how it was taken, then has most pixels.")


class DuplicateList(BaseModel):
    """All near-duplicates of a collection."""

    groups: list[DuplicateGroup]

    @classmethod
    def of(cls, groups: Sequence[Sequence[records.Image]]) -> DuplicateList:
        return cls(groups=[DuplicateGroup(images=[ImageOut.of(image) for image in group]) for group in groups])


class HitOut(ImageOut):
    """A picture that a search found."""

    score: float = Field(description="Cosine of query and picture, -1 to 1.")
    parts: dict[str, float] = Field(description="Share of each part of the query in the score; they add up to it.")
    relevance: float | None = Field(
        description="How likely it is one that was asked for, 0 to 1; falls with the score. Null: the encoder cannot tell."
    )
    count: int = Field(1, description="Pictures that this one stands for, where the search collapses them; itself among them.")
    members: list[ImageOut] = Field([], description="The others, the best hits first.")

    @classmethod
    def of_hit(cls, hit: FoundHit) -> HitOut:
        return cls(
            **_image_fields(hit.image),
            score=hit.score,
            parts=hit.parts,
            relevance=hit.relevance,
            count=1 + len(hit.members),
            members=[ImageOut.of(image) for image in hit.members],
        )


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
    cut: float | None = Field(description="Hits of a lower relevance are less likely answers; null where hits have none.")
    hint: Hint | None = Field(
        description="Of a first page. nothing_likely: no hit reaches the cut; language: the encoder does not know the words' language."
    )
    took_ms: TookMs

    @classmethod
    def of(cls, found: Found, watch: Stopwatch) -> SearchResult:
        """What was found, and how long it took until now."""
        hits = [HitOut.of_hit(hit) for hit in found.hits]
        watch.lap("answer")
        return cls(hits=hits, next=found.next, cut=found.cut, hint=found.hint, took_ms=_took(watch))

    @classmethod
    def json_of(cls, found: Found, watch: Stopwatch) -> bytes:
        """The same as JSON; writing it counts, too."""
        page = _HITS.dump_json([HitOut.of_hit(hit) for hit in found.hits])
        rest = json.dumps({"next": found.next, "cut": found.cut, "hint": found.hint}).encode()
        watch.lap("answer")
        return b'{"hits":' + page + b"," + rest[1:-1] + b',"took_ms":' + _took(watch).model_dump_json().encode() + b"}"


_HITS = TypeAdapter(list[HitOut])


class AnswerOut(BaseModel):
    """A page of hits for one of many queries."""

    hits: list[HitOut]
    next: str | None = Field(description="Cursor of the next page; null on the last.")
    cut: float | None
    hint: Hint | None

    @classmethod
    def of(cls, found: Found) -> AnswerOut:
        return cls(hits=[HitOut.of_hit(hit) for hit in found.hits], next=found.next, cut=found.cut, hint=found.hint)


class SearchResults(BaseModel):
    """The answers of many queries, in their order."""

    results: list[AnswerOut]
    took_ms: TookMs

    @classmethod
    def json_of(cls, found: Sequence[Found], watch: Stopwatch) -> bytes:
        """As JSON; writing it counts, too."""
        results = _ANSWERS.dump_json([AnswerOut.of(one) for one in found])
        watch.lap("answer")
        return b'{"results":' + results + b',"took_ms":' + _took(watch).model_dump_json().encode() + b"}"


_ANSWERS = TypeAdapter(list[AnswerOut])


class LineOut(BaseModel):
    """What a line in the query language asks."""

    text: str
    not_text: list[str]
    filter: dict[str, Any] = Field(description="The conditions, as a search's `filter` takes them.")
    written: str = Field(description="The line as this server would write it: it reads the same.")

    @classmethod
    def of(cls, line: Line) -> LineOut:
        known = said(line.filter)
        plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}
        plain |= {name: ",".join(map(repr, known[name])) for name in ("near", "box") if name in known}
        return cls(text=line.text, not_text=list(line.not_text), filter=plain, written=format(line))


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


class RemovedOut(BaseModel):
    """What was taken out of a collection, or went with it."""

    pictures: int
    only_copies: int = Field(description="Pictures of these whose files lay among the uploads and nowhere else: they are in the trash.")
    trash: str | None = Field(
        description="The entry of the trash that brings it back (`POST /api/v1/trash/{id}/restore`). Of a dropped collection, its uploads; "
        "null when it had none."
    )

    @classmethod
    def of(cls, removed: records.Removed) -> RemovedOut:
        return cls(pictures=removed.images, only_copies=removed.only_copies, trash=removed.trash)


class Copies(BaseModel):
    """How many pictures would be lost if the uploads were."""

    pictures: int = Field(description="Pictures of those asked for that the collection has.")
    only_copies: int = Field(description="Pictures of these whose files lie among the uploads and nowhere else.")


class TrashEntry(BaseModel):
    """What was thrown away together."""

    id: str
    why: Literal["removed", "dropped", "stray"] = Field(
        description="removed: pictures of a collection; dropped: a collection; stray: a file of which a check found no picture."
    )
    collection: str | None = Field(description="Where it was, by the name of that time; null for a stray.")
    names: list[str] = Field(description="Of its files, the first three.")
    pictures: int
    only_copies: int = Field(description="Pictures of these whose files are in the trash and nowhere else.")
    thrown_at: datetime
    gone_at: datetime = Field(description="When it will be deleted for good.")

    @classmethod
    def of(cls, thrown: trash.Thrown) -> TrashEntry:
        facts = {name: getattr(thrown, name) for name in ("id", "why", "collection", "pictures", "only_copies")}
        return cls(**facts, names=list(thrown.names), thrown_at=thrown.at, gone_at=thrown.until)


class TrashList(BaseModel):
    """What lies in the trash, the newest first."""

    entries: list[TrashEntry]
    bytes: int = Field(description="What all of it takes on disk.")
    days: int = Field(description="How long it lies there (TRASH_DAYS).")


class Came(BaseModel):
    """Pictures that came into a collection, or back."""

    collection: str
    pictures: int
    lost: int = Field(0, description="Pictures that could not come: their files are not there any more.")
    job: JobOut | None = Field(description="What encodes those whose vectors were not at hand; null: all can be found at once.")

    @classmethod
    def of(cls, collection: str, pictures: int, job: Job | None, lost: int = 0) -> Came:
        return cls(collection=collection, pictures=pictures, lost=lost, job=JobOut.of(job) if job else None)


class FolderOut(BaseModel):
    """A folder of the server that may be imported."""

    name: str
    path: str
    pictures: int | None = Field(description="Pictures directly in it; null: not counted, they are too many or out of reach.")
    folders: int | None = Field(description="Folders directly in it that may be imported, too.")


class FolderList(BaseModel):
    """The folders below one, by name."""

    path: str | None = Field(description="The folder that was asked for; null: the folders of IMAGE_ROOTS are listed.")
    parent: str | None = Field(description="The folder above it, where that may be imported; null at the top.")
    folders: list[FolderOut]
    more: bool = Field(description="Whether there are more folders than are listed.")

    @classmethod
    def of(cls, path: str | None, parent: str | None, looked: Listing) -> FolderList:
        folders = [FolderOut(name=one.name, path=one.path, pictures=one.pictures, folders=one.folders) for one in looked.folders]
        return cls(path=path, parent=parent, folders=folders, more=looked.more)


class RelocatedOut(BaseModel):
    """What moved with a folder."""

    pictures: int
    places: int = Field(description="Paths that were rewritten; a picture may lie in several.")
    missing: int = Field(description="Paths below the new folder where no file is.")

    @classmethod
    def of(cls, moved: records.Relocated) -> RelocatedOut:
        return cls(pictures=moved.images, places=moved.places, missing=moved.missing)


class Emptied(BaseModel):
    """What was deleted for good."""

    files: int


class BackupOut(BaseModel):
    """An archive that was written."""

    file: str
    images: int = Field(description="Rows, each with its vector.")
    files: int = Field(description="Pictures that it holds as files.")
    uploads: int = Field(description="Uploaded pictures that the library has.")
    left_out: int = Field(description="Uploaded pictures that it does not hold.")
    said: list[str] = Field(description="What it holds, for people.")

    @classmethod
    def of(cls, file: Path, held: Archived) -> BackupOut:
        return cls(
            file=str(file), images=held.images, files=held.files, uploads=held.uploads, left_out=held.left_out, said=backup.written(held)
        )


def image_url(image: records.Image) -> str:
    """Path of a picture's own resource."""
    return f"/api/v1/collections/{quote(image.collection, safe='')}/images/{image.id}"


_OF_METADATA = tuple(field.name for field in fields(records.ImageMetadata))
_OF_IMAGE = tuple(name for name in ImageOut.model_fields if name in {*dir(records.Image), *(field.name for field in fields(records.Image))})


def _image_fields(image: records.Image) -> dict[str, Any]:
    url = image_url(image)
    return {
        **{name: getattr(image, name) for name in _OF_IMAGE},
        **{name: getattr(image.metadata, name) for name in _OF_METADATA},
        "paths": list(image.paths),
        "file_url": f"{url}/file",
        # The content is part of the address: ids start again in a fresh library, and thumbnails may be cached for ever.
        "thumbnail_url": f"{url}/thumbnail?v={image.content_hash[:16]}",
    }


def _job_fields(job: Job) -> dict[str, Any]:
    return {**{name: getattr(job, name) for name in JobOut.model_fields if name != "source"}, "source": jobs.title(job)}
