"""What was acknowledged of an upload outlives kills and full disks; what is torn is forgotten."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.errors import MerseyError, ResourceError
from mersey.engine.archive.receiving import no_space
from mersey.engine.archive.uploads import Uploads

from .uploading import PLAN, RESULT, Clock, append, faulty


def test_what_was_written_and_not_made_durable_is_forgotten(uploads: Uploads) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"kept")
    with uploads.open(name) as upload:
        upload.write(b"lost")
        assert (upload.position, upload.offset_bytes) == (8, 4)
    assert uploads.state(name).offset_bytes == 4
    with uploads.open(name) as upload:
        assert upload.position == 4
        upload.write(b"wrong")
        upload.rewind()
        upload.write(b"right")
        upload.sync()
        upload.complete()
    (source,) = uploads.sources(uploads.state(name))
    assert source.read_bytes() == b"keptright"


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6),
    torn=st.integers(0, 60),
    garbage=st.binary(max_size=12),
)
def test_a_kill_after_any_effect_leaves_an_offset_that_was_true(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], torn: int, garbage: bytes
) -> None:
    """The journal cut or overwritten anywhere, with the data ahead of it."""
    root = tmp_path_factory.mktemp("uploads")
    uploads = Uploads(root, expiry_s=100, max_bytes=1000)
    name = uploads.create(PLAN).name
    true_offsets = {0}
    for piece in pieces:
        true_offsets.add(append(uploads, name, piece))
    whole = b"".join(pieces)
    journal, data = root / name / "journal", root / name / "data"
    journal.write_bytes(journal.read_bytes()[:torn] + garbage.replace(b"\n", b""))
    data.write_bytes(whole + b"bytes that nobody acknowledged")
    offset = uploads.state(name).offset_bytes
    assert offset in true_offsets
    with uploads.open(name) as upload:
        assert upload.offset_bytes == offset
        upload.write(b"!")
        upload.sync()
    assert uploads.state(name).offset_bytes == offset + 1
    assert data.read_bytes() == whole[:offset] + b"!"


def test_a_journal_that_tells_a_smaller_offset_later_is_not_believed(
    uploads: Uploads, upload_folder
) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    with open(upload_folder(name) / "journal", "ab") as journal:
        journal.write(b'{"offset":3}\n')
    assert uploads.state(name).offset_bytes == 5


@pytest.mark.parametrize(
    "harm", ["data short", "data gone", "plan torn", "plan gone", "no journal"]
)
def test_what_lost_its_state_is_gone_and_has_no_smaller_offset(
    uploads: Uploads, upload_folder, harm: str
) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    match harm:
        case "data short":
            os.truncate(upload_folder(name) / "data", 3)
        case "data gone":
            (upload_folder(name) / "data").unlink()
        case "plan torn":
            os.truncate(upload_folder(name) / "plan", 9)
        case "plan gone":
            (upload_folder(name) / "plan").unlink()
        case _:
            (upload_folder(name) / "journal").unlink()
    expected = "gone" if harm.startswith("data") else "unknown"
    assert faulty(lambda: uploads.state(name)) == expected
    assert faulty(lambda: uploads.open(name)) == expected


def test_a_full_disk_keeps_what_was_acknowledged(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    with uploads.open(name) as upload, monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "pwrite", full)
        with pytest.raises(ResourceError) as caught:
            upload.write(b"6")
        assert no_space(caught.value)
    assert uploads.state(name).offset_bytes == 5


def test_a_disk_that_fails_to_sync_acknowledges_nothing(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = uploads.create(PLAN).name
    with uploads.open(name) as upload, monkeypatch.context() as patch:

        def broken(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        upload.write(b"12345")
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(MerseyError):
            upload.sync()
        patch.undo()
        with pytest.raises(MerseyError, match="failed before"):
            upload.sync()
        assert upload.offset_bytes == 0
    assert uploads.state(name).offset_bytes == 0


def test_data_is_synced_before_the_journal_says_so(
    uploads: Uploads, upload_folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = uploads.create(PLAN).name
    effects = []
    real_sync, real_write = os.fdatasync, os.pwrite

    def file_of(descriptor: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}")).name

    def sync(descriptor: int) -> None:
        effects.append(("sync", file_of(descriptor)))
        real_sync(descriptor)

    def write(descriptor: int, data: bytes, at: int) -> int:
        effects.append(("write", file_of(descriptor)))
        return real_write(descriptor, data, at)

    with uploads.open(name) as upload:
        monkeypatch.setattr(os, "fdatasync", sync)
        monkeypatch.setattr(os, "pwrite", write)
        upload.write(b"12345")
        upload.sync()
    assert effects == [
        ("write", "data"),
        ("sync", "data"),
        ("write", "journal"),
        ("sync", "journal"),
    ]


def test_a_torn_result_is_none(uploads: Uploads, upload_folder) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345", complete=True)
    (upload_folder(name) / "result").write_bytes(RESULT.to_bytes()[:-1])
    assert uploads.state(name).result is None
    assert uploads.unsettled() == [name]


def test_what_was_half_made_or_half_removed_is_swept(
    uploads: Uploads, clock: Clock, upload_folder
) -> None:
    uploads.create(PLAN)
    half_made, half_removed = upload_folder(".new-" + "a" * 48), upload_folder(".gone-" + "b" * 16)
    for path in (half_made, half_removed):
        path.mkdir()
    uploads.collect()
    assert half_made.exists()
    assert not half_removed.exists()
    clock.ahead_s = 4000
    uploads.collect()
    assert not half_made.exists()
