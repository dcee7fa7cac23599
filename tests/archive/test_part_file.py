"""A part file is invisible until it is whole, and goes on from what was durable."""

from __future__ import annotations

from pathlib import Path

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.part_file import PartFile, is_part_file

STRETCH = 16 << 20  # one journal line


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not is_part_file(path))


def test_the_target_appears_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "image.dcm"
    with PartFile(target, identity="a") as part:
        part.write(b"head")
        part.write(b"body")
        part.patch(0, b"HEAD")
        assert visible(tmp_path) == []
        part.publish()
    assert target.read_bytes() == b"HEADbody"
    assert [path.name for path in tmp_path.iterdir()] == ["image.dcm"]


def test_a_killed_writer_leaves_what_was_journaled_to_go_on_from(tmp_path: Path) -> None:
    target = tmp_path / "image.dcm"
    with PartFile(target, identity="a") as part:
        part.write(b"h" * 100)
        part.write(b"1" * STRETCH)
        part.add_frames([STRETCH // 2, STRETCH // 2])
        part.write(b"2" * 50)
        part.add_frames([50])  # too little to be journaled
    with PartFile(target, identity="a") as part:
        assert part.frame_lengths == [STRETCH // 2, STRETCH // 2]
        assert part.position == 100 + STRETCH
        part.write(b"3" * STRETCH)
        part.add_frames([STRETCH])
    with PartFile(target, identity="a") as part:
        assert part.frame_lengths == [STRETCH // 2, STRETCH // 2, STRETCH]
        part.publish()
    assert target.read_bytes() == b"h" * 100 + b"1" * STRETCH + b"3" * STRETCH


def test_a_torn_journal_line_is_ignored(tmp_path: Path) -> None:
    target = tmp_path / "image.dcm"
    with PartFile(target, identity="a") as part:
        part.write(b"1" * STRETCH)
        part.add_frames([STRETCH])
    journal = next(tmp_path.glob(".mersey-*.journal"))
    whole = journal.read_bytes()
    for cut in range(len(whole)):
        journal.write_bytes(whole[:cut])
        with PartFile(target, identity="a") as part:
            assert part.frame_lengths == []
            assert part.position == 0
            part.write(b"1" * STRETCH)
    journal.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-9])
    with PartFile(target, identity="a") as part:
        assert part.frame_lengths == [STRETCH]


def test_a_journal_that_promises_more_than_the_part_file_holds_is_not_believed(
    tmp_path: Path,
) -> None:
    target = tmp_path / "image.dcm"
    with PartFile(target, identity="a") as part:
        part.write(b"1" * STRETCH)
        part.add_frames([STRETCH])
    next(tmp_path.glob(".mersey-*.part")).write_bytes(b"1" * 10)
    with PartFile(target, identity="a") as part:
        assert (part.position, part.frame_lengths) == (0, [])


def test_another_identity_starts_over(tmp_path: Path) -> None:
    target = tmp_path / "image.dcm"
    with PartFile(target, identity="a") as part:
        part.write(b"1" * STRETCH)
        part.add_frames([STRETCH])
    with PartFile(target, identity="b") as part:
        assert (part.position, part.frame_lengths) == (0, [])


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "image.dcm"
    with (
        PartFile(target, identity="a"),
        pytest.raises(ResourceError, match="another process"),
        PartFile(target, identity="a"),
    ):
        pass


def test_a_name_of_the_longest_length_works(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    with PartFile(target, identity="a") as part:
        part.write(b"x")
        part.publish()
    assert target.read_bytes() == b"x"


def test_another_head_moves_what_is_behind_it(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with PartFile(target, identity="x") as part:
        part.write(b"head", b"body" * 1000)
        part.replace_head(4, [b"another ", b"head"])
        part.write(b"tail")
        assert part.position == 12 + 4000 + 4
        part.patch(0, b"A")
        assert part.read_at(0, 12) == b"Another head"
        part.publish()
    assert target.read_bytes() == b"Another head" + b"body" * 1000 + b"tail"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_killed_with_another_head_starts_afresh(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with PartFile(target, identity="x") as part:
        part.write(b"head", bytes(STRETCH))
        part.add_frames([STRETCH], note=1)
        part.replace_head(4, [b"another head"])
        with pytest.raises(ResourceError), PartFile(target, identity="x"):
            pass
    with PartFile(target, identity="x") as part:
        assert (part.position, part.frame_lengths, part.notes) == (0, [], [])


def test_notes_come_back_with_the_frames_they_were_made_for(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with PartFile(target, identity="x") as part:
        for number in range(3):
            part.write(bytes(STRETCH))
            part.add_frames([STRETCH], note={"number": number})
        part.write(b"more")
        part.add_frames([4], note={"number": 3})  # not yet durable
    with PartFile(target, identity="x") as part:
        assert part.notes == [{"number": number} for number in range(3)]
        assert part.frame_lengths == [STRETCH] * 3
