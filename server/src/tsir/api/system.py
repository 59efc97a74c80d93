"""Health, metrics, and what runs here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from fastapi import Response

from tsir.api.deps import EncoderDep, JobsDep, LibraryDep, RunDep, StateDep
from tsir.api.routes import group
from tsir.api.schemas import Alive, FilterField, FormatOut, Limits, Ready, SystemOut, ThumbnailOut
from tsir.api.state import State
from tsir.errors import TsirError
from tsir.media.formats import FORMATS, media_type
from tsir.media.thumbnails import SIZES
from tsir.records import CollectionSummary
from tsir.searching.query import MAX_LIMIT
from tsir.services import collections as service
from tsir.services.views import EncoderOut
from tsir.storage.filters import conditions

router = group("system")

PACKAGES = ("fastapi", "pymilvus", "milvus-lite", "sqlalchemy", "pillow", "openvino", "torch")


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live")
async def live() -> Alive:
    """The process answers."""
    return Alive(status="ok")


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses={503: {"model": Ready, "description": "Not yet, or not now."}})
async def ready(state: StateDep, response: Response) -> Ready:
    """Whether stores and encoder answer; 503 with the reasons when not."""
    answer = await _readiness(state)
    if answer.status != "ok":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    response.headers["Cache-Control"] = "no-store"
    return answer


async def _readiness(state: State) -> Ready:
    try:
        stores = await state.run(state.library.ping)
    except TsirError as error:
        status = "unavailable" if state.failure else "starting"
        return Ready.model_validate({"status": status, "catalog": str(error), "vectors": str(error), "encoder": str(error)})
    well = all(answer == "ok" for answer in stores.values())
    return Ready(status="ok" if well else "unavailable", catalog=stores["catalog"], vectors=stores["vectors"], encoder="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}})
async def metrics(state: StateDep, library: LibraryDep, jobs: JobsDep, run: RunDep) -> Response:
    """Counters and times for Prometheus."""
    collections, newest = await run(library.collections), await run(jobs.list, 1000)
    return Response(state.metrics.exposition(collections, newest), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/v1/system")
async def system(state: StateDep, library: LibraryDep, jobs: JobsDep, encoder: EncoderDep, run: RunDep) -> SystemOut:
    """Versions, encoder, limits, import folders, counts and advice."""
    settings = state.settings
    collections = await run(library.collections)
    working = {job.collection for job in await run(jobs.list, 100) if not job.over}
    return SystemOut(
        version=_version("tsir"),
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES if _version(name)}},
        encoder=EncoderOut(name=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim),
        default_weights=dict(encoder.default_weights),
        device=encoder.device,
        vectors="milvus-lite" if settings.vectors_embedded else "milvus",
        catalog=settings.catalog_url.partition(":")[0].partition("+")[0],
        limits=Limits(
            max_upload_bytes=settings.max_upload_bytes,
            max_request_bytes=settings.max_request_bytes,
            max_pixels=settings.max_pixels,
            max_text=settings.max_text,
            max_limit=MAX_LIMIT,
            default_limit=settings.top_k,
        ),
        filters=[FilterField.of(name, condition) for name, condition in conditions().items()],
        formats=[FormatOut(name=one.name, label=one.label, suffixes=list(one.suffixes), media_type=one.media_type) for one in FORMATS],
        thumbnails=[ThumbnailOut(size=name, side=size.side, media_type=media_type(size.format)) for name, size in SIZES.items()],
        import_roots=[str(root) for root in settings.roots],
        default_collection=settings.default_table,
        collections=len(collections),
        images=sum(collection.count for collection in collections),
        advice=advice(state, collections, working),
    )


def advice(state: State, collections: list[CollectionSummary], working: set[str]) -> list[str]:
    """What the person who runs this may want to change. `working`: collections with a job that is not over."""
    settings, found = state.settings, []
    if not settings.local and not settings.keys:
        found.append("Everyone who reaches this server can read and change it: set API_KEYS.")
    if not settings.roots:
        found.append("No server folder may be imported: set IMAGE_ROOTS to allow some; uploads work without.")
    return found + service.advice(state.library, state.encoders, collections, working)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
