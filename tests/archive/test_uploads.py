"""Uploads from their begin to their end: who may append, what they may become, when they go."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.receiving import no_space
from mersey.engine.archive.upload_plan import UploadPlan
from mersey.engine.archive.uploads import Uploads

from .uploading import PLAN, RESULT, Clock, append, faulty


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


def test_one_at_a_time_may_append_even_from_another_process(
    uploads: Uploads, upload_folder
) -> None:
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
        words = [sys.executable, "-c", program, str(upload_folder(name).parent), name]
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
    uploads: Uploads, upload_folder
) -> None:
    assert faulty(lambda: uploads.create(PLAN, length_bytes=1001)) == "size"
    name = uploads.create(PLAN, length_bytes=1000).name
    assert (upload_folder(name) / "data").stat().st_size == 0
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


def test_a_result_is_kept_and_the_bytes_are_not(uploads: Uploads, upload_folder) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345", complete=True)
    assert uploads.unsettled() == [name]
    with uploads.open(name) as upload:
        upload.settle(RESULT)
    state = uploads.state(name)
    assert (state.result, state.offset_bytes) == (RESULT, 5)
    assert not (upload_folder(name) / "data").exists()
    assert uploads.unsettled() == []
    with uploads.open(name) as upload:
        assert faulty(lambda: upload.write(b"x")) == "complete"


def test_what_expired_is_gone_and_later_unknown(
    uploads: Uploads, clock: Clock, upload_folder
) -> None:
    name = uploads.create(PLAN).name
    append(uploads, name, b"12345")
    clock.ahead_s = 99
    assert uploads.collect() == 0
    assert uploads.state(name).offset_bytes == 5
    clock.ahead_s = 101
    assert faulty(lambda: uploads.state(name)) == "gone"
    assert uploads.collect() == 1
    assert not (upload_folder(name) / "data").exists()
    assert faulty(lambda: uploads.open(name)) == "gone"
    assert uploads.collect() == 0
    clock.ahead_s = 201
    assert uploads.collect() == 1
    assert faulty(lambda: uploads.state(name)) == "unknown"
    assert not upload_folder(name).exists()


def test_what_is_appended_to_does_not_expire_meanwhile(
    uploads: Uploads, clock: Clock, upload_folder
) -> None:
    name = uploads.create(PLAN).name
    with uploads.open(name) as upload:
        clock.ahead_s = 101
        assert uploads.collect() == 0
        upload.write(b"x")
        upload.sync()
    assert (upload_folder(name) / "data").read_bytes() == b"x"


def test_what_is_given_up_is_gone_and_what_is_removed_unknown(uploads: Uploads) -> None:
    name = uploads.create(PLAN).name
    with uploads.open(name) as upload:
        upload.void()
    assert faulty(lambda: uploads.state(name)) == "gone"
    uploads.remove(name)
    assert faulty(lambda: uploads.state(name)) == "unknown"
    uploads.remove(name)


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


def test_parts_of_a_result_may_go(uploads: Uploads, upload_folder) -> None:
    part = uploads.create(UploadPlan("tus", concat="partial")).name
    append(uploads, part, b"x", complete=True)
    name = uploads.create(UploadPlan("tus", concat="final", parts=(part,))).name
    with uploads.open(name) as upload:
        upload.settle(RESULT)
    shutil.rmtree(upload_folder(part))
    assert uploads.state(name).result == RESULT
