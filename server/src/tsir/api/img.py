"""The routes of the reference implementation: same requests, same answers on success; a failure is `{"status": false, "msg": sentence}`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, Response

from tsir.api.deps import LibraryDep, RunDep, RunnerDep, StateDep, TableName
from tsir.api.images import PICTURE_ANSWERS, original
from tsir.api.jobs import finished
from tsir.api.schemas import Text
from tsir.api.search import find, read_sketch, read_upload
from tsir.errors import Conflict, InvalidInput, NotFound
from tsir.importing.urls import fetch
from tsir.media.decode import open_picture
from tsir.records import Job
from tsir.searching.query import Query as SearchQuery
from tsir.searching.query import check_text
from tsir.services.opening import State

router = APIRouter(tags=["reference"])


class LoadRequest(BaseModel):
    """Which folder to import."""

    File: Annotated[Text, Field(min_length=1, max_length=4096, description="A folder of the server below one of IMAGE_ROOTS.")]
    Table: Annotated[Text | None, Field(max_length=200, description="Collection; DEFAULT_TABLE when missing.")] = None


@router.post("/img/load")
async def load_images(body: LoadRequest, state: StateDep, library: LibraryDep, runner: RunnerDep, run: RunDep) -> str:
    """Import a folder; answers when it is done."""
    folder = await run(library.files.resolve_import_folder, body.File)
    name = await run(state.ensure_collection, body.Table)
    check_done(await finished(state, await run(runner.submit_folder, name, folder)))
    return "Successfully loaded data!"


@router.post("/img/upload")
async def upload_image(
    state: StateDep,
    library: LibraryDep,
    runner: RunnerDep,
    run: RunDep,
    image: Annotated[UploadFile | None, File(description="A picture.")] = None,
    url: Annotated[Text | None, Query(max_length=4096, description="Public address of a picture, instead of `image`.")] = None,
    table_name: TableName = None,
) -> str:
    """Import one picture; answers with its id when it can be found."""
    data = await read_upload(state, image)
    if data is None and not url:
        raise InvalidInput("Send a picture as `image`, or the address of one as `url`.")
    if data is None and url:
        data = await run(fetch, url, max_bytes=state.settings.max_upload_bytes)
    path = await run(_keep, state, data or b"")
    name = await run(state.ensure_collection, table_name)
    label = (image.filename if image else url) or "image"
    job = check_done(await finished(state, await run(runner.submit_files, name, [path], [label])))
    found = await run(library.find_path, str(path))
    if found is None:
        failures = await run(library.job_failures, job.id, 1)
        raise InvalidInput(failures[0].reason if failures else "The picture could not be imported.")
    return f"Successfully loaded data: {found.id}"


@router.post("/img/search")
async def search_images(
    state: StateDep,
    run: RunDep,
    image: Annotated[UploadFile | None, File(description="The sketch.")] = None,
    text_query: Annotated[Text | None, Form(description="What the picture shows.")] = None,
    topk: Annotated[int | None, Form(description="Number of answers; TOP_K when missing.")] = None,
    table_name: TableName = None,
    text: Annotated[Text | None, Query(alias="text_query", include_in_schema=False)] = None,
    limit: Annotated[int | None, Query(alias="topk", include_in_schema=False)] = None,
) -> list[tuple[str, float]]:
    """`[[path, score], ...]`, best first; the score is the cosine. Sketch or text may be missing, not both."""
    words = text_query if text_query is not None else text
    check_text("text_query", words, state.settings.max_text)
    sketch = await read_sketch(state, image)
    if sketch is None and not (words and words.strip()):
        raise InvalidInput("Send a sketch as `image`, words as `text_query`, or both.")
    wanted = next((number for number in (topk, limit) if number is not None), state.settings.top_k)
    query = SearchQuery(table_name or state.settings.default_table, text=words, sketch=sketch, limit=wanted)
    found = await run(find, state, query)
    return [(hit.image.path, hit.score) for hit in found.hits]


@router.post("/img/count")
async def count_images(state: StateDep, library: LibraryDep, run: RunDep, table_name: TableName = None) -> int:
    """Number of pictures that can be found."""
    return await run(library.count, table_name or state.settings.default_table)


@router.post("/img/drop")
async def drop_table(state: StateDep, library: LibraryDep, run: RunDep, table_name: TableName = None) -> str:
    """Delete a collection."""
    await run(library.drop_collection, table_name or state.settings.default_table)
    return "ok"


@router.get("/progress")
async def progress(library: LibraryDep, run: RunDep) -> tuple[tuple[int, int], int]:
    """`[[current, total], 200]` of the import that runs, or of the last one."""
    jobs = [job for job in await run(library.list_jobs, 20) if job.kind == "import"]
    job = next((job for job in jobs if job.state == "running"), jobs[0] if jobs else None)
    if job is None:
        return (0, 0), 200
    current = job.done + job.skipped + job.failed
    return (current, max(current, job.total or 0)), 200


@router.head("/data", include_in_schema=False)
@router.get("/data", response_class=FileResponse, responses=PICTURE_ANSWERS)
async def read_data(
    library: LibraryDep, run: RunDep, image_path: Annotated[Text, Query(max_length=4096, description="A path as `/img/search` gives it.")]
) -> Response:
    """A picture of the catalog by its path. `?key=` is accepted instead of a header."""
    image = await run(library.find_path, image_path)
    if image is None:
        raise NotFound("No picture of the catalog has this path.")
    return await run(original, image)


def check_done(job: Job) -> Job:
    """The job, when it ended well; its message as an error otherwise."""
    if job.state == "cancelled":
        raise Conflict("The import was cancelled; what it had imported stays.")
    if job.state == "failed":
        raise InvalidInput(job.message or "The import failed.")
    return job


def _keep(state: State, data: bytes) -> Path:
    """Check that the bytes are a picture and keep them durably; returns the path."""
    settings = state.settings
    picture = open_picture(data, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels, min_side=1)
    return state.library.files.uploads.save(data, picture.metadata.format)
