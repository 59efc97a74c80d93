from __future__ import annotations

import importlib.util

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
