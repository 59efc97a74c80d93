"""The routes of the reference implementation: same requests, same answers on success; a failure is `{"status": false, "msg": sentence}`."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, Query, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, Response

from tsir.api.deps import JobsDep, LibraryDep, RunDep, RunnerDep, StateDep, TableName
from tsir.api.images import PICTURE_ANSWERS, picture
from tsir.api.routes import group
from tsir.api.schemas import Text
from tsir.api.search import find, read_upload
from tsir.api.state import State
from tsir.errors import InvalidInput, NotFound
from tsir.importing.job import IMPORT
from tsir.jobs.model import Job
from tsir.searching.query import check_text
from tsir.services import collections, jobs
from tsir.services.imports import submit_folder, submit_picture
from tsir.services.search import Question
from tsir.stopwatch import Stopwatch

router = group("reference")


class LoadRequest(BaseModel):
    """Which folder to import."""

    File: Annotated[
        Text,
        Field(
            min_length=1,
            max_length=4096,
            description="A folder of the server below one of IMAGE_ROOTS.",
            json_schema_extra={"pattern": r"\S"},
        ),
    ]
    Table: Annotated[Text | None, Field(max_length=200, description="Collection; DEFAULT_TABLE when missing.")] = None


@router.post("/img/load")
async def load_images(body: LoadRequest, state: StateDep, library: LibraryDep, runner: RunnerDep, run: RunDep) -> str:
    """Import a folder; answers when it is done."""
    folder = await run(library.files.resolve_import_folder, body.File)
    name = await table(state, body.Table)
    await ended(state, await run(submit_folder, runner, name, folder))
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
        from tsir.importing.urls import fetch

        data = await run(fetch, url, max_bytes=state.settings.max_upload_bytes)
    name = await table(state, table_name)
    label = (image.filename if image else url) or "image"
    job = await ended(state, await run(submit_picture, runner, library, state.settings, name, data or b"", label))
    return f"Successfully loaded data: {(await run(jobs.imported, library, state.jobs, job)).id}"


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
    sketch = await read_upload(state, image)
    if sketch is None and not (words and words.strip()):
        raise InvalidInput("Send a sketch as `image`, words as `text_query`, or both.")
    wanted = next((number for number in (topk, limit) if number is not None), state.settings.top_k)
    question = Question(table_name or state.settings.default_table, text=words, sketch=sketch, limit=wanted)
    found = await run(find, state, question, Stopwatch())
    return [(hit.image.path, hit.score) for hit in found.hits]


@router.post("/img/count")
async def count_images(state: StateDep, library: LibraryDep, run: RunDep, table_name: TableName = None) -> int:
    """Number of pictures that can be found."""
    return await run(lambda: library.collection(table_name or state.settings.default_table).count())


@router.post("/img/drop")
async def drop_table(state: StateDep, library: LibraryDep, run: RunDep, table_name: TableName = None) -> str:
    """Delete a collection."""
    await run(collections.drop, library, state.jobs, table_name or state.settings.default_table)
    return "ok"


@router.get("/progress")
async def progress(jobs: JobsDep, run: RunDep) -> Annotated[list[list[int] | int], Field(min_length=2, max_length=2)]:
    """`[[current, total], 200]` of the import that runs, or of the last one."""
    newest = [job for job in await run(jobs.list, 20) if job.kind == IMPORT.name]
    job = next((job for job in newest if job.state == "running"), newest[0] if newest else None)
    if job is None:
        return [[0, 0], 200]
    current = job.done + job.skipped + job.failed
    return [[current, max(current, job.total or 0)], 200]


@router.head("/data", include_in_schema=False)
@router.get("/data", response_class=FileResponse, responses=PICTURE_ANSWERS)
async def read_data(
    library: LibraryDep, run: RunDep, image_path: Annotated[Text, Query(max_length=4096, description="A path as `/img/search` gives it.")]
) -> Response:
    """A picture of the catalog by its path. `?key=` is accepted; a header or a cookie stands in no log."""
    image = await run(library.find_path, image_path)
    if image is None:
        raise NotFound("No picture of the catalog has this path.")
    return await run(picture, image)


async def table(state: State, name: str | None) -> str:
    """The name of the collection that is meant; it is made when it is not there."""
    return (await state.run(collections.ensured, state.library, state.encoders, name or state.settings.default_table)).name


async def ended(state: State, job: Job) -> Job:
    """The job, once it is done. Raises its message as an error when it ended otherwise."""
    return jobs.check_done(await jobs.finished(state.run, state.jobs, job, state.stopping))
