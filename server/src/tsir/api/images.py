"""Pictures of a collection: list, one, delete, original, thumbnail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from PIL.Image import Image as Pixels
from starlette.responses import FileResponse, Response

from tsir.api.deps import CollectionName, Cursor, Id, LibraryDep, RunDep, SettingsDep
from tsir.api.schemas import ImageList, ImageOut
from tsir.errors import NotFound
from tsir.importing.reading import read_again
from tsir.library.library import Library
from tsir.media.formats import UNKNOWN, media_type
from tsir.media.thumbnails import SIZES
from tsir.records import Image, JobFailure
from tsir.settings import Settings

router = APIRouter(prefix="/api/v1/collections/{name}/images", tags=["images"])

PICTURE_ANSWERS: dict[int | str, dict[str, object]] = {200: {"content": {"image/*": {}}, "description": "The picture."}}
THUMBNAIL_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {media_type(size.format): {} for size in SIZES.values()}, "description": "The thumbnail."},
    304: {"description": "The cached one is still right."},
}


@router.get("")
async def list_images(
    name: CollectionName, library: LibraryDep, run: RunDep, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> ImageList:
    """A page of pictures, newest first."""
    images, following = await run(library.images, name, cursor, limit)
    return ImageList(images=[ImageOut.of(image) for image in images], next=following)


@router.get("/{id}")
async def read_image(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> ImageOut:
    """One picture."""
    return ImageOut.of(await run(library.image, name, id))


@router.delete("/{id}", status_code=204)
async def delete_image(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> None:
    """Take a picture out of the collection; files in import folders stay, uploaded files go."""
    if not await run(library.delete_images, name, [id]):
        raise NotFound(f"The collection {name!r} has no image {id}.")


@router.head("/{id}/file", include_in_schema=False)
@router.get("/{id}/file", response_class=FileResponse, responses=PICTURE_ANSWERS)
async def read_file(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> Response:
    """The original file. Ranges are served; `?key=` is accepted instead of a header."""
    return await run(original, await run(library.image, name, id))


@router.head("/{id}/thumbnail", include_in_schema=False)
@router.get("/{id}/thumbnail", response_class=FileResponse, responses=THUMBNAIL_ANSWERS)
async def read_thumbnail(
    request: Request,
    name: CollectionName,
    id: Id,
    library: LibraryDep,
    settings: SettingsDep,
    run: RunDep,
    size: Literal["small", "large"] = "small",
    v: Annotated[str | None, Query(max_length=64, description="Content, as in thumbnail_url; makes the answer cacheable for ever.")] = None,
) -> Response:
    """A WebP of at most 256 pixels (small) or a JPEG of at most 768 (large). `?key=` is accepted instead of a header."""
    image = await run(library.image, name, id)
    etag = f'"{image.content_hash[:32]}-{size}"'
    lasting = bool(v) and image.content_hash.startswith(v or "")
    headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable" if lasting else "private, no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    path = await run(thumbnail, library, image, size, settings)
    return FileResponse(path, media_type=media_type(SIZES[size].format), headers=headers)


def original(image: Image) -> Response:
    """The file of a catalogued picture, from the first place where it still lies. Raises NotFound when it is gone. Blocking."""
    path = _existing(image)
    kind = media_type(image.metadata.format)
    disposition = "attachment" if kind == UNKNOWN else "inline"
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type=kind, headers=headers, filename=path.name, content_disposition_type=disposition)


def thumbnail(library: Library, image: Image, size: Literal["small", "large"], settings: Settings) -> Path:
    """The thumbnail's file, made now when it is missing. Raises NotFound when the original is gone or broken. Blocking."""
    path = library.files.thumbnails.find(image.content_hash, size)
    if path is None:
        library.files.thumbnails.write(image.content_hash, _decoded(image, settings))
        path = library.files.thumbnails.find(image.content_hash, size)
    if path is None:
        raise NotFound(f"There is no thumbnail of image {image.id}: the cache is too small (THUMBNAIL_BYTES).")
    return path


def _decoded(image: Image, settings: Settings) -> Pixels:
    """The picture, large enough for thumbnails. Raises NotFound."""
    _existing(image)
    picture = read_again(image, settings, (SIZES["small"].side, SIZES["large"].side))
    if isinstance(picture, JobFailure):
        raise NotFound(f"There is no thumbnail of image {image.id}: {picture.reason}")
    return picture.image


def _existing(image: Image) -> Path:
    for place in image.paths:
        path = Path(place)
        if path.is_file():
            return path
    raise NotFound(
        f"The file of image {image.id} is no longer at {image.path!r}; import its folder again to bring the collection up to date."
    )
