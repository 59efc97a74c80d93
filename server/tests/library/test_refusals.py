"""What Milvus says no to is told, and not tried for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymilvus import DataType, MilvusClient

from tests.library.conftest import ENCODER, axis, new_image
from tsir.errors import StoreRefused
from tsir.jobs.line import Line
from tsir.library.check import check
from tsir.library.library import Library
from tsir.settings import Settings


def test_pictures_whose_vectors_milvus_refuses_wait_and_the_sentence_is_told(
    library: Library, settings: Settings, photos_folder: Path
) -> None:
    library.create("photos", ENCODER)
    photos, vectors = library.collection("photos"), library.stores.vectors
    name = library.stores.vectors_name(photos.ref)
    schema = vectors.schema.build(ENCODER.dim, vectors.embedded)
    schema.add_field("colour", DataType.INT64)  # our rows have no such thing
    client = MilvusClient(uri=settings.vectors_uri)
    client.drop_collection(name)
    client.create_collection(name, schema=schema, properties=vectors.schema.properties())
    begun = photos.begin([new_image(photos_folder / "a.jpg")])
    with pytest.raises(StoreRefused, match="colour"), Line() as line:
        line.patiently(photos.finish, [begun[0].id], axis(1)[None])
    assert photos.describe().pending == 1
    client.drop_collection(name)
    photos.finish([begun[0].id], axis(1)[None])
    assert check(library).clean
