"""The fields of requests: from the command line, or from the environment."""

from __future__ import annotations

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.cli.transfer_options import request_headers


def test_fields_of_the_environment_are_one_a_line_and_may_hold_spaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MERSEY_HEADER", "Authorization: Bearer abc def\nX-Site: north wing\n")
    assert request_headers(None) == (
        ("Authorization", "Bearer abc def"),
        ("X-Site", "north wing"),
    )


def test_fields_that_are_given_stand_for_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MERSEY_HEADER", "X-Site: north")
    assert request_headers(["X-Site: south"]) == (("X-Site", "south"),)


def test_what_is_no_field_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERSEY_HEADER", "secret")
    with pytest.raises(UsageError) as caught:
        request_headers(None)
    assert "secret" not in str(caught.value)
