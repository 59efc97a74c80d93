"""Whether words are English, for encoders that know no other language."""

from __future__ import annotations

import re
import unicodedata

# Frequent in German, French, Spanish, Portuguese, Italian, Dutch, Swedish, Polish and Turkish, and no English words.
_ELSEWHERE = frozenset({
    "der", "das", "dem", "den", "ein", "eine", "einem", "einen", "einer", "und", "mit", "auf", "ist", "zwei", "drei", "vor", "ohne",
    "nicht", "von", "zum", "zur", "für", "über", "une", "et", "sur", "dans", "avec", "sans", "est", "aux", "deux", "trois", "qui", "una",
    "sin", "sobre", "por", "para", "um", "uma", "com", "ao", "gli", "della", "nel", "nella", "che", "uno", "een", "het", "met", "naar",
    "twee", "och", "ett", "på", "av", "två", "się", "dwa", "ve", "bir", "iki", "için",
})  # fmt: skip
# English, too, or parts of names such as Los Angeles and Costa del Sol: two of them make a sentence.
_AMBIGUOUS = frozenset({
    "en", "la", "un", "de", "am", "im", "die", "des", "se", "op", "med", "som", "os", "le", "les", "du",
    "au", "el", "los", "las", "con", "del", "dos", "que", "il", "di", "na",
})  # fmt: skip


def english(text: str) -> bool:
    """A guess: false for other scripts, and where a text has the small words that hold sentences of another language together."""
    letters = [char for char in text if char.isalpha()]
    if sum("LATIN" in unicodedata.name(char, "") for char in letters) < len(letters) / 2:
        return False
    words = set(re.findall(r"[^\W\d_]+", text.lower()))
    return len(words) < 2 or not (words & _ELSEWHERE or len(words & _AMBIGUOUS) > 1)
