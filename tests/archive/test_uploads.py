"""Uploads: what is acknowledged stays, what is torn is forgotten, what is lost is gone."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.errors import MerseyError, ResourceError
from mersey.engine.archive.receiving import no_space
from mersey.engine.archive.upload_plan import UploadError, UploadPlan, UploadResult
from mersey.engine.archive.uploads import Uploads

PLAN = UploadPlan("tus", metadata="filename YQ==")
RESULT = UploadResult(200, "application/dicom+json", b'{"a": "\n"}')


class Clock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        import time

        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, clock: Clock) -> Uploads:
    return Uploads(tmp_path / "uploads", expiry_s=100, max_bytes=1000, clock=clock)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: tmp_path / "uploads" / name


def append(uploads: Uploads, name: str, data: bytes, *, complete: bool = False) -> int:
    with uploads.open(name) as upload:
        upload.write(data)
        upload.sync()
        if complete:
            upload.complete()
        return upload.offset_bytes


def faulty(call: Callable[[], object]) -> str:
    with pytest.raises(UploadError) as caught:
        call()
    return caught.value.fault


def test_what_is_acknowledged_is_there_for_the_next_process(uploads: Uploads) -> None:
    name = uploads.create(PLAN, length_bytes=10).name
    assert append(uploads, name, b"hello") == 5
    assert append(uploads, name, b"world", complete=True) == 10
    state = uploads.state(name)
    assert (state.offset_bytes, state.length_bytes, state.is_complete) == (10, 10, True)
    assert state.plan == PLAN
    assert b"".join(path.read_bytes() for path in uploads.sources(state)) == b"helloworld"


def test_names_cannot_be_guessed_and_are_no_paths(uploads: Uploads) -> None:
    names = {uploads.create(PLAN).name for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) == 48 for name in names)
    for name in ("", ".", "..", "../x", "a" * 48 + "/", "A" * 48, "0" * 48):
        assert faulty(lambda name=name: uploads.state(name)) == "unknown"
        assert faulty(lambda name=name: uploads.open(name)) == "unknown"
        assert faulty(lambda: uploads.remove("../" + "0" * 45)) == "unknown"


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
    uploads: Uploads, folder
) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    with open(folder(name) / "journal", "ab") as journal:
        journal.write(b'{"offset":3}\n')
    assert uploads.state(name).offset_bytes == 5


@pytest.mark.parametrize(
    "harm", ["data short", "data gone", "plan torn", "plan gone", "no journal"]
)
def test_what_lost_its_state_is_gone_and_has_no_smaller_offset(
    uploads: Uploads, folder, harm: str
) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    match harm:
        case "data short":
            os.truncate(folder(name) / "data", 3)
        case "data gone":
            (folder(name) / "data").unlink()
        case "plan torn":
            os.truncate(folder(name) / "plan", 9)
        case "plan gone":
            (folder(name) / "plan").unlink()
        case _:
            (folder(name) / "journal").unlink()
    expected = "gone" if harm.startswith("data") else "unknown"
    assert faulty(lambda: uploads.state(name)) == expected
    assert faulty(lambda: uploads.open(name)) == expected


def test_one_at_a_time_may_append_even_from_another_process(uploads: Uploads, folder) -> None:
    name = uploads.create(PLAN).name
    with uploads.open(name):
        assert faulty(lambda: uploads.open(name)) == "busy"
        program = (
            "import sys; from pathlib import Path\n"
            "from mersey.engine.archive.uploads import Uploads\n"
            "uploads = Uploads(Path(sys.argv[1]), expiry_s=100, max_bytes=1000)\n"
            "try: uploads.open(sys.argv[2])\n"
            "except Exception as error: print(error.fault)\n"
        )
        words = [sys.executable, "-c", program, str(folder(name).parent), name]
        run = subprocess.run(words, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "busy"
    assert append(uploads, name, b"x") == 1


def test_lengths_are_said_once(uploads: Uploads) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    with uploads.open(name) as upload:
        assert faulty(lambda: upload.declare_length(4)) == "length"
        assert faulty(lambda: upload.declare_length(1001)) == "size"
        upload.declare_length(8)
        upload.declare_length(8)
        assert faulty(lambda: upload.declare_length(9)) == "length"
        assert faulty(upload.complete) == "length"
        assert faulty(lambda: upload.write(b"6789")) == "excess"
        assert upload.position == 5
    assert uploads.state(name).length_bytes == 8


def test_nothing_is_longer_than_may_be_and_nothing_is_allocated_for_what_is_said(
    uploads: Uploads, folder
) -> None:
    assert faulty(lambda: uploads.create(PLAN, length_bytes=1001)) == "size"
    name = uploads.create(PLAN, length_bytes=1000).name
    assert (folder(name) / "data").stat().st_size == 0
    other = uploads.create(PLAN).name
    with uploads.open(other) as upload:
        assert faulty(lambda: upload.write(bytes(1001))) == "size"
        assert upload.position == 0


def test_a_length_that_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, expiry_s=100, max_bytes=1 << 60)
    with pytest.raises(ResourceError) as caught:
        uploads.create(PLAN, length_bytes=1 << 59)
    assert no_space(caught.value)
    assert not list(tmp_path.iterdir())


def test_there_are_only_so_many(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, expiry_s=100, max_bytes=10, max_count=2)
    names = [uploads.create(PLAN).name for _ in range(2)]
    with pytest.raises(ResourceError, match="2 uploads"):
        uploads.create(PLAN)
    uploads.remove(names[0])
    uploads.create(PLAN)


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
    uploads: Uploads, folder, monkeypatch: pytest.MonkeyPatch
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


def test_a_result_is_kept_and_the_bytes_are_not(uploads: Uploads, folder) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345", complete=True)
    assert uploads.unsettled() == [name]
    with uploads.open(name) as upload:
        upload.settle(RESULT)
    state = uploads.state(name)
    assert (state.result, state.offset_bytes) == (RESULT, 5)
    assert not (folder(name) / "data").exists()
    assert uploads.unsettled() == []
    with uploads.open(name) as upload:
        assert faulty(lambda: upload.write(b"x")) == "complete"


def test_a_torn_result_is_none(uploads: Uploads, folder) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345", complete=True)
    (folder(name) / "result").write_bytes(RESULT.to_bytes()[:-1])
    assert uploads.state(name).result is None
    assert uploads.unsettled() == [name]


def test_what_expired_is_gone_and_later_unknown(uploads: Uploads, clock: Clock, folder) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    clock.ahead_s = 99
    assert uploads.collect() == 0
    assert uploads.state(name).offset_bytes == 5
    clock.ahead_s = 101
    assert faulty(lambda: uploads.state(name)) == "gone"
    assert uploads.collect() == 1
    assert not (folder(name) / "data").exists()
    assert faulty(lambda: uploads.open(name)) == "gone"
    assert uploads.collect() == 0
    clock.ahead_s = 201
    assert uploads.collect() == 1
    assert faulty(lambda: uploads.state(name)) == "unknown"
    assert not folder(name).exists()


def test_what_is_appended_to_does_not_expire_meanwhile(
    uploads: Uploads, clock: Clock, folder
) -> None:
    name = uploads.create(PLAN).name
    with uploads.open(name) as upload:
        clock.ahead_s = 101
        assert uploads.collect() == 0
        upload.write(b"x")
        upload.sync()
    assert (folder(name) / "data").read_bytes() == b"x"


def test_what_is_given_up_is_gone_and_what_is_removed_unknown(uploads: Uploads) -> None:
    name = uploads.create(PLAN).name
    with uploads.open(name) as upload:
        upload.void()
    assert faulty(lambda: uploads.state(name)) == "gone"
    uploads.remove(name)
    assert faulty(lambda: uploads.state(name)) == "unknown"
    uploads.remove(name)


def test_what_was_half_made_or_half_removed_is_swept(
    uploads: Uploads, clock: Clock, folder
) -> None:
    uploads.create(PLAN)
    half_made, half_removed = folder(".new-" + "a" * 48), folder(".gone-" + "b" * 16)
    for path in (half_made, half_removed):
        path.mkdir()
    uploads.collect()
    assert half_made.exists()
    assert not half_removed.exists()
    clock.ahead_s = 4000
    uploads.collect()
    assert not half_made.exists()


def test_an_upload_is_made_of_complete_parts(uploads: Uploads) -> None:
    part = UploadPlan("tus", concat="partial")
    first, second = (uploads.create(part).name for _ in range(2))
    append(uploads, first, b"hello ", complete=True)
    final = UploadPlan("tus", concat="final", parts=(first, second))
    assert faulty(lambda: uploads.create(final)) == "length"
    append(uploads, second, b"world", complete=True)
    whole = UploadPlan("tus", concat="final", parts=(first, second, first))
    state = uploads.create(whole)
    assert (state.offset_bytes, state.is_complete) == (17, True)
    data = b"".join(path.read_bytes() for path in uploads.sources(state))
    assert data == b"hello worldhello "
    assert uploads.unsettled() == [state.name]
    uploads.remove(second)
    assert faulty(lambda: uploads.state(state.name)) == "gone"
    stranger = uploads.create(PLAN).name
    strange = UploadPlan("tus", concat="final", parts=(stranger,))
    assert faulty(lambda: uploads.create(strange)) == "unknown"


def test_parts_of_a_result_may_go(uploads: Uploads, folder) -> None:
    part = uploads.create(UploadPlan("tus", concat="partial")).name
    append(uploads, part, b"x", complete=True)
    name = uploads.create(UploadPlan("tus", concat="final", parts=(part,))).name
    with uploads.open(name) as upload:
        upload.settle(RESULT)
    shutil.rmtree(folder(part))
    assert uploads.state(name).result == RESULT
