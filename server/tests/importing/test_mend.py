from pathlib import Path

import pytest
from PIL import Image

from tests.fakes import FakeEncoder
from tsir.errors import EncoderMismatch
from tsir.importing.mend import encode_unfinished
from tsir.library.check import check
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.media.decode import open_picture
from tsir.records import FileStat, NewImage
from tsir.settings import Settings


def begin(library: Library, encoder: FakeEncoder, folder: Path, colours: list[str]) -> list[int]:
    """Pictures that an import noted and never finished."""
    collection, _ = library.create("album", encoder.info)
    items = []
    for colour in colours:
        path = folder / f"{colour}.png"
        Image.new("RGB", (20, 10), colour).save(path)
        picture = open_picture(path, max_bytes=10**6, max_pixels=10**6)
        stat = FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns)
        items.append(NewImage(stat, picture.content_hash, picture.metadata))
    return [begun.id for begun in collection.begin(items)]


def test_pictures_of_a_cut_off_import_are_found_after_mending(settings: Settings, tmp_path: Path) -> None:
    encoder = FakeEncoder()
    with Library.open(settings) as library:
        ids = begin(library, encoder, tmp_path, ["red", "blue"])
        assert library.collection("album").count() == 0
        assert encode_unfinished(library, lambda _: encoder, settings) == (2, [])
        hits = library.collection("album").search(encoder.texts(["red"])[0], 2)
        assert [hit.image.id for hit in hits] == ids
        assert encode_unfinished(library, lambda _: encoder, settings) == (0, [])


def test_gone_and_changed_files_are_named_and_the_rest_is_mended(settings: Settings, tmp_path: Path) -> None:
    encoder = FakeEncoder()
    with Library.open(settings) as library:
        begin(library, encoder, tmp_path, ["red", "green", "blue"])
        (tmp_path / "red.png").unlink()
        Image.new("RGB", (5, 5), "white").save(tmp_path / "green.png")
        mended, failures = encode_unfinished(library, lambda _: encoder, settings)
        assert mended == 1
        assert [Path(failure.path).name for failure in failures] == ["red.png", "green.png"]
        assert "another picture" in failures[1].reason
        assert library.collection("album").count() == 1


def test_a_collection_of_another_encoder_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    def refuse(collection: Collection) -> FakeEncoder:
        raise EncoderMismatch(f"{collection.name} was built with another encoder.")

    with Library.open(settings) as library:
        begin(library, FakeEncoder(), tmp_path, ["red"])
        mended, failures = encode_unfinished(library, refuse, settings)
        assert mended == 0
        assert "another encoder" in failures[0].reason


@pytest.mark.parametrize("count", [0, 5])
def test_more_pictures_than_a_batch(settings: Settings, tmp_path: Path, count: int) -> None:
    encoder = FakeEncoder()
    small = settings.model_copy(update={"batch_size": 2})
    with Library.open(settings) as library:
        begin(library, encoder, tmp_path, [f"#0000{number:02x}" for number in range(count)])
        assert encode_unfinished(library, lambda _: encoder, small) == (count, [])
        assert library.collection("album").count() == count


def test_lost_vectors_are_counted_and_their_pictures_wait_for_new_ones(settings: Settings, tmp_path: Path) -> None:
    encoder = FakeEncoder()
    with Library.open(settings) as library:
        ids = begin(library, encoder, tmp_path, ["red", "green", "blue"])
        encode_unfinished(library, lambda _: encoder, settings)
        collection, vectors = library.collection("album"), library.stores.vectors
        assert collection.owe() == 0
        vectors.delete(library.stores.vectors_name(collection.ref), ids[:2])
        assert (collection.owe(), collection.owe()) == (2, 0)
        assert collection.describe().pending == 2
        assert encode_unfinished(library, lambda _: encoder, settings) == (2, [])
        vectors.drop(library.stores.vectors_name(collection.ref))
        assert collection.owe() == 3
        assert encode_unfinished(library, lambda _: encoder, settings) == (3, [])
        assert check(library).clean
