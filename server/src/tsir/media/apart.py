"""Decoding in processes of their own: a decoder that crashes, hangs or eats memory costs one file, not the program.

A process is started when it is first needed, serves one file at a time and stays for the next. What it says is text and pixels, never
objects, and it has nothing to lose. The room that decoding may take is still counted here, over all of them.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image as PILImage
from PIL.Image import Image, Resampling

from tsir.errors import InvalidImage, TooLarge, TsirError
from tsir.geometry import Geometry
from tsir.media import decode
from tsir.media.decode import Picture, Unreadable, open_picture
from tsir.media.thumbnails import ThumbnailSize, rendered
from tsir.records import ImageMetadata

CPU_S = 60
"""Seconds of computing that a file may take: a hundred times of what the largest picture allowed takes."""
WALL_S = 600
"""Seconds after which a file is given up whatever it waits for: drives may have to wake up."""
BASE_BYTES = 2 * 2**30
PIXEL_BYTES = 16
"""Address space that a process may have: so much, and so much for each pixel that a picture may have."""
START_S = 60
"""Seconds that a process may need to start, on a machine with much else to do."""
END_S = 5
"""Seconds that a killed process may need to be gone."""
MOST = max(8, os.cpu_count() or 1)
"""Processes at one time: each takes 45 MB beside its picture."""
HELLO = b"ready"
INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
"""Of the environment; keys and passwords in it are nobody's business there."""

log = logging.getLogger(__name__)

_ERRORS: dict[str, type[TsirError]] = {error.__name__: error for error in (InvalidImage, TooLarge, Unreadable)}


