from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tsir.encoders.registry import encoder_names, load_encoder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.settings import Settings


def test_an_unknown_name_lists_the_known_ones(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="no encoder 'resnet'") as error:
        load_encoder(settings.model_copy(update={"model": "resnet"}))
    for name in encoder_names():
        assert name in str(error.value)


@pytest.mark.parametrize("model", ["task-former", "open_clip:ViT-B-16/openai"])
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    settings: Settings, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find_spec(name, *rest))
    with pytest.raises(EncoderUnavailable, match=r"needs torch.*make setup EXTRAS=torch"):
        load_encoder(settings.model_copy(update={"model": model}))


def test_the_names_are_known_without_importing_a_model() -> None:
    code = (
        "import sys; from tsir.encoders.registry import encoder_names; print(*encoder_names());"
        "print(*set(sys.modules) & {'torch', 'openvino', 'open_clip', 'tokenizers', 'tsir.encoders.lite.encoder'})"
    )
    names, heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")[:2]
    assert names.split()[:3] == ["lite", "task-former", "open_clip:ARCH/TAG"]
    assert heavy == ""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that brings encoders."""
    (tmp_path / "foreign_encoders.py").write_text(
        "from tests.fakes import FakeEncoder\n\ndef load(settings):\n    return FakeEncoder(settings.model, 16)\n"
    )
    (tmp_path / "foreign_nothing.py").write_text("def load(settings):\n    return object()\n")
    about = tmp_path / "foreign-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    lines = (
        "foreign = foreign_encoders:load",
        "foreign-family: = foreign_encoders:load",
        "hollow = foreign_nothing:load",
        "gone = foreign_gone:load",
    )
    (about / "entry_points.txt").write_text("\n".join(("[tsir.encoders]", *lines)) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("foreign")
def test_a_package_brings_an_encoder_by_an_entry_point(settings: Settings) -> None:
    assert "foreign" in encoder_names()
    encoder = load_encoder(settings.model_copy(update={"model": "foreign"}))
    assert (encoder.name, encoder.images([]).shape) == ("foreign", (0, 16))
    np.testing.assert_allclose(np.linalg.norm(encoder.texts(["red"]), axis=1), 1, atol=1e-6)


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("model", ["hollow", "gone"])
def test_a_package_that_brings_no_encoder_is_a_sentence(settings: Settings, model: str) -> None:
    with pytest.raises(EncoderUnavailable, match=r"foreign_(nothing|gone):load"):
        load_encoder(settings.model_copy(update={"model": model}))


def test_settings_that_an_encoder_does_not_use_are_named(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tsir.encoders.registry"):
        load_encoder(settings.model_copy(update={"model": "lite", "precision": "int8", "device": "cpu"}))
    assert "PRECISION" in caplog.text
    assert "DEVICE" not in caplog.text
