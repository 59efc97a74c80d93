"""English or not: a guess that must not disturb those who write English."""

import pytest

from tsir.encoders.language import english


@pytest.mark.parametrize(
    "text",
    ["a dog on a beach", "pizza", "asdfghjkl", "", "42", "Café de Flore", "Los Angeles", "la la land",
     "people in a piñata shop", "blorp snarf wibble", "die cast toy car", "as I am",
     "Costa del Sol", "the Tour de France", "déjà vu", "dogs 🐶"],
)  # fmt: skip
def test_english_and_nonsense_pass(text: str) -> None:
    assert english(text)


@pytest.mark.parametrize(
    "text",
    ["一只狗在海滩上", "犬が走っている", "собака на пляже", "كلب على الشاطئ", "ein Hund am Strand", "Zwei Kinder spielen im Garten",
     "un chat sur le canapé", "un perro en la playa", "una mujer con un paraguas", "um cachorro na praia", "un cane con la palla",
     "een hond op het strand", "pies i dwa koty na plaży", "sahilde bir köpek", "hund på stranden"],
)  # fmt: skip
def test_other_languages_are_told_by_script_or_small_words(text: str) -> None:
    assert not english(text)
