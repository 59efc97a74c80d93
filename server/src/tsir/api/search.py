"""Search a collection by text, sketch, picture, or a picture that is already there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from PIL.Image import Image

from tsir.api.deps import CollectionName, StateDep
from tsir.api.schemas import SearchResult, Text
from tsir.errors import TooLarge
from tsir.importing.pipeline import least_sides, open_within
from tsir.media.decode import open_sketch, pixels_for
from tsir.searching.query import MAX_LIMIT, Query, check_text, parse_filter, parse_weights
from tsir.searching.search import Found, search
from tsir.services.opening import State

router = APIRouter(prefix="/api/v1/collections/{name}/search", tags=["search"])


@router.post("")
async def search_collection(
    name: CollectionName,
    state: StateDep,
    text: Annotated[Text | None, Form(description="What the picture shows.")] = None,
    not_text: Annotated[Text | None, Form(description="What it does not show.")] = None,
    sketch: Annotated[UploadFile | None, File(description="A drawing, dark on white or transparent.")] = None,
    image: Annotated[UploadFile | None, File(description="A picture that looks like it.")] = None,
    like: Annotated[int | None, Form(ge=1, le=2**63 - 1, description="Id of a picture of the collection that looks like it.")] = None,
    weights: Annotated[Text | None, Form(description='How much each part counts: `{"text": 1, "sketch": 0.5}`.')] = None,
    filter: Annotated[
        Text | None,
        Form(
            description='Conditions, all of which must hold, as JSON: `{"min_width": 800, "orientation": "landscape"}`.',
            json_schema_extra={"contentMediaType": "application/json", "contentSchema": {"$ref": "#/components/schemas/Filter"}},
        ),
    ] = None,
    limit: Annotated[int | None, Form(ge=1, le=MAX_LIMIT, description="Hits per page; TOP_K when missing.")] = None,
    cursor: Annotated[Text | None, Form(max_length=200, description="`next` of the page before, with the same query.")] = None,
    min_score: Annotated[float | None, Form(ge=-1, le=1, description="Leave out hits below this cosine.")] = None,
) -> SearchResult:
    """Find pictures, best first. At least one of text, sketch, image and like is needed."""
    check_text("text", text, state.settings.max_text)
    check_text("not_text", not_text, state.settings.max_text)
    query = Query(
        collection=name,
        text=text,
        not_text=not_text,
        sketch=await read_sketch(state, sketch),
        image=await read_example(state, image),
        like=like,
        weights=parse_weights(weights),
        filter=parse_filter(filter),
        limit=limit or state.settings.top_k,
        cursor=cursor or None,
        min_score=min_score,
    )
    return SearchResult.of(await state.run(find, state, query))


def find(state: State, query: Query) -> Found:
    """Run a query with the encoder of its collection and record the times. Blocking."""
    library = state.library
    found = search(library, state.encoders.of(library.collection(query.collection)), query)
    state.metrics.searched(found.took_ms)
    return found


async def read_sketch(state: State, upload: UploadFile | None) -> Image | None:
    """The drawing of a form; None when the form has none, or an empty one as browsers send it."""
    data = await read_upload(state, upload)
    if data is None:
        return None
    settings = state.settings
    return await state.run(open_sketch, data, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)


async def read_example(state: State, upload: UploadFile | None) -> Image | None:
    """The example picture of a form, or None."""
    data = await read_upload(state, upload)
    if data is None:
        return None
    return await state.run(_open_example, state, data)


def _open_example(state: State, data: bytes) -> Image:
    """Decode as imports do, so that a picture finds itself with a score of one. Blocking."""
    return pixels_for(state.encoder, open_within(data, state.settings, least_sides(state.encoder)))


async def read_upload(state: State, upload: UploadFile | None) -> bytes | None:
    """The bytes of one picture of a form, at most MAX_UPLOAD_BYTES. None for a file field that was left empty."""
    if upload is None:
        return None
    data = await upload.read(state.settings.max_upload_bytes + 1)
    if len(data) > state.settings.max_upload_bytes:
        raise TooLarge(f"{upload.filename or 'The picture'!r} is larger than {state.settings.max_upload_bytes} bytes (MAX_UPLOAD_BYTES).")
    return data if data or upload.filename else None
