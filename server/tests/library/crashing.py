"""A process that dies by SIGKILL right after a chosen step."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.forks import begin, ended
from tests.library.conftest import ENCODER, axis, new_image
from tsir.library.library import Library
from tsir.library.steps import Step
from tsir.records import EncoderInfo
from tsir.settings import Settings

OTHER = EncoderInfo("other", "beef", 8)
PICTURES = 12


def items(folder: Path) -> list[Any]:
    return [new_image(folder / f"{n}.jpg") for n in range(PICTURES)]


def load(library: Library, folder: Path) -> None:
    """What an import does, in batches of four."""
    library.create("photos", ENCODER)
    everything = items(folder)
    same = library.collection("photos").unchanged([item.file for item in everything])
    todo = [(n, item) for n, item in enumerate(everything) if item.file.path not in same]
    for start in range(0, len(todo), 4):
        part = todo[start : start + 4]
        begun = library.collection("photos").begin([item for _, item in part])
        new = [(entry.id, axis(1, n)) for entry, (n, _) in zip(begun, part, strict=True) if entry.status == "new"]
        if new:
            library.collection("photos").finish([id for id, _ in new], np.stack([vector for _, vector in new]))


def change(library: Library, folder: Path) -> None:
    """Pictures 0 to 3 get other content, 4 a copy elsewhere."""
    changed = [new_image(folder / f"{n}.jpg", f"changed {n}") for n in range(4)]
    copy = new_image(folder / "copies/4.jpg", str(folder / "4.jpg"))
    begun = library.collection("photos").begin([*changed, copy])
    library.collection("photos").finish([entry.id for entry in begun[:4]], np.stack([axis(1, n) for n in range(4)]))


def sweep(library: Library, folder: Path) -> None:
    for n in range(4):
        (folder / f"{n}.jpg").unlink(missing_ok=True)
    library.collection("photos").sweep(folder)
    library.collection("photos").forget_missing(folder)


def delete(library: Library, folder: Path) -> None:
    found = (library.find_path(str(folder / f"{n}.jpg")) for n in range(4))
    library.collection("photos").delete([image.id for image in found if image])


def remove(library: Library, folder: Path) -> None:
    found = (library.find_path(str(folder / f"{n}.jpg")) for n in range(4))
    library.collection("photos").remove([image.id for image in found if image])


def drop(library: Library, _folder: Path) -> None:
    if any(collection.name == "photos" for collection in library.collections()):
        library.drop("photos")


def reencode(library: Library, _folder: Path) -> None:
    if library.collection("photos").encoder == OTHER:
        return
    moving = library.reencoding("photos")
    moving.begin(OTHER)
    while batch := moving.batch(4):
        vectors = np.stack([axis(0, 0, 1, int(Path(image.path).stem)) for image in batch])
        moving.finish([image.id for image in batch], vectors)
    moving.swap()


ACTIONS: dict[str, Callable[[Library, Path], None]] = {
    action.__name__: action for action in (load, change, sweep, delete, remove, drop, reencode)
}


def arguments(settings: Settings) -> str:
    """Settings for another process."""
    return json.dumps(
        {
            "data_dir": str(settings.data_dir),
            "image_roots": settings.image_roots,
            "database_url": settings.database_url.get_secret_value() if settings.database_url else None,
            "milvus_uri": settings.milvus_uri,
        }
    )


def parse(text: str) -> Settings:
    return Settings(_env_file=None, **json.loads(text))


def run_until(settings: Settings, action: str, step: Step) -> int:
    """Run an action in a process that dies right after `step`; returns how it ended."""
    return ended(begin(_run, arguments(settings), action, step.name))


def _run(text: str, action: str, fatal: str) -> None:
    settings = parse(text)
    armed: list[bool] = []

    def die(step: Step) -> None:
        # Only the action's own steps count: opening finishes deletions, too.
        if armed and step is Step[fatal]:
            os.kill(os.getpid(), signal.SIGKILL)

    library = Library.open(settings, after=die)
    armed.append(True)
    ACTIONS[action](library, settings.roots[0])
    library.close()
