"""The table of filters as parameters of an address: `?min_width=800&formats=JPEG&formats=PNG`."""

from __future__ import annotations

import inspect
from collections.abc import Container, Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError

from tsir.api.schemas import Text
from tsir.searching.query import parse_filter, read_filter
from tsir.storage.conditions import Condition
from tsir.storage.filters import Filter, conditions
from tsir.storage.kinds import MAX_ID, KindName

_TYPES: Mapping[KindName, Any] = {
    "pixels": int,
    "bytes": int,
    "megapixels": float,
    "flag": bool,
    "formats": list[Annotated[str, Query(pattern="^[A-Za-z0-9]{1,19}$")]],
    "ids": list[Annotated[int, Query(ge=1, le=MAX_ID)]],
}
"""Of the kinds that are no text."""

_LIMITS = {"minimum": "ge", "maximum": "le", "minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}

_PREFIX = "asked_"

MAX_LISTED = 1_000
"""Ids in an address; a request's JSON may have more."""


def _parameter(name: str, condition: Condition) -> inspect.Parameter:
    kind = condition.kind
    limits: dict[str, Any] = {ours: kind.schema[theirs] for theirs, ours in _LIMITS.items() if theirs in kind.schema}
    if "maxItems" in kind.schema:
        limits["max_length"] = min(kind.schema["maxItems"], MAX_LISTED)
    extra = {key: value for key, value in kind.schema.items() if key in ("format", "examples")}
    type_: Any = Literal.__getitem__(tuple(kind.choices)) if kind.choices else _TYPES.get(kind.name, Text)
    # An alias, because the collection's name in the path is called the same.
    described = Query(alias=name, title=condition.label, description=condition.help, json_schema_extra=extra or None, **limits)
    return inspect.Parameter(
        f"{_PREFIX}{name}", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[type_ | None, described]
    )


def refuse_unknown(given: Iterable[str], place: str, known: Container[str]) -> None:
    """A name that is misspelled must not count as left out. Raises what the framework raises for a wrong field."""
    if unknown := [name for name in given if name not in known]:
        raise RequestValidationError([{"type": "extra_forbidden", "loc": (place, name)} for name in unknown])


def _named(dependant: Dependant) -> set[str]:
    """The parameters that an address of that route can have."""
    return {one.alias for one in dependant.query_params}.union(*map(_named, dependant.dependencies))


async def _filtered(request: Request, filter: Text | None, **fields: object) -> Filter:
    refuse_unknown(request.query_params, "query", {"key", *_named(request.scope["route"].dependant)})
    given = {name.removeprefix(_PREFIX): value for name, value in fields.items() if value is not None}
    whole = parse_filter(filter)
    base = {} if whole is None else {name: getattr(whole, name) for name in conditions()}
    return read_filter({**base, **given})


_AS_JSON = Annotated[Text | None, Query(max_length=100_000, description="All conditions as one JSON object, instead of one by one.")]
_filtered.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request),
        *(_parameter(name, condition) for name, condition in conditions().items()),
        inspect.Parameter("filter", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_AS_JSON),
    ]
)

FilterDep = Annotated[Filter, Depends(_filtered)]
"""The filter of an address, from a parameter for each condition."""
