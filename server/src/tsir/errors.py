"""What can go wrong for a user: each error has an HTTP status, a code for programs, and a sentence that says what to do.

Raise these where input is parsed or a store answers; the API turns them into `application/problem+json`, the command line
into one line and exit code 1. Anything else that escapes is a defect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsir.records import EncoderInfo


class TsirError(Exception):
    """Base of every error that is shown to a user. `str(error)` is the sentence."""

    status = 400
    title = "Bad request"
    code = "bad_request"
    """Of the kind of error; stable, so that a client can act on it, or say it in another language."""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.members: dict[str, int] = {}
        """What a program is told besides, such as the place of a word."""
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, if it ever does."""


class InvalidInput(TsirError):
    """A parameter, file or setting that cannot be used as it is."""

    status = 422
    title = "Invalid input"
    code = "invalid_input"


class InvalidImage(InvalidInput):
    """Bytes that are not a picture we can read: broken, truncated, empty or of an unknown format."""

    title = "Not a readable picture"
    code = "invalid_image"


class TooLarge(TsirError):
    """More bytes or pixels than the limits allow."""

    status = 413
    title = "Too large"
    code = "too_large"


class NotFound(TsirError):
    """A collection, image, job or file that does not exist (or must not be seen)."""

    status = 404
    title = "Not found"
    code = "not_found"


class Forbidden(TsirError):
    """A path outside the allowed roots, or an address that is not public."""

    status = 403
    title = "Not allowed"
    code = "forbidden"


class Unauthorized(TsirError):
    """A missing or wrong API key."""

    status = 401
    title = "API key needed"
    code = "api_key_needed"


class Conflict(TsirError):
    """The request is fine but the state is not: name taken, other encoder, job already over."""

    status = 409
    title = "Conflict"
    code = "conflict"


class EncoderMismatch(Conflict):
    """A collection was built with another encoder than the one that runs."""

    title = "Other encoder"
    code = "encoder_mismatch"


class VectorsDamaged(Conflict):
    """The files of a collection's vectors cannot be read: they are thrown away and made again."""

    title = "Vectors damaged"
    code = "vectors_damaged"


class StoreUnavailable(TsirError):
    """Milvus or the SQL server does not answer right now: away, starting, overloaded, its disk full. The same call may succeed later."""

    status = 503
    title = "Store unavailable"
    code = "store_unavailable"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message, retry_after=retry_after)


class DiskFull(StoreUnavailable):
    """A disk has no room for what is to be written: it goes on when somebody made some."""

    title = "Disk full"
    code = "disk_full"


class StoreRefused(TsirError):
    """Milvus or the SQL server answered that it will not do this: the same call would fail again, so that nobody waits for it."""

    status = 502
    title = "Store refused"
    code = "store_refused"


class CatalogDamaged(StoreRefused):
    """The catalog's file cannot be read any more, or is gone: a backup of it must be brought back."""

    title = "Catalog damaged"
    code = "catalog_damaged"


class EncoderUnavailable(TsirError):
    """The model cannot be loaded: weights missing or broken, extra not installed, device absent."""

    status = 503
    title = "Encoder unavailable"
    code = "encoder_unavailable"


def encoder_mismatch(collection: str, built: EncoderInfo, running: EncoderInfo) -> EncoderMismatch:
    """The error for a collection of another encoder: names both, and the two ways out."""
    weights = " and the WEIGHTS that it was built with," if built.name == running.name else ""
    return EncoderMismatch(
        f"The collection {collection!r} was built with the encoder {built.name!r} ({built.fingerprint}), but the one that runs is "
        f"{running.name!r} ({running.fingerprint}): their vectors cannot be compared. Start with MODEL={built.name}{weights} "
        f"or re-encode it with `tsir reencode {collection} --encoder {running.name}`."
    )
