"""Search a collection by text, sketch, picture, or a picture that is already there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from tsir.api.deps import CollectionName, StateDep
from tsir.api.guard import started_at
from tsir.api.schemas import Text
from tsir.api.state import State
from tsir.errors import Conflict, TooLarge
from tsir.searching.query import MAX_LIMIT, parse_filter, parse_weights
from tsir.searching.search import Found
from tsir.services.search import Question
from tsir.services.search import find as find_pictures
from tsir.services.views import SearchResult
from tsir.stopwatch import Stopwatch

router = APIRouter(prefix="/api/v1/collections/{name}/search", tags=["search"])


@router.post("", response_model=SearchResult)
async def search_collection(
    name: CollectionName,
    request: Request,
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
) -> Response:
    """Find pictures, best first. At least one of text, sketch, image and like is needed."""
    question = Question(
        collection=name,
        text=text,
        not_text=not_text,
        sketch=await read_upload(state, sketch),
        image=await read_upload(state, image),
        like=like,
        weights=parse_weights(weights),
        filter=parse_filter(filter),
        limit=limit or state.settings.top_k,
        cursor=cursor or None,
        min_score=min_score,
    )
    return Response(await state.run(_answer, state, question, started_at(request.scope)), media_type="application/json")


def _answer(state: State, question: Question, started: float) -> bytes:
    """A search's result as JSON. Blocking."""
    watch = Stopwatch(started)
    watch.lap("read")
    return SearchResult.json_of(find(state, question, watch), watch)


def find(state: State, question: Question, watch: Stopwatch) -> Found:
    """Run a search and record the times. Blocking."""
    found = find_pictures(state.library, state.encoders, state.settings, question, watch)
    if not found.hits and question.cursor is None and (trouble := state.service.mend(question.collection)):
        raise Conflict(trouble, retry_after=10)
    state.metrics.searched(watch.milliseconds())
    return found


async def read_upload(state: State, upload: UploadFile | None) -> bytes | None:
    """The bytes of one picture of a form, at most MAX_UPLOAD_BYTES; None when there is none, or an empty one as browsers send it."""
    if upload is None:
        return None
    data = await upload.read(state.settings.max_upload_bytes + 1)
    if len(data) > state.settings.max_upload_bytes:
        raise TooLarge(f"{upload.filename or 'The picture'!r} is larger than {state.settings.max_upload_bytes} bytes (MAX_UPLOAD_BYTES).")
    return data if data or upload.filename else None
