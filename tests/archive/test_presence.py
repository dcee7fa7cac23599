"""Whether blobs are there, and how often a store elsewhere is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive.blobs import Ready
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.presence import Presence
from mersey.engine.archive.watched_blobs import WatchedBlobs

_THERE, _GONE = "a" * 64 + ".dcm", "b" * 64 + ".dcm.zst"


class Elsewhere(DirectoryBlobs):
    """Blobs that are no local files; `asked` are the keys that it was asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def path_of(self, key: str) -> None:  # type: ignore[override]
        return None

    def size(self, key: str) -> int | None:
        self.asked.append(key)
        return super().size(key)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("kind", [DirectoryBlobs, Elsewhere])
def test_what_is_not_there_is_lost(tmp_path: Path, kind) -> None:
    blobs = filled(kind(tmp_path))
    presence = Presence(blobs)
    assert presence.lost([]) == set()
    assert presence.lost([_THERE, _GONE, _THERE]) == {_GONE}
    blobs.remove(_THERE)
    assert presence.lost([_THERE, _GONE]) == {_THERE, _GONE}


def test_a_store_elsewhere_is_asked_now_and_then_for_what_is_there(tmp_path: Path) -> None:
    blobs, clock = filled(Elsewhere(tmp_path)), Clock()
    presence = Presence(blobs, clock=clock)
    blobs.asked.clear()
    for _ in range(3):
        assert presence.lost([_THERE, _GONE], seen_within_s=60) == {_GONE}
        clock.now_s += 10
    assert blobs.asked.count(_THERE) == 1
    assert blobs.asked.count(_GONE) == 3
    clock.now_s += 60
    presence.lost([_THERE], seen_within_s=60)
    assert blobs.asked.count(_THERE) == 2
    presence.lost([_THERE])  # for an acknowledgement, what was seen before counts for nothing
    assert blobs.asked.count(_THERE) == 3


def filled[B: DirectoryBlobs](blobs: B) -> B:
    (blobs.incoming / "one").write_bytes(b"bytes")
    blobs.commit([Ready(str(blobs.incoming / "one"), _THERE)])
    return blobs


def test_a_blob_that_is_found_missing_is_believed_no_more(tmp_path: Path) -> None:
    blobs = filled(Elsewhere(tmp_path))
    presence = Presence(blobs, clock=Clock())
    watched = WatchedBlobs(blobs, on_lost=presence.forget)
    assert presence.lost([_THERE], seen_within_s=600) == set()
    Path(DirectoryBlobs.path_of(blobs, _THERE) or "").unlink()
    assert presence.lost([_THERE], seen_within_s=600) == set()
    with pytest.raises(IntegrityError):
        watched.read_at(_THERE, 0, 1)
    assert presence.lost([_THERE], seen_within_s=600) == {_THERE}
