"""Every example in the docstrings of the Python API runs, and does what it says."""

from __future__ import annotations

import asyncio
import doctest
from typing import Any

import numpy as np
import pytest
from mersey.engine import client


def defined_by(documented: Any, name: str) -> Any:
    """The function that the example in a docstring defines."""
    names = {public: getattr(client, public) for public in client.__all__}
    for example in doctest.DocTestParser().get_examples(documented.__doc__):
        exec(example.source, names)  # our own docstrings
    return names[name]


def test_the_first_view_of_a_stream(served) -> None:
    first_view = defined_by(client.stream_series, "first_view")
    volume = asyncio.run(first_view(served.url))
    assert volume.shape == served.samples.shape


def test_watching_without_an_event_loop(served, capsys) -> None:
    defined_by(client.iterate_sync, "watch")(served.url)
    assert capsys.readouterr().out.splitlines()[-1].endswith(" 0")


def test_a_small_volume_and_the_middle_frame(served) -> None:
    middle = defined_by(client.open_series, "middle")
    for where in (served.folder, served.url):
        small, frame = middle(where)
        assert small.shape == (7, 20, 20)
        assert np.array_equal(frame, served.samples[3])


def test_transcoding_a_folder(served, tmp_path) -> None:
    make_progressive = defined_by(client.transcode, "make_progressive")
    assert make_progressive(served.folder, tmp_path / "out") == 7


@pytest.mark.parametrize("name", sorted(client.__all__))
def test_every_public_name_is_there_and_told(name: str) -> None:
    assert getattr(client, name).__doc__
    assert name in dir(client)