@dataclass(frozen=True)
class Product:
    """What is made of a picture where it is decoded: all of its pixels need not travel then."""

    photo: Geometry | None = None
    """In this form the picture comes, be it `image` or `as_stored`; None: as it is."""
    as_stored: bool = False
    """`image` comes as the file has its colours, too."""
    thumbnails: tuple[ThumbnailSize, ...] = ()

    def of(self, picture: Picture) -> Picture:
        thumbnails = dict(rendered(picture.image, self.thumbnails))
        if self.photo is None:
            return replace(picture, thumbnails=thumbnails)
        photo = self.photo.apply(picture.as_stored if self.as_stored else picture.image)
        return replace(picture, image=photo, as_stored=photo, thumbnails=thumbnails)

    def said(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def heard(said: dict[str, Any]) -> Product:
        photo = said["photo"] and Geometry(**said["photo"] | {"resample": Resampling(said["photo"]["resample"])})
        return Product(photo, said["as_stored"], tuple(said["thumbnails"]))


WHOLE = Product()


def open_apart(
    source: Path | bytes,
    *,
    max_bytes: int,
    max_pixels: int,
    min_side: int | None = None,
    min_long_side: int | None = None,
    product: Product = WHOLE,
) -> Picture:
    """Like `decode.open_picture`; what kills two processes in a row is a broken file. Where none can be started it is done here."""
    limits: dict[str, Any] = {"max_bytes": max_bytes, "max_pixels": max_pixels, "min_side": min_side, "min_long_side": min_long_side}
    if isinstance(source, bytes) and len(source) > max_bytes:
        return open_picture(source, **limits)  # raises the right error
    ended = ""
    for fresh in (False, True):  # the first may have been hurt by a file before this one
        with _borrowed(max_pixels, fresh=fresh) as process:
            if process is None:
                return product.of(open_picture(source, **limits))
            try:
                return process.open(source, limits, product)
            except _Late:
                process.end()
                raise Unreadable(f"Reading the picture took more than {WALL_S} s: it was given up. Is its drive connected?") from None
            except (EOFError, OSError, ValueError):  # also what is no JSON
                ended = process.end()
    raise InvalidImage(ended)


class _Late(Exception):
    """Nothing came from a process for too long."""


def processes() -> list[int]:
    """Ids of those that wait for work."""
    with _lock:
        return [process.id for process in _idle]


class _Process:
    """One that decodes. Raises OSError when it cannot be started."""

    def __init__(self, max_pixels: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", "from tsir.media.apart import serve; serve()", str(theirs.fileno()), str(max_pixels)]
            environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
            }
            self._line = Connection(ours.detach())
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        self.id = self._process.pid
        self.max_pixels = max_pixels
        self.alive = True
        try:
            if not self._line.poll(START_S) or self._line.recv_bytes() != HELLO:
                raise OSError("no answer")
        except (EOFError, OSError) as error:
            self.end()
            raise OSError(f"the process did not start: {error}") from error

    def open(self, source: Path | bytes, limits: dict[str, Any], product: Product) -> Picture:
        """Raises what `open_picture` raises, and EOFError, OSError or ValueError when the process is of no more use."""
        path = os.fsencode(source).hex() if isinstance(source, Path) else None
        self._line.send_bytes(json.dumps({"path": path, "limits": limits, "product": product.said()}).encode())
        if isinstance(source, bytes):
            self._line.send_bytes(source)
        with ExitStack() as room:
            while True:
                if not self._line.poll(WALL_S):
                    raise _Late
                said = json.loads(self._line.recv_bytes())
                if "room" in said:
                    room.enter_context(decode.room(int(said["room"])))
                    self._line.send_bytes(b"go")
                elif "error" in said:
                    raise _ERRORS[said["error"]](said["sentence"])
                else:
                    image = self._pixels(said["size"])
                    as_stored = self._pixels(said["size"]) if said["two"] else image
                    facts = said["metadata"]
                    facts["taken_at"] = datetime.fromisoformat(facts["taken_at"]) if facts["taken_at"] else None
                    thumbnails = {size: self._line.recv_bytes() for size in said["thumbnails"]}
                    return Picture(image, as_stored, ImageMetadata(**facts), said["hash"], said["missing"], thumbnails)

    def _pixels(self, size: list[int]) -> Image:
        return PILImage.frombuffer("RGB", (size[0], size[1]), self._line.recv_bytes(), "raw", "RGB", 0, 1)

    def end(self) -> str:
        """End it; returns what is to be said of the file that it was at."""
        self.alive = False
        self._line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may be about to die by itself, which tells more
            self._process.wait(0.5)
        self._process.kill()
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:  # waits for a drive that is silent, and cannot even be killed
            return "The picture cannot be read: its drive does not answer."
        if code == -signal.SIGPROF:
            return f"Decoding the picture took more than {CPU_S} s: it was given up."
        if code == -signal.SIGKILL:
            return "The picture takes more memory, or time, than there is: it was given up."
        return "The picture is broken, in a way that made its decoder crash."


_idle: list[_Process] = []
_lock = threading.Lock()
_turn = threading.BoundedSemaphore(MOST)
_broken_here = threading.Event()
"""No process could be started on this system."""


@contextmanager
def _borrowed(max_pixels: int, *, fresh: bool) -> Iterator[_Process | None]:
    """A process for one file: the one that was used last, or a new one; None where there are none to be had."""
    with _turn:
        with _lock:
            process = None if fresh else next((one for one in reversed(_idle) if one.max_pixels == max_pixels), None)
            if process:
                _idle.remove(process)
        if not process and not _broken_here.is_set():
            try:
                process = _Process(max_pixels)
            except OSError as error:
                log.warning("Pictures are decoded in this process: %s.", error)
                _broken_here.set()
        try:
            yield process
        finally:
            with _lock:
                _idle.extend([process] if process and process.alive else [])
                spare = _idle.pop(0) if len(_idle) > MOST else None
            if spare:
                spare.end()


@atexit.register
def close() -> None:
    """End the processes that have nothing to do."""
    with _lock:
        ended, _idle[:] = list(_idle), []
    for process in ended:
        process.end()


def serve() -> None:
    """What such a process does until nobody listens any more."""
    line, max_pixels = Connection(int(sys.argv[1])), int(sys.argv[2])
    for meant_for_all in (signal.SIGINT, signal.SIGTERM):
        signal.signal(meant_for_all, signal.SIG_IGN)  # the end of the line is the end
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    space = BASE_BYTES + PIXEL_BYTES * max_pixels
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > space:
        resource.setrlimit(resource.RLIMIT_AS, (space, space))

    @contextmanager
    def room(pixels: int) -> Iterator[None]:
        line.send_bytes(json.dumps({"room": pixels}).encode())
        line.recv_bytes()
        yield

    decode.room = room
    with contextlib.suppress(EOFError, OSError):
        line.send_bytes(HELLO)
        while True:
            asked = json.loads(line.recv_bytes())
            source = Path(os.fsdecode(bytes.fromhex(asked["path"]))) if asked["path"] else line.recv_bytes()
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            try:
                picture = Product.heard(asked["product"]).of(open_picture(source, **asked["limits"]))
            except TsirError as error:
                line.send_bytes(json.dumps({"error": type(error).__name__, "sentence": str(error)}).encode())
                continue
            facts = asdict(picture.metadata)
            facts["taken_at"] = facts["taken_at"] and facts["taken_at"].isoformat()
            two = picture.as_stored is not picture.image
            answer = {"size": picture.image.size, "two": two, "metadata": facts, "hash": picture.content_hash, "missing": picture.missing}
            line.send_bytes(json.dumps(answer | {"thumbnails": list(picture.thumbnails)}).encode())
            for image in (picture.image, picture.as_stored)[: 1 + two]:
                line.send_bytes(image.tobytes())
            for data in picture.thumbnails.values():
                line.send_bytes(data)
