"""What all addresses of the API have in common."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

PROBLEM: dict[str, Any] = {
    "description": "What was wrong, and what would be right.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def group(tag: str, prefix: str = "") -> APIRouter:
    """Addresses that belong together. Complete as it is: `create_app` takes their routes over without building them anew."""
    return APIRouter(prefix=prefix, tags=[tag], responses={"default": PROBLEM}, generate_unique_id_function=_operation_id)


def _operation_id(route: APIRoute) -> str:
    """The function's name: generated clients read like the source."""
    return route.name
