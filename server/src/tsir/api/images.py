"""Pictures of a collection: list, one, delete, original, thumbnail."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import FileResponse, Response

from tsir.api.deps import CollectionName, Id, LibraryDep, RunDep, SettingsDep
from tsir.api.filtering import FilterDep
from tsir.api.routes import group
from tsir.api.schemas import Remove, Text
from tsir.errors import NotFound
from tsir.media.formats import UNKNOWN, media_type
from tsir.records import Image
from tsir.services import pictures
from tsir.services.views import FacetsOut, ImageList, ImageOut, RemovedOut
from tsir.storage.sql.browsing import Order, Sort

router = group("images", "/api/v1/collections/{name}/images")

PICTURE_ANSWERS: dict[int | str, dict[str, object]] = {200: {"content": {"image/*": {}}, "description": "The picture."}}
THUMBNAIL_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/jpeg": {}, "image/webp": {}}, "description": "The thumbnail."},
    304: {"description": "The cached one is still right."},
}


@router.get("")
async def list_images(
    name: CollectionName,
    library: LibraryDep,
    run: RunDep,
    filter: FilterDep,
    cursor: Annotated[Text | None, Query(max_length=3000, description="`next` of the page before, with the same filter and order.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    sort: Annotated[Sort, Query(description="By when they came or were taken, the newest first, or by name.")] = "imported",
    order: Annotated[Order | None, Query(description="The other way round than `sort` goes by itself, or the same.")] = None,
) -> ImageList:
    """A page of pictures. What comes, changes or goes meanwhile shifts no page; those without a date are the last."""
    images, following = await run(lambda: library.collection(name).images(cursor, limit, filter, sort, order))
    return ImageList(images=[ImageOut.of(image) for image in images], next=following)


@router.get("/facets")
async def count_facets(name: CollectionName, library: LibraryDep, run: RunDep, filter: FilterDep) -> FacetsOut:
    """How many pictures there are of each year, folder, camera and format."""
    return FacetsOut.of(await run(lambda: library.collection(name).facets(filter)))


@router.get("/{id:int}")
async def read_image(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> ImageOut:
    """One picture."""
    return ImageOut.of(await run(lambda: library.collection(name).image(id)))


@router.delete("/{id:int}")
async def delete_image(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> RemovedOut:
    """Take a picture out of the collection; a file in a folder stays, and imports leave it out, an uploaded file goes to the trash."""
    removed = await run(pictures.remove, library, name, [id])
    if not removed.images:
        raise NotFound(f"The collection {name!r} has no image {id}.")
    return RemovedOut.of(removed)


@router.post("/remove")
async def remove_images(name: CollectionName, body: Remove, library: LibraryDep, run: RunDep) -> RemovedOut:
    """Take pictures out of the collection, as one entry of the trash; those that it has not are passed over."""
    return RemovedOut.of(await run(pictures.remove, library, name, body.ids, body.paths))


@router.head("/{id:int}/file", include_in_schema=False)
@router.get("/{id:int}/file", response_class=FileResponse, responses=PICTURE_ANSWERS)
async def read_file(name: CollectionName, id: Id, library: LibraryDep, run: RunDep) -> Response:
    """The original file. Ranges are served; `?key=` is accepted; a header or a cookie stands in no log."""
    return await run(lambda: picture(library.collection(name).image(id)))


@router.head("/{id:int}/thumbnail", include_in_schema=False)
@router.get("/{id:int}/thumbnail", response_class=Response, responses=THUMBNAIL_ANSWERS)
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
    """A JPEG of at most 256 pixels (small) or 768 (large); small ones of earlier versions are WebP.

    `?key=` is accepted; a header or a cookie stands in no log.
    """

    def find() -> Response:  # a page asks for many at once: one turn in a thread, one row, one file
        content = library.content(name, id)
        etag = f'"{content[:32]}-{size}"'
        lasting = bool(v) and content.startswith(v or "")
        headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable" if lasting else "private, no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        data = library.files.thumbnails.read(content, size)
        if data is None:
            data = pictures.thumbnail(library, library.collection(name).image(id), size, settings).read_bytes()
        return Response(data, media_type="image/webp" if data.startswith(b"RIFF") else "image/jpeg", headers=headers)

    return await run(find)


def picture(image: Image) -> Response:
    """The file of a catalogued picture. Raises NotFound when it is gone. Blocking."""
    path = pictures.original(image)
    kind = media_type(image.metadata.format)
    disposition = "attachment" if kind == UNKNOWN else "inline"
    headers = {"Cache-Control": "private, no-cache"}
    if isinstance(path, bytes):
        return Response(path, media_type=kind, headers={**headers, "Content-Disposition": disposition})
    return FileResponse(path, media_type=kind, headers=headers, filename=path.name, content_disposition_type=disposition)
