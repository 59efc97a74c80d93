"""What routes ask for, as annotated dependencies."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from tsir.api.schemas import NAMED, Text
from tsir.api.state import Offload, State
from tsir.encoders.base import Encoder
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.settings import Settings
from tsir.storage.kinds import MAX_ID


async def get_state(request: Request) -> State:
    """What the app holds."""
    state: State = request.app.state.tsir
    return state


StateDep = Annotated[State, Depends(get_state)]


async def _settings(state: StateDep) -> Settings:
    return state.settings


async def _library(state: StateDep) -> Library:
    return state.library


async def _encoder(state: StateDep) -> Encoder:
    return state.encoder


async def _jobs(state: StateDep) -> Jobs:
    return state.jobs


async def _runner(state: StateDep) -> JobRunner:
    return state.runner


SettingsDep = Annotated[Settings, Depends(_settings)]
LibraryDep = Annotated[Library, Depends(_library)]
EncoderDep = Annotated[Encoder, Depends(_encoder)]
JobsDep = Annotated[Jobs, Depends(_jobs)]
RunnerDep = Annotated[JobRunner, Depends(_runner)]


async def _run(state: StateDep) -> Offload:
    return state.run


RunDep = Annotated[Offload, Depends(_run)]

CollectionName = Annotated[Text, Path(max_length=200, description="Name of the collection.")]
NewName = Annotated[
    Text, Path(max_length=200, description="A letter or _, then up to 63 letters, digits, _ or -.", json_schema_extra=NAMED)
]
Id = Annotated[int, Path(ge=1, le=MAX_ID)]
Cursor = Annotated[Text | None, Query(max_length=200, description="`next` of the page before.")]
TableName = Annotated[Text | None, Query(max_length=200, description="Collection; DEFAULT_TABLE when missing.")]
