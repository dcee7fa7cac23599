"""Every example of the Python API, in docstrings and in the README, runs and does what it says."""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mersey import engine
from mersey.engine import client

RUN_HERE = {"iterate_sync", "open_series", "pull", "push", "stream_series", "transcode"}


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


def test_pushing_pulling_and_pushing_on(served, tmp_path, serve_folder, capsys) -> None:
    send, send_on = defined_by(client.push, "send"), defined_by(client.push, "send_on")
    fetch = defined_by(client.pull, "fetch")
    (tmp_path / "empty").mkdir()
    with serve_folder(tmp_path / "empty", tmp_path / "first") as first:
        assert send(served.folder, first) == (7, {})
        assert capsys.readouterr().out.splitlines()[-1].startswith(f"{size_of(served.files)} of ")
        assert fetch(f"{first}/dicom-web/studies/1.2.7", tmp_path / "pulled") == (7, [])
        with serve_folder(tmp_path / "empty", tmp_path / "second") as second:
            assert len(send_on(tmp_path / "first", "1.2.7", second)) == 7
    pulled = [path.read_bytes() for path in (tmp_path / "pulled").rglob("*.dcm")]
    assert sorted(pulled) == sorted(path.read_bytes() for path in served.files)


def size_of(files: tuple[Path, ...]) -> int:
    return sum(file.stat().st_size for file in files)


def test_the_readme_opens_and_streams_a_series(
    served, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(
        r"^```pycon\n(.*?)^```$", (repository / "README.md").read_text(), re.M | re.S
    )
    (tmp_path / "demo" / "progressive").mkdir(parents=True)
    (tmp_path / "demo" / "progressive" / "ct-series").symlink_to(served.folder)
    monkeypatch.chdir(tmp_path)
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    names: dict[str, Any] = {
        "url": served.url,
        "show": lambda volume, reductions: shown.append((volume.copy(), reductions)),
    }
    for example in doctest.DocTestParser().get_examples(block):
        code = compile(example.source, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    assert names["small"].shape == (7, 20, 20)
    assert np.array_equal(shown[-1][0], served.samples)
    assert not shown[-1][1].any()


def test_no_example_is_forgotten_here() -> None:
    documented = {
        name
        for home in (engine, client)
        for name in home.__all__
        if ">>>" in (getattr(home, name).__doc__ or "")
    }
    assert documented == RUN_HERE


@pytest.mark.parametrize("name", sorted(client.__all__))
def test_every_public_name_is_there_and_told(name: str) -> None:
    assert getattr(client, name).__doc__
    assert name in dir(client)
