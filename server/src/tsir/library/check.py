"""Compares what is stored where it must agree: rows, vectors, files, thumbnails; and mends it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from tsir.errors import VectorsDamaged
from tsir.library.collection import IDS_WINDOW as WINDOW
from tsir.library.library import Library
from tsir.media.durable import TEMPORARY
from tsir.media.files import folder_trouble
from tsir.media.thumbnails import SIZES
from tsir.paging import chunks
from tsir.records import CheckReport, FileStat, Image, NewImage
from tsir.storage.milvus.client import NoSuchVectors
from tsir.storage.sql.collections import Ref

BATCH = 1_000

YOUNG = 24 * 3600
"""Seconds. A thumbnail or upload without a row may belong to an import that is going on; older ones do not."""

RESTORE_TIME = timedelta(hours=12)
"""A restore that has not finished after so long never will."""


def check(
    library: Library, repair: bool = False, thumbnail: Callable[[Image], bool] | None = None, *, working: Callable[[], bool] = lambda: False
) -> CheckReport:
    """Compare rows, vectors, files and thumbnails; with `repair`, mend what differs.

    `thumbnail` makes the thumbnails of one image, or returns False: with `repair` it is called for those that lack one. Images found
    to have no vector become pending: encode them again (`Collection.unfinished`). `working` says whether jobs are open, whose uploads have
    no rows yet.
    """
    with suppress(VectorsDamaged):  # that is told of each collection
        library.stores.vectors.ping()  # one that is away is said at once; one that is catching up is waited for
    report = _Report()
    if damage := library.stores.catalog.database.copies.damage():
        raise library.stores.catalog.database.copies.lost(f"is damaged: {damage}")
    for ref in library.stores.catalog.collections.refs():
        if ref.state == "dropping" or (ref.state == "restoring" and datetime.now(timezone.utc) - ref.created_at > RESTORE_TIME):
            report.problem(1, "collection is half {}.", "dropped" if ref.state == "dropping" else "restored")
            if repair:
                library.stores.catalog.collections.abandon(ref.id)
    for ref in library.stores.catalog.collections.refs("ready"):
        report.problem(len(library.stores.catalog.images.deleting(ref.id, 10**6)), "images of {} are half deleted.", ref.name)
        _compare_vectors(library, ref, report, repair)
        _compare_files(library, ref, report, repair)
        _compare_thumbnails(library, ref, report, thumbnail if repair else None)
        pending = library.stores.catalog.collections.count(ref.id, state="pending")
        report.note(pending, "images of {} wait for their vector: import again, or repair with the encoder at hand.", ref.name)
    # Milvus first: the catalog knows of every collection before Milvus does, also of one that another process makes right now.
    present = library.stores.vectors.names(library.stores.vectors_prefix())
    names = {
        library.stores.vectors_name(ref, generation)
        for ref in library.stores.catalog.collections.refs()
        for generation in (ref.generation, ref.next_generation)
        if generation
    }
    strange = [name for name in present if name not in names]
    report.problem(len(strange), "collections in Milvus have no row.")
    _strays(library, report, repair, working)
    if repair:
        library.finish_deletions()
        for name in strange:
            library.stores.vectors.drop(name)
    return CheckReport(report.images, report.vectors, tuple(report.problems), repair, tuple(report.notes))


class _Report:
    def __init__(self) -> None:
        self.images = 0
        self.vectors = 0
        self.problems: list[str] = []
        self.notes: list[str] = []

    def problem(self, count: int, text: str, *values: object) -> None:
        if count:
            self.problems.append(f"{count} " + text.format(*values))

    def note(self, count: int, text: str, *values: object) -> None:
        if count:
            self.notes.append(f"{count} " + text.format(*values))


def _compare_vectors(library: Library, ref: Ref, report: _Report, repair: bool) -> None:
    name = library.stores.vectors_name(ref)
    missing: list[int] = []
    extra = 0
    last = library.stores.catalog.images.last_id(ref.id)
    lows = range(0, last + 1, WINDOW)
    try:
        library.stores.vectors.examine(name)
        for low in lows:
            # Rows first: what is ready now has had its vector before.
            ready = library.stores.catalog.images.ready_ids(ref.id, low, low + WINDOW)
            stored = library.stores.vectors.ids(name, low, low + WINDOW)
            report.images += len(ready)
            report.vectors += len(stored)
            missing += np.setdiff1d(np.asarray(ready, dtype=np.int64), stored).tolist()
            extra += _delete_extra(library, ref, np.setdiff1d(stored, np.asarray(ready, dtype=np.int64)).tolist(), repair)
        while beyond := library.stores.vectors.ids(name, lows[-1] + WINDOW, None).tolist():
            report.vectors += len(beyond)
            deleted = _delete_extra(library, ref, beyond, repair)
            extra += deleted
            if not repair or not deleted:
                break
    except (NoSuchVectors, VectorsDamaged) as error:
        if ref.generation not in {now.generation for now in library.stores.catalog.collections.refs("ready") if now.id == ref.id}:
            report.note(1, "collection, {}, was dropped or encoded anew meanwhile: check again.", ref.name)
            return
        missing = [id for low in lows for id in library.stores.catalog.images.ready_ids(ref.id, low, low + WINDOW)]
        report.images = report.images or len(missing)
        if isinstance(error, VectorsDamaged):
            report.problem(1, "collection of vectors, that of {}, is damaged. {}", ref.name, error)
        else:
            report.problem(1, "collection of vectors, that of {}, is missing in Milvus.", ref.name)
        if repair:
            if isinstance(error, VectorsDamaged):
                library.stores.vectors.discard(name)
            library.stores.vectors.ensure(name, ref.encoder.dim, ref.index)
    report.problem(len(missing), "images of {} have no vector.", ref.name)
    report.problem(extra, "vectors of {} have no row.", ref.name)
    stale = library.stores.catalog.images.stale(ref.id)
    report.problem(len(stale), "images of {} were moved, and the folder filter does not know it yet.", ref.name)
    if repair:
        library.stores.catalog.images.unready(missing)
        library.handle(ref).refresh(stale)


def _delete_extra(library: Library, ref: Ref, ids: Sequence[int], repair: bool) -> int:
    # A pending row's vector may have been written a moment ago: finish() makes the row ready next.
    known = library.stores.catalog.images.known_ids(ref.id, ids)
    orphans = [id for id in ids if id not in known]
    if repair and orphans:
        library.stores.vectors.delete(library.stores.vectors_name(ref), orphans)
    return len(orphans)


def _compare_files(library: Library, ref: Ref, report: _Report, repair: bool) -> None:
    """Files that are gone make their pictures missing with `repair`; nothing is deleted, and what is back is found at once."""
    uploads = left = unreachable = 0
    away = library.files.uploads.away()

    def mark(path: str) -> bool:
        nonlocal uploads, left, unreachable
        if library.files.uploads.holds(path):
            uploads += 1
        elif folder_trouble(Path(path).parent) is None:
            left += 1
        else:
            unreachable += 1
            return False
        return repair

    swept = library.handle(ref).look(within=mark)
    if away:
        report.problem(uploads, "uploaded files of {} are not in {}: is a drive missing?", ref.name, library.files.uploads.folder)
    else:
        report.problem(uploads, "uploaded files of {} are lost.", ref.name)
    report.problem(left, "files of {} have left their folder.", ref.name)
    report.note(unreachable, "files of {} lie in folders that are not there now: is a drive missing?", ref.name)
    report.notes += swept.suspicions
    report.note(swept.found, "images of {} were missing and are back.", ref.name)
    missing = library.stores.catalog.collections.missing(ref.id)
    report.note(missing, "images of {} are missing: hidden until their files are back, or `tsir forget FOLDER` takes them out.", ref.name)


def _compare_thumbnails(library: Library, ref: Ref, report: _Report, make: Callable[[Image], bool] | None) -> None:
    """A cache: what it lacks is no fault, but `make` fills it."""
    lacking = made = after = 0
    while found := library.stores.catalog.images.hashes(ref, after, BATCH):
        after = found[-1][0]
        without = [id for id, content_hash in found if not all(library.files.thumbnails.find(content_hash, size) for size in SIZES)]
        lacking += len(without)
        if make and without:
            made += sum(make(image) for image in library.stores.catalog.images.ready(ref, without).values())
    report.note(made, "images of {} had no thumbnails; they were made.", ref.name)
    report.note(lacking - made, "images of {} have no thumbnails yet.", ref.name)


def _strays(library: Library, report: _Report, repair: bool, working: Callable[[], bool]) -> None:
    """Thumbnails and uploads that belong to no image."""
    before = time.time() - YOUNG
    count = 0
    for part in chunks(library.files.thumbnails.hashes(before), BATCH):
        strays = set(part) - library.stores.catalog.images.known_hashes(list(set(part)))
        count += len(strays)
        if repair:
            for content_hash in strays:
                library.files.thumbnails.delete(content_hash)
    report.problem(count, "thumbnails belong to no image.")
    if working():
        return
    count = adopted = 0
    for paths in chunks(library.files.uploads.paths(before), BATCH):
        lost = set(paths) - library.stores.catalog.locations.known_paths(paths)
        count += len(lost)
        if repair and report.images:
            adopted += sum(_keep_upload(library, Path(path)) for path in sorted(lost))
    report.note(adopted, "uploaded files were of images without a file, which are whole again.")
    if repair:
        moved = count - adopted if report.images else 0
        trash = library.files.trash
        report.note(moved, "uploaded files were moved to {}, where they stay for {} days.", trash.folder, trash.days)
        report.note(trash.purge(), "files were in the trash for longer than that, and are gone.")
    if report.images:
        report.problem(count, "uploaded files belong to no image.")
    else:  # a fresh database beside the uploads of a lost one
        report.note(count, "uploaded files belong to no image; as the catalog knows no image at all, they are never deleted.")


def _keep_upload(library: Library, path: Path) -> bool:
    """What to do with an upload that no row names: an image of its content that lost its file gets it, anything else goes to the trash.

    Nobody else may have such a file, so that none is deleted. Returns whether an image got it.
    """
    if path.suffix == TEMPORARY:  # what a killed process had written of one: never a whole file
        path.unlink(missing_ok=True)
        return False
    with path.open("rb") as file:
        content_hash = hashlib.sha256()
        while part := file.read(2**20):
            content_hash.update(part)
    stat = path.stat()
    adopted = False
    for ref, image in library.stores.catalog.images.of_content(content_hash.hexdigest()):
        if image.missing:
            file_stat = FileStat(str(path), stat.st_size, stat.st_mtime_ns)
            library.handle(ref).begin([NewImage(file_stat, image.content_hash, image.metadata)])
            adopted = True
    if not adopted:
        library.files.trash.put(path, "tsir check --repair found no picture of the catalog that it belongs to")
    return adopted
