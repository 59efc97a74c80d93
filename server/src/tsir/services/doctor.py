"""What keeps the program from running well here, and what to do about it. Only looks: nothing is created, migrated or mended."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import SecretStr

from tsir.encoders import registry
from tsir.errors import CatalogDamaged, TsirError, VectorsDamaged, encoder_mismatch
from tsir.library.places import Absence
from tsir.media.files import folder_trouble
from tsir.media.files import said as reason
from tsir.patience import answered
from tsir.records import EncoderInfo
from tsir.services.opening import refuse_open
from tsir.settings import ApiKey, Settings
from tsir.storage.milvus.client import VectorStore
from tsir.storage.sql.collections import Collections, Ref
from tsir.storage.sql.copies import Copies
from tsir.storage.sql.engine import Database
from tsir.storage.sql.locations import Locations

T = TypeVar("T")

MASK = "***"
LEAST_ROOM, LITTLE_ROOM = 200 * 2**20, 2 * 2**30
"""Bytes free below which an import cannot work for long, and below which a person may want to know."""
PLACES = 1_000
"""Files of the catalog that are looked for at once."""
FILES = "Give this user the right to read and write it, and its folder; if it may, look to the disk."
DATABASE = "Start the database, or set DATABASE_URL (or MYSQL_HOST and the like) right."
MILVUS = "Start Milvus, or set MILVUS_URI and MILVUS_TOKEN right."
USERINFO = re.compile(r"(?<=//)[^/@\s]+(?=@)")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["well", "notice", "trouble"]
    """trouble: something does not work, or will not for long."""
    said: str
    advice: str = ""
    """What to do, where something is to be done."""


def settings_shown(settings: Settings) -> dict[str, str]:
    """What is set (in the environment, `.env` or by flags), by name; secrets are masked."""
    shown = {}
    for name in sorted(settings.model_fields_set):
        value = getattr(settings, name)
        if value is None:
            continue
        if name == "api_keys":
            keys = [ApiKey.parse(entry) for entry in settings.keys]
            shown["API_KEYS"] = f"{MASK} ({len(keys)}, of which {sum(not key.writes for key in keys)} may only read)"
        else:
            shown[name.upper()] = MASK if isinstance(value, SecretStr) else USERINFO.sub(MASK, str(value))
    return shown


def examine(settings: Settings, running: bool) -> list[Finding]:
    """Look at everything. `running`: whether a server holds DATA_DIR and answers now."""
    return [
        _tried("access", lambda: _access(settings), "Set API_KEYS, or HOST=127.0.0.1 for this machine alone."),
        *(_port(settings, name, port, running) for name, port in (("PORT", settings.port), ("CLIENT_PORT", settings.client_port))),
        *(_room(name, folder) for name, folder in _folders(settings).items()),
        _tried("catalog", lambda: _catalog(settings), FILES if _catalog_embedded(settings) else DATABASE),
        _tried("vectors", lambda: _vectors(settings, running), FILES if settings.vectors_embedded else MILVUS),
        *_encoders(settings),
        *_roots(settings),
        *_pictures(settings),
    ]


def _catalog_embedded(settings: Settings) -> bool:
    return settings.catalog_url.startswith("sqlite")


def _tried(what: str, look: Callable[[], Finding], advice: str) -> Finding:
    """What was found; an error of ours is trouble, and its sentence says which."""
    try:
        return look()
    except (CatalogDamaged, VectorsDamaged) as error:  # they say what to do
        return Finding(what, "trouble", str(error))
    except TsirError as error:
        return Finding(what, "trouble", USERINFO.sub(MASK, str(error)), advice)
    except OSError as error:
        return Finding(what, "trouble", f"{error.filename or what} cannot be read: {error.strerror or error}.", advice)


def _access(settings: Settings) -> Finding:
    refuse_open(settings)
    if settings.local:
        return Finding("access", "well", "This machine alone reaches the server.")
    if settings.keys:
        return Finding("access", "well", f"Others reach the server at {settings.publish or settings.host}, with a key.")
    said = f"Everyone who reaches {settings.publish or settings.host} may see, change and delete everything (ALLOW_OPEN)."
    return Finding("access", "notice", said, "Set API_KEYS unless that is meant.")


def _port(settings: Settings, name: str, port: int, running: bool) -> Finding:
    what = f"{name} {port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and running:
            return Finding(what, "well", "In use, by the server that runs.")
        if error.errno == errno.EADDRINUSE:
            return Finding(what, "trouble", "In use by another program.", f"Stop that, or choose another port with {name}.")
        if error.errno == errno.EACCES:
            return Finding(what, "trouble", "Needs more rights than this user has.", f"Choose a port above 1023 with {name}.")
        return Finding(what, "trouble", f"{settings.host!r}: {error.strerror or error}.", "Set HOST to an address that this machine has.")
    return Finding(what, "well", "Free.")


def _folders(settings: Settings) -> dict[str, Path]:
    data = settings.data_dir.expanduser().resolve()
    return {"DATA_DIR": data} | ({} if settings.uploads.is_relative_to(data) else {"UPLOAD_PATH": settings.uploads})


def _room(name: str, folder: Path) -> Finding:
    try:
        there = folder
        while not there.exists():
            there = there.parent
        free, left = shutil.disk_usage(there).free, os.statvfs(there)
    except OSError as error:
        closed = isinstance(error, PermissionError)
        advice = f"{'Give this user the right to' if closed else 'Mount its drive'}, or set {name} to another folder."
        return Finding(name, "trouble", f"{folder} cannot be read: {error.strerror or error}.", advice)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, "trouble", f"{there} cannot be written.", f"Give this user the right to, or set {name} to another folder.")
    new = "" if folder.exists() else " It is made at the first start."
    said = f"{folder}: {free / 2**30:.1f} GB free.{new}"
    if free < LEAST_ROOM or (left.f_files and not left.f_favail):
        full = said if free < LEAST_ROOM else f"{folder}: the disk can hold no further files, however small."
        return Finding(name, "trouble", full, f"Make room on this disk, or set {name} to a folder on another.")
    return Finding(name, "notice" if free < LITTLE_ROOM else "well", said, "Make room before a large import." if free < LITTLE_ROOM else "")


def _catalog(settings: Settings) -> Finding:
    if not _catalog_embedded(settings):
        database = Database(settings)
        try:
            database.ping()
        finally:
            database.close()
        return Finding("catalog", "well", f"{database.where} answers.")
    copies = Copies(settings)
    copies.expect()
    assert copies.catalog is not None
    path = copies.catalog.resolve()
    if not path.exists():
        return Finding("catalog", "well", f"{path} is made at the first start.")
    if damage := copies.damage():
        return Finding("catalog", "trouble", f"{copies.lost(f'is damaged: {damage}')}", "Run `tsir restore` as it says, then `tsir check`.")
    kept = copies.all()
    copied = f", last copied to {kept[-1].name}," if kept else ""
    return Finding("catalog", "well", f"{path}{copied} is sound.")


def _vectors(settings: Settings, running: bool) -> Finding:
    where = settings.vectors_uri
    if settings.vectors_embedded:
        if not Path(where).exists():
            rows = _catalog_embedded(settings) and Path(settings.catalog_url.partition(":///")[2]).exists()
            if rows and not running:
                return Finding(
                    "vectors", "trouble", f"{where} is not there, but the catalog is.", "Run `tsir check`, which says what is missing."
                )
            return Finding("vectors", "well", f"{where} is made at the first start.")
        if running:
            return Finding("vectors", "well", f"{where} is held by the server that runs.")
    with _alone(settings) as alone:
        if not alone:
            return Finding("vectors", "notice", f"{where} is held by another process.", "Look again when that has ended.")
        store = VectorStore(settings)
        try:
            store.ping()
        finally:
            store.close()
    return Finding("vectors", "well", f"{USERINFO.sub(MASK, where)} answers.")


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[bool]:
    """Whether no other process holds the embedded library; none can take it inside of the block."""
    lock = settings.data_dir.expanduser().resolve() / ".lock"
    if not settings.vectors_embedded or not lock.exists():
        yield True
        return
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _encoders(settings: Settings) -> Iterator[Finding]:
    """The encoder, and collections that are of another one."""
    running: list[EncoderInfo] = []

    def load() -> Finding:
        encoder = registry.load_encoder(settings)
        try:
            running.append(encoder.info)
            return Finding("encoder", "well", f"{encoder.name} is loaded, on {encoder.device}.")
        finally:
            encoder.close()

    yield _tried("encoder", load, "Set MODEL, WEIGHTS and DEVICE right; `tsir weights list` shows what is there.")
    for ref in _collections(settings):
        if running and ref.encoder.fingerprint != running[0].fingerprint:
            said = str(encoder_mismatch(ref.name, ref.encoder, running[0]))
            if ref.state_shown == "reencoding":
                yield Finding("collection", "notice", f"{ref.name!r} is being re-encoded with {running[0].name}; a running server goes on.")
            else:
                advice = "Until then it can be browsed and searched by its own pictures, but not by words, drawings or other pictures."
                yield Finding("collection", "trouble", said, advice)


def _collections(settings: Settings) -> list[Ref]:
    """Those of the catalog; none where it cannot be asked."""
    return _asked(settings, lambda database: Collections(database).refs("ready")) or []


def _asked(settings: Settings, question: Callable[[Database], T]) -> T | None:
    """What the catalog answers; None where there is none, or it cannot be asked, of which `_catalog` tells."""
    catalog = Copies(settings).catalog
    try:
        if catalog is not None and not catalog.exists():
            return None
        with contextlib.closing(Database(settings)) as database:
            return question(database)
    except (TsirError, OSError):
        return None


def _roots(settings: Settings) -> list[Finding]:
    return [_root(root) for root in settings.roots]


def _pictures(settings: Settings) -> list[Finding]:
    """Folders of the catalog's pictures that look as if their drive were away; nothing where all is as it was."""
    advice = "Mount it, or give this user the right to read it. What you deleted, `tsir forget FOLDER` takes out."
    folders: dict[str, set[str] | OSError] = {}

    def listed(folder: str) -> set[str] | OSError:
        try:
            return answered(folder, lambda: {path.name for path in Path(folder).iterdir()})
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except OSError as error:
            return error

    def look(database: Database) -> tuple[str, ...]:
        locations, away = Locations(database), Absence(None)
        for ref in Collections(database).refs("ready"):
            after = 0
            while places := locations.places(ref.id, after, PLACES):
                after = places[-1].id
                for place in places:
                    folder, _, name = place.file.path.rpartition("/")
                    if folder not in folders:
                        folders[folder] = listed(folder)
                    there = folders[folder]
                    if isinstance(there, OSError):
                        away.unreached(place.file.path, reason(there))
                    away.count(place.file.path, gone=not isinstance(there, OSError) and name not in there, known=place.missing)
        return away.suspicions()

    return [Finding("pictures", "trouble", sentence, advice) for sentence in _asked(settings, look) or ()]


def _root(root: Path) -> Finding:
    try:
        empty = answered(root, lambda: next(root.iterdir(), None) is None)
    except OSError as error:
        said = f"{root} {folder_trouble(root) or f'cannot be read: {reason(error)}'}."
        closed = isinstance(error, PermissionError)
        advice = f"{'Give this user the right to' if closed else 'Is a drive missing? Mount it'}, or take the folder out of IMAGE_ROOTS."
        return Finding("IMAGE_ROOTS", "trouble", said, advice)
    if empty:
        return Finding(
            "IMAGE_ROOTS", "notice", f"{root} is empty.", "Is a drive missing? Where one belongs here, mount it before an import."
        )
    return Finding("IMAGE_ROOTS", "well", f"{root} is there.")
