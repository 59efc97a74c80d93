"""The GUI is checked against types that were generated from the API's schema: they must not go stale."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.e2e.conftest import ROOT
from tsir.app import create_app
from tsir.errors import TsirError
from tsir.settings import Settings

TYPES = ROOT / "client" / "src" / "server" / "schema.d.ts"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return create_app(Settings(_env_file=None)).openapi()  # type: ignore[call-arg]


def generated_properties(text: str) -> dict[str, set[str]]:
    """Names of the properties of each schema in the generated file."""
    schemas = text[text.index("    schemas: {") : text.index("    responses: never;")]
    blocks = re.findall(r"^        (\w+): \{\n(.*?)^        \};", schemas, re.MULTILINE | re.DOTALL)
    return {name: set(re.findall(r"^            (\w+)\??:", body, re.MULTILINE)) for name, body in blocks}


def test_generated_types_know_every_shape_and_operation(schema: dict[str, Any]) -> None:
    text = TYPES.read_text(encoding="utf-8")
    shapes = {name: set(shape["properties"]) for name, shape in schema["components"]["schemas"].items() if "properties" in shape}
    advice = "run `npm run api:types` in client/"
    assert generated_properties(text) == shapes, advice
    operations = {operation["operationId"] for path in schema["paths"].values() for operation in path.values()}
    assert set(re.findall(r'operations\["(\w+)"\]', text)) == operations, advice


def test_every_kind_of_error_has_a_sentence_in_chinese() -> None:
    def codes(kind: type[TsirError]) -> set[str]:
        return {kind.code}.union(*(codes(below) for below in kind.__subclasses__()))

    text = (ROOT / "client" / "src" / "i18n" / "zh.ts").read_text(encoding="utf-8")
    said = set(re.findall(r"^    (\w+): ", text[text.index("  problems: {") :], re.MULTILINE))
    assert codes(TsirError) <= said
