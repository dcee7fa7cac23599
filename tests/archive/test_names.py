"""Names as they are matched: words without accents, sounds, and what is one edit away."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.archive.names import (
    name_words_of,
    one_edit_patterns,
    sound_of,
    words_asked_for,
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Buc^Jérôme", ["buc", "jerome"]),
        ("O’Connor^Sean", ["o", "connor", "sean", "oconnor"]),
        ("van der Berg-Ström^Åse", ["van", "der", "berg", "strom", "ase"]),
        ("Straße^ÆØÅ", ["strasse", "aeoa"]),
        ("Kim^Min=김^민", ["kim", "min", "김", "민"]),
        ("^^ = ", []),
    ],
)
def test_a_name_is_taken_into_words(name, words) -> None:
    assert name_words_of(name) == words


def test_wildcards_are_no_part_of_the_words_looked_for() -> None:
    assert words_asked_for("*O'Con%n?r_*") == ["ocon", "n", "r"]


@pytest.mark.parametrize(
    "alike",
    [
        ("smith", "smyth", "schmidt"),
        ("meier", "mayer", "maier"),
        ("philip", "filip", "phillipp"),
        ("katherine", "catherine", "kathryn"),
        ("knight", "night"),
        ("wright", "right"),
    ],
)
def test_words_that_sound_alike_have_one_code(alike) -> None:
    assert len({sound_of(word) for word in alike}) == 1
    assert sound_of(alike[0])


def test_a_word_of_which_hardly_a_sound_is_left_has_none() -> None:
    assert [sound_of(word) for word in ("lee", "a", "", "山田", "x2")] == ["", "", "", "", ""]


@given(st.text("abcxyz", min_size=5, max_size=9), st.integers(1, 8), st.sampled_from("abz"))
def test_every_single_edit_past_the_first_letter_fits_a_pattern(word, at, letter) -> None:
    at = min(at, len(word) - 1)
    edits = [
        word[:at] + letter + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + word[at + 1 :],
        word + letter,
    ]
    patterns = [re.compile(pattern.replace("_", ".")) for pattern in one_edit_patterns(word)]
    for edited in edits:
        assert any(pattern.fullmatch(edited) for pattern in patterns), edited


def test_short_words_are_not_edited() -> None:
    assert one_edit_patterns("anna") == []
