"""What commands print."""

from __future__ import annotations

import pytest

from tsir.commands.terminal import plain, say, show


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Ä 照片 (1).jpg", "Ä 照片 (1).jpg"),
        ("bad\x1b]0;title\x07.jpg", r"bad\x1b]0;title\x07.jpg"),
        ("two\nlines\r.jpg", r"two\nlines\r.jpg"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("caf\udce9.jpg", r"caf\udce9.jpg"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_names_never_reach_the_terminal_as_commands(text: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plain(text) == printed
    show(text)
    assert capsys.readouterr().out == printed + "\n"


def test_sentences_may_have_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("\n  ready: \x1b\n")
    assert capsys.readouterr().err == "\n  ready: \\x1b\n\n"
