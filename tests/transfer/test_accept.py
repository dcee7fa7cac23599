"""Accept as viewers write it, and as the grammar allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import UsageError
from mersey.engine.transfer.accept import MAX_ACCEPT_CHARS, MediaRange, parse_accept


def test_best_comes_first_and_equals_keep_their_order() -> None:
    found = parse_accept("a/x;q=0.1, b/x, c/x;q=0.5, d/x, e/x;q=0")
    assert [media.media_type for media in found] == ["b/x", "d/x", "c/x", "a/x"]


@pytest.mark.parametrize(
    "text",
    [
        'multipart/related; type="image/jphc"; transfer-syntax=1.2.3',
        "multipart/related;type=image/jphc;transfer-syntax=1.2.3",
        'Multipart/Related ; TYPE = image/jphc ; Transfer-Syntax = "1.2.3"',
        r'multipart/related; type="image\/jphc"; transfer-syntax="1\.2.3"',
    ],
)
def test_parameters_come_with_or_without_quotes(text: str) -> None:
    (media,) = parse_accept(text)
    assert media.media_type == "multipart/related"
    assert media.values("type") == ("image/jphc",)
    assert media.values("transfer-syntax") == ("1.2.3",)


def test_a_parameter_may_come_twice() -> None:
    (media,) = parse_accept("a/b; transfer-syntax=1; transfer-syntax=*")
    assert media.values("transfer-syntax") == ("1", "*")


def test_separators_inside_quotes_separate_nothing() -> None:
    (media,) = parse_accept(r'a/b; x="1,2;3\"4"')
    assert media.values("x") == ('1,2;3"4',)


@pytest.mark.parametrize("text", ["", "  ", ",,", "*/*", "*"])
def test_nothing_said_means_anything(text: str) -> None:
    assert parse_accept(text) == (MediaRange("*/*"),)


@pytest.mark.parametrize("text", ["nonsense", "a/b/c", "a/b;q=0"])
def test_what_is_no_media_range_is_passed_over(text: str) -> None:
    assert parse_accept(text) == ()


def test_a_field_of_absurd_length_is_refused() -> None:
    with pytest.raises(UsageError, match="characters"):
        parse_accept("a" * (MAX_ACCEPT_CHARS + 1))


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    qualities = [media.quality for media in parse_accept(text)]
    assert qualities == sorted(qualities, reverse=True)
    assert all(0 < quality <= 1 for quality in qualities)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,8}/[a-z*]{1,8}", fullmatch=True),
            st.lists(
                st.tuples(
                    st.from_regex(r"[a-pr-z]{1,5}", fullmatch=True),
                    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
                ),
                max_size=3,
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_with_quotes_is_read_back(media: list) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = ", ".join(
        "; ".join([name, *(f"{key}={quoted(value)}" for key, value in parameters)])
        for name, parameters in media
    )
    assert [(one.media_type, list(one.parameters)) for one in parse_accept(text)] == media
