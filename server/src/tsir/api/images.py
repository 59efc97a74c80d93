"""Pictures of a collection: list, one, delete, original, thumbnail."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from tsir.api.deps import CollectionName, Cursor, Id, LibraryDep, RunDep, SettingsDep
from tsir.errors import NotFound
from tsir.media.formats import UNKNOWN, media_type
from tsir.media.thumbnails import SIZES
from tsir.records import Image
from tsir.services import pictures
from tsir.services.views import ImageList, ImageOut
from tsir.storage.filters import Missing

router = APIRouter(prefix="/api/v1/collections/{name}/images", tags=["images"])

PICTURE_ANSWERS: dict[int | str, dict[str, object]] = {200: {"content": {"image/*": {}}, "description": "The picture."}}
THUMBNAIL_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {media_type(size.format): {} for size in SIZES.values()}, "description": "The thumbnail."},
    304: {"description": "The cached one is still right."},
}


@router.get("")
async def list_images(
    name: CollectionName,
    library: LibraryDep,
    run: RunDep,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    missing: Annotated[Missing, Query(description="Of pictures whose files are not there: none, only these, or any.")] = "false",
) -> ImageList:
    """A page of pictures, newest first."""
    images, following = await run(lambda: library.collection(name).images(cursor, limit, missing))
    return ImageList(images=[ImageOut.of(image) for image in images], next=following)


@router.get("/{id}")
async def read_image(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> ImageOut:
    """One picture."""
    return ImageOut.of(await run(lambda: library.collection(name).image(id)))


@router.delete("/{id}", status_code=204)
async def delete_image(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> None:
    """Take a picture out of the collection; files in import folders stay, uploaded files go."""
    if not await run(lambda: library.collection(name).delete([id])):
        raise NotFound(f"The collection {name!r} has no image {id}.")


@router.head("/{id}/file", include_in_schema=False)
@router.get("/{id}/file", response_class=FileResponse, responses=PICTURE_ANSWERS)
async def read_file(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> Response:
    """The original file. Ranges are served; `?key=` is accepted; a header or a cookie stands in no log."""
    return await run(lambda: picture(library.collection(name).image(id)))


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
    """A WebP of at most 256 pixels (small) or a JPEG of at most 768 (large). `?key=` is accepted; a header or a cookie stands in no log."""
    image = await run(lambda: library.collection(name).image(id))
    etag = f'"{image.content_hash[:32]}-{size}"'
    lasting = bool(v) and image.content_hash.startswith(v or "")
    headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable" if lasting else "private, no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    path = await run(pictures.thumbnail, library, image, size, settings)
    return FileResponse(path, media_type=media_type(SIZES[size].format), headers=headers)


def picture(image: Image) -> Response:
    """The file of a catalogued picture. Raises NotFound when it is gone. Blocking."""
    path = pictures.original(image)
    kind = media_type(image.metadata.format)
    disposition = "attachment" if kind == UNKNOWN else "inline"
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type=kind, headers=headers, filename=path.name, content_disposition_type=disposition)
