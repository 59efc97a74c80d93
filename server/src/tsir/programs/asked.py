"""What programs give to a search or an import, as pictures in many forms and conditions as keywords -> what services and servers take."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from tsir.errors import InvalidInput, NotFound
from tsir.importing.scan import scan
from tsir.jobs.model import JobFailure
from tsir.media.formats import is_picture_name
from tsir.services.views import FailureOut, ImageOut
from tsir.storage.filters import shown
from tsir.storage.kinds import MAX_ID, is_unicode

Picture: TypeAlias = str | os.PathLike[str] | bytes | PILImage.Image | npt.NDArray[np.uint8]
"""A picture: the path of its file, its file's bytes, a PIL image, or an array uint8 [height, width], [height, width, 3] or, with
transparency, [height, width, 4]."""

Like: TypeAlias = int | ImageOut
"""A picture of a collection: its id, or a hit."""

Part: TypeAlias = tuple[Like, Sequence[float]]
"""A part of a picture: (left, top, right, bottom), as shares of its sides, 0 to 1."""

Likes: TypeAlias = Like | Part | Sequence[Like | Part]
Texts: TypeAlias = str | Sequence[str]
"""One, or several that count together."""

Source: TypeAlias = Picture | Sequence[Picture]
"""What can be added: a folder, a picture (or a zip of pictures, by its path), or several of these."""


def picture_bytes(what: str, picture: Picture) -> bytes:
    """The bytes of a picture's file; of pixels, as PNG. Raises InvalidInput, naming `what` was given, for what is no picture at all."""
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        try:
            return Path(picture).expanduser().read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"{what} {str(picture)!r} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape or picture.shape[2:] not in ((), (3,), (4,)):
            raise InvalidInput(
                f"{what} is an array {picture.dtype} {list(picture.shape)}; it must be uint8 [height, width], [height, width, 3] or "
                "[height, width, 4], with values from 0 to 255."
            )
        picture = PILImage.fromarray(picture)
    if isinstance(picture, PILImage.Image):
        buffer = io.BytesIO()
        (picture if picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else picture.convert("RGB")).save(buffer, "PNG")
        return buffer.getvalue()
    raise InvalidInput(f"{what} is of the type {type(picture).__name__}; it must be a path, bytes, a PIL image or a numpy array.")


@dataclass(frozen=True)
class Asked:
    """The parts of a search: texts as a form has them, some several times, `others` as they are, and the bytes of pictures."""

    fields: Mapping[str, Sequence[str]]
    others: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def asked(
    texts: Mapping[str, Texts | None],
    pictures: Mapping[str, Picture | None],
    likes: Mapping[str, Likes | None],
    weights: Mapping[str, float] | None,
    collections: Texts | None,
    others: Mapping[str, object],
    conditions: Mapping[str, object],
) -> Asked:
    """A search of these parts; None is left out. `others`: limit, cursor and the like, as they are. Raises InvalidInput."""
    fields: dict[str, list[str]] = {}
    for name, given in texts.items():
        for text in () if given is None else [given] if isinstance(given, str) or not isinstance(given, Sequence) else given:
            if not isinstance(text, str):
                raise InvalidInput(f"{name} is of the type {type(text).__name__}; it must be a text.")
            if not is_unicode(text):
                raise InvalidInput(f"{name} is not valid Unicode (UTF-8): {text!r}.")
            fields.setdefault(name, []).append(text)
    for name, examples in likes.items():
        if examples is not None:
            several: Any = examples if isinstance(examples, Sequence) and not _is_part(examples) else [examples]
            fields[name] = [_example(name, one) for one in several]
    if weights:
        fields["weights"] = [_weights(weights)]
    if collections:
        fields["collections"] = [_collections(collections)]
    if held := filter_of(conditions):
        fields["filter"] = [held]
    return Asked(
        fields,
        {name: value.item() if isinstance(value, np.generic) else value for name, value in others.items() if value is not None},
        {name: picture_bytes(name, picture) for name, picture in pictures.items() if picture is not None},
    )


def filter_of(conditions: Mapping[str, object]) -> str:
    """Conditions as a form has them; empty when there is none. Raises InvalidInput."""
    held = {name: value for name, value in conditions.items() if value is not None}
    return json.dumps(held, default=_plain) if held else ""


