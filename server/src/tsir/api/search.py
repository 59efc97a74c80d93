"""Search collections by text, sketch, picture, or pictures that are already there: one question, many at once, or a link."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import File, Form, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tsir.api.deps import CollectionName, StateDep
from tsir.api.filtering import FilterDep, refuse_unknown
from tsir.api.guard import started_at
from tsir.api.routes import group
from tsir.api.schemas import SearchBatch, SearchRequest, Text
from tsir.api.state import State
from tsir.errors import Conflict, InvalidInput, TooLarge, VectorsDamaged
from tsir.searching.language import LONGEST, parse
from tsir.searching.query import MAX_LIMIT, Collapse, Sort, parse_filter, parse_weights, read_examples
from tsir.searching.search import Found
from tsir.services.search import EVERYWHERE, Question, listed
from tsir.services.search import find_many as find_pictures
from tsir.services.views import LineOut, SearchResult, SearchResults
from tsir.stopwatch import Stopwatch

router = group("search")

JSON_TOO: dict[str, Any] = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/SearchRequest"}}}}}
"""A search may come as JSON instead of as a form."""

LIKE = "Ids of pictures of the collection that look like it; `7@0.1,0.2,0.5,0.6` is a part of one: left, top, right, bottom."
NOT_LIKE = "Pictures that look unlike it, in the same way."
WEIGHTS = 'How much each part counts: `{"text": 1, "sketch": 0.5}`.'
COLLAPSE = "Make one hit of near-duplicates, or of pictures taken one after the other."
SORT = "taken, imported: the best hits in the order of time, the newest first."
COLLECTIONS = "Collections that are searched as well, with commas between them; all: all there are. They must be of one encoder."
LINE = "A line in the query language: `a dog -people after:2023`."


@router.post("/api/v1/collections/{name}/search", response_model=SearchResult, openapi_extra=JSON_TOO)
async def search_collection(
    name: CollectionName,
    request: Request,
    state: StateDep,
    text: Annotated[list[Text] | None, Form(description="What the picture shows; several texts count together.")] = None,
    not_text: Annotated[list[Text] | None, Form(description="What it does not show.")] = None,
    sketch: Annotated[UploadFile | None, File(description="A drawing, dark on white or transparent.")] = None,
    image: Annotated[UploadFile | None, File(description="A picture that looks like it.")] = None,
    like: Annotated[list[Text] | None, Form(description=LIKE)] = None,
    not_like: Annotated[list[Text] | None, Form(description=NOT_LIKE)] = None,
    weights: Annotated[Text | None, Form(description=WEIGHTS)] = None,
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
    min_relevance: Annotated[float | None, Form(ge=0, le=1, description="Leave out hits of a lower relevance.")] = None,
    query: Annotated[Text | None, Form(max_length=LONGEST, description=LINE)] = None,
    collapse: Annotated[Collapse | None, Form(description=COLLAPSE)] = None,
    sort: Annotated[Sort, Form(description=SORT)] = "relevance",
    collections: Annotated[Text | None, Form(max_length=4096, description=COLLECTIONS)] = None,
) -> Response:
    """Find pictures, best first. At least one of query, text, sketch, image and like is needed. As a form, or as JSON."""
    if request.query_params:
        raise InvalidInput(
            f"{next(iter(request.query_params))} stands in the address, where GET has it; a POST has everything in its body."
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json", "multipart/form-data", "application/x-www-form-urlencoded"):
        raise HTTPException(415, "Send a search as application/json, or as a form (multipart/form-data).")
    if kind == "application/json":
        question = (await _request(request)).question(name, state.settings.top_k)
    else:
        refuse_unknown(await request.form(), "body", SearchRequest.model_fields)
        question = Question(
            collection=name,
            query=query,
            text=text,
            not_text=not_text,
            sketch=await read_upload(state, sketch),
            image=await read_upload(state, image),
            like=read_examples("like", like or ()),
            not_like=read_examples("not_like", not_like or ()),
            weights=parse_weights(weights),
            filter=parse_filter(filter),
            limit=limit or state.settings.top_k,
            cursor=cursor or None,
            min_score=min_score,
            min_relevance=min_relevance,
            collapse=collapse,
            sort=sort,
            collections=listed(collections),
        )
    return await _one(state, request, question)


async def _request(request: Request) -> SearchRequest:
    """The body as JSON. Raises InvalidInput, and what the framework raises for a wrong field."""
    try:
        return SearchRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None


@router.get("/api/v1/collections/{name}/search", response_model=SearchResult)
async def search_by_link(
    name: CollectionName,
    request: Request,
    state: StateDep,
    filter: FilterDep,
    query: Annotated[Text | None, Query(max_length=LONGEST, description=LINE)] = None,
    text: Annotated[list[Text] | None, Query(description="What the picture shows; several texts count together.")] = None,
    not_text: Annotated[list[Text] | None, Query(description="What it does not show.")] = None,
    like: Annotated[list[Text] | None, Query(description=LIKE)] = None,
    not_like: Annotated[list[Text] | None, Query(description=NOT_LIKE)] = None,
    weights: Annotated[Text | None, Query(description=WEIGHTS)] = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="Hits per page; TOP_K when missing.")] = None,
    cursor: Annotated[Text | None, Query(max_length=200, description="`next` of the page before, with the same query.")] = None,
    min_score: Annotated[float | None, Query(ge=-1, le=1, description="Leave out hits below this cosine.")] = None,
    min_relevance: Annotated[float | None, Query(ge=0, le=1, description="Leave out hits of a lower relevance.")] = None,
    collapse: Annotated[Collapse | None, Query(description=COLLAPSE)] = None,
    sort: Annotated[Sort, Query(description=SORT)] = "relevance",
    collections: Annotated[Text | None, Query(max_length=4096, description=COLLECTIONS)] = None,
) -> Response:
    """Find pictures by an address alone, such as a link."""
    question = Question(
        collection=name,
        query=query,
        text=text,
        not_text=not_text,
        like=read_examples("like", like or ()),
        not_like=read_examples("not_like", not_like or ()),
        weights=parse_weights(weights),
        filter=filter,
        limit=limit or state.settings.top_k,
        cursor=cursor or None,
        min_score=min_score,
        min_relevance=min_relevance,
        collapse=collapse,
        sort=sort,
        collections=listed(collections),
    )
    return await _one(state, request, question)


@router.post("/api/v1/collections/{name}/search/batch", response_model=SearchResults)
async def search_many(name: CollectionName, request: Request, state: StateDep, body: SearchBatch) -> Response:
    """Answer up to 256 queries in one call: they are encoded and searched together. One that cannot be used refuses all, and is named."""
    questions = [one.question(name, state.settings.top_k) for one in body.queries]
    if any(one.collections != questions[0].collections for one in questions):
        raise InvalidInput("All queries of a batch must name the same collections.")
    answer = await state.run(_answers, state, questions, started_at(request.scope))
    return Response(answer, media_type="application/json")


@router.get("/api/v1/query")
async def read_query(query: Annotated[Text, Query(max_length=LONGEST, description=LINE)]) -> LineOut:
    """What a line in the query language asks: words, what is not wanted, conditions. An error tells the place of the word."""
    return LineOut.of(parse(query))


async def _one(state: State, request: Request, question: Question) -> Response:
    return Response(await state.run(_answer, state, question, started_at(request.scope)), media_type="application/json")


def _answer(state: State, question: Question, started: float) -> bytes:
    """A search's result as JSON. Blocking."""
    watch = Stopwatch(started)
    watch.lap("read")
    return SearchResult.json_of(find(state, question, watch), watch)


def _answers(state: State, questions: list[Question], started: float) -> bytes:
    """The results of many searches as JSON. Blocking."""
    watch = Stopwatch(started)
    watch.lap("read")
    found = _found(state, questions, watch)
    state.metrics.searched(watch.milliseconds())
    return SearchResults.json_of(found, watch)


def _found(state: State, questions: list[Question], watch: Stopwatch) -> list[Found]:
    """The results of questions about the same collections; vectors that turn out to be damaged are mended, if nothing is lost by that."""
    try:
        return find_pictures(state.library, state.encoders, state.settings, questions, watch)
    except VectorsDamaged as error:
        asked = questions[0].collections or (questions[0].collection,)
        names = [one.name for one in state.library.handles()] if EVERYWHERE in asked else asked
        said = [sentence for name in names if (sentence := state.service.mend(name))]
        raise Conflict(" ".join(said) or str(error), retry_after=10) from error


def find(state: State, question: Question, watch: Stopwatch) -> Found:
    """Run a search and record the times. Blocking."""
    (found,) = _found(state, [question], watch)
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
