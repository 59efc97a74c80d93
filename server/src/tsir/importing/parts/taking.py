"""A part that was made -> rows, vectors and thumbnails of a collection. What is there already is left as it is."""

from __future__ import annotations

from contextlib import suppress

from tsir.errors import StoreUnavailable
from tsir.importing.parts.shelf import Made
from tsir.jobs.line import Line
from tsir.jobs.progress import Progress
from tsir.library.collection import Collection
from tsir.media.thumbnails import Thumbnails
from tsir.paging import chunks
from tsir.records import EncoderInfo

ROWS = 1_000
"""Pictures written at a time."""


def take(made: Made, encoder: EncoderInfo, collection: Collection, thumbnails: Thumbnails, progress: Progress, line: Line) -> None:
    """Bring a part into a collection, and count. Done again after a crash it does what is left.

    Raises Stopped, EncoderMismatch when the collection is of another encoder, and errors of the library other than StoreUnavailable.
    """
    progress.add(failures=made.failures, cut=made.cut)
    for rows in chunks(range(len(made.images)), ROWS):
        known = line.patiently(collection.unchanged, [made.images[row].file for row in rows], again=False)
        fresh = [row for row in rows if made.images[row].file.path not in known]
        progress.add(skipped=len(rows) - len(fresh))
        begun = line.patiently(collection.begin, [made.images[row] for row in fresh], again=False)
        for row, entry in zip(fresh, begun, strict=True):
            if entry.status != "excluded":
                with suppress(StoreUnavailable):  # they are made again when they are asked for
                    thumbnails.put(made.images[row].content_hash, made.thumbnails[row])
        waiting = {entry.id: row for entry, row in zip(begun, fresh, strict=True) if entry.status == "new"}
        if waiting:
            line.patiently(collection.finish, list(waiting), made.vectors[list(waiting.values())], encoder)
        out = sum(entry.status == "excluded" for entry in begun)
        progress.add(done=len(fresh) - out, skipped=out)