def _weights(given: Mapping[str, float]) -> str:
    try:
        return json.dumps(dict(given), default=float)
    except (TypeError, ValueError):
        raise InvalidInput(f'weights is {shown(given)}; it must be a mapping such as {{"text": 1, "sketch": 0.5}}.') from None


def _collections(given: Texts) -> str:
    """Names as a form has them."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f'collections is {shown(given)}; it must be a list of names, or "all".')
    return ",".join(names)


def _is_part(given: object) -> bool:
    """Whether that is a picture with a box, rather than several pictures."""
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Sequence)


def _example(name: str, given: Like | Part) -> str:
    """A picture, or a part of one, as a form has it."""
    if not isinstance(given, tuple):
        return str(id_of(given))
    picture, box = given
    try:
        return f"{id_of(picture)}@" + ",".join(str(float(side)) for side in box)
    except (TypeError, ValueError):
        raise InvalidInput(f"The box of {name} is {box!r}; it must be (left, top, right, bottom), shares of the sides.") from None


def id_of(picture: Like) -> int:
    """The id of a picture of a collection."""
    id = picture.id if isinstance(picture, ImageOut) else picture
    if isinstance(id, bool) or not isinstance(id, int | np.integer):
        raise InvalidInput(f"A picture is named by its id or by a hit, not by something of the type {type(picture).__name__}.")
    if not 1 <= id <= MAX_ID:
        raise InvalidInput(f"The id of a picture is {id}; it must be between 1 and {MAX_ID}.")
    return int(id)


def _plain(value: object) -> object:
    """Conditions as JSON has them."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return datetime.combine(value, time()).isoformat()
    if isinstance(value, os.PathLike):
        return str(Path(value).expanduser().absolute())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Iterable):
        return list(value)
    raise InvalidInput(f"A condition is of the type {type(value).__name__}, which means nothing here.")


@dataclass(frozen=True)
class Sent:
    """A file on its way to a library that keeps a copy of it."""

    name: str
    """What its owner calls it."""
    bytes: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Taken:
    """What is to be added: folders, single files, and what cannot be used of all that."""

    folders: tuple[Path, ...] = ()
    files: tuple[Sent, ...] = ()


def taken(source: Source) -> Taken:
    """What a program wants to add. Raises NotFound for a path where nothing is, InvalidInput for what is no picture."""
    several = isinstance(source, Sequence) and not isinstance(source, str | bytes)
    items: Sequence[Picture] = source if several else (source,)  # type: ignore[assignment]
    folders: list[Path] = []
    files: list[Sent] = []
    for number, item in enumerate(items, 1):
        if isinstance(item, str | os.PathLike):
            path = Path(item).expanduser()
            try:
                if not os.fspath(item):  # which Path takes for the folder one is in
                    raise ValueError
                path = path.resolve()
                if path.is_dir():
                    folders.append(path)
                    continue
                files.append(_file(path, path.name))
            except (OSError, RuntimeError, ValueError) as error:
                raise NotFound(f"There is no file or folder {str(item)!r}.") from error
        else:
            data = picture_bytes("The picture", item)
            files.append(Sent(f"picture {number}", len(data), lambda data=data: io.BytesIO(data)))  # type: ignore[misc]
    if not folders and not files:
        raise InvalidInput("Nothing to add: give a folder, a picture, or several.")
    return Taken(tuple(folders), tuple(files))


def files_of(folder: Path) -> tuple[list[Sent], list[FailureOut]]:
    """The picture files below a folder, named from it on, as an import of the folder would see them; and what cannot be used."""
    files: list[Sent] = []
    failures: list[FailureOut] = []
    for batch in scan(folder):
        for item in batch:
            if isinstance(item, JobFailure):
                failures.append(FailureOut(path=item.path, reason=item.reason))
            elif is_picture_name(item.file.path):
                path = Path(item.file.path)
                try:
                    files.append(_file(path, str(path.relative_to(folder.parent))))
                except OSError as error:
                    failures.append(FailureOut(path=item.file.path, reason=f"The file cannot be read: {error.strerror or error}."))
    return files, failures


def _file(path: Path, name: str) -> Sent:
    return Sent(name, path.stat().st_size, lambda: path.open("rb"))
