"""Names of persons made ready for matching: folded, in words, and as they sound.

Pure. PS3.4 §C.2.2.2.1.1 leaves fuzzy matching to the implementation. Here each word of the
name that is looked for must be the beginning of some word of a name, sound like one, or be one
edit away from one; accents and case do not count.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fold_name", "name_words_of", "one_edit_patterns", "sound_of", "words_asked_for"]

_MAX_WORDS = 32
_MAX_WORD_CHARS = 64
_LONG_ENOUGH = 5
_APOSTROPHES = re.compile("['’ʼ`]")
_NO_WORD = re.compile(r"[\W_]+")
# Letters that Unicode does not take apart.
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h"}
)
_SOUNDS = (
    (re.compile(r"^(?:kn|gn|pn)"), "n"),
    (re.compile(r"^wr"), "r"),
    (re.compile(r"^mc"), "mk"),
    (re.compile(r"^h(?=[aeiouy])"), "H"),
    (re.compile(r"^[aeiouy]+"), "A"),
    (re.compile(r"tsch|tch|cz"), "s"),
    (re.compile(r"sch|sh|zh"), "s"),
    (re.compile(r"ph"), "f"),
    (re.compile(r"th|dt"), "t"),
    (re.compile(r"ch|ck|qu|gh"), "k"),
    (re.compile(r"ts|tz|ds"), "s"),
    (re.compile(r"x"), "ks"),
    (re.compile(r"c(?=[eiy])"), "s"),
    (re.compile(r"[aeiouyh]"), ""),
)
_CLASSES = str.maketrans("bcdgqvwz", "pktkkffs")
_RUN = re.compile(r"(.)\1+")


def fold_name(name: str) -> str:
    """A person name made ready for literal matching: one case, each group between ``=``.

    ``Buc^Jérôme=…`` gives ``=buc^jérôme=…=``, so that a pattern finds any of the groups
    (PS3.5 §6.2.1) and trailing separators do not count.
    """
    groups = [group.strip().rstrip("^ ") for group in name.casefold().split("=")]
    groups = [group for group in groups if group]
    return f"={'='.join(groups)}=" if groups else ""


def name_words_of(name: str) -> list[str]:
    """The different words of a name, folded; ``o'connor`` is found as one word and as two."""
    folded = _without_accents(name)
    return list(dict.fromkeys(_split(folded) + _split(_APOSTROPHES.sub("", folded))))[:_MAX_WORDS]


def words_asked_for(pattern: str) -> list[str]:
    """The different words of what is looked for, folded, without wildcards."""
    words = _split(_APOSTROPHES.sub("", _without_accents(pattern)))
    return list(dict.fromkeys(words))[:_MAX_WORDS]


def _without_accents(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", plain.translate(_LETTERS))  # Hangul together again


def _split(folded: str) -> list[str]:
    return [word[:_MAX_WORD_CHARS] for word in _NO_WORD.split(folded) if word]


def sound_of(word: str) -> str:
    """How a folded word sounds: its consonants by class; "" where that says too little.

    ``smith``, ``smyth`` and ``schmidt`` give one, as do ``meier`` and ``mayer``.
    """
    if not word.isascii() or not word.isalpha():
        return ""
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    word = _RUN.sub(r"\1", word.translate(_CLASSES))
    return word if len(word) > 1 else ""


def one_edit_patterns(word: str) -> list[str]:
    """Patterns of LIKE for the words that are one edit away from `word`, past its first letter.

    A letter more, less or other, or two exchanged; none for short words, where one letter is
    too much of the word. The words hold nothing that LIKE would take for a wildcard.
    """
    if len(word) < _LONG_ENOUGH:
        return []
    found = []
    for at in range(1, len(word)):
        before, letter, after = word[:at], word[at], word[at + 1 :]
        found += [f"{before}_{after}", f"{before}_{letter}{after}", before + after]
        if after:
            found.append(before + after[0] + letter + after[1:])
    return [*dict.fromkeys(found), f"{word}_"]
