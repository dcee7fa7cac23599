"""What is damaged is found: blobs by their digests, rows by the blobs that they describe."""

from __future__ import annotations

import pytest
from mersey.engine.archive.blobs import COMPRESSED, PLAIN
from mersey.engine.archive.tables import instances
from mersey.engine.archive.verifying import mend, missing_blobs
from sqlalchemy import update

from .cared_archive import Archive, flip


def test_a_whole_archive_has_no_findings(archive: Archive, slices) -> None:
    archive.put(slices[0])
    archive.put(slices[1], ending=COMPRESSED)
    checked = archive.check()
    assert [one.findings for one in checked] == [(), ()]
    assert list(missing_blobs(archive.blobs, archive.catalogue)) == []
    assert not list(archive.blobs.incoming.iterdir())


@pytest.mark.parametrize("ending", [PLAIN, COMPRESSED])
def test_a_flipped_byte_of_a_blob_is_found_and_the_blob_put_into_quarantine(
    archive: Archive, slices, ending: str
) -> None:
    key = archive.put(slices[0], ending=ending)
    flip(archive.blobs.path_of(key), 2000)
    (checked,) = archive.check()
    (finding,) = checked.findings
    assert finding.found == "damaged"
    assert archive.catalogue.find(finding.uid) is not None
    assert mend(checked, archive.blobs, archive.catalogue) == ["put into quarantine"]
    assert archive.blobs.size(key) is None
    assert (archive.root / "quarantine" / key).exists()
    assert archive.catalogue.find(finding.uid) is not None
    (missing,) = missing_blobs(archive.blobs, archive.catalogue)
    assert (missing.found, missing.name, missing.uid) == ("missing", key, finding.uid)


@pytest.mark.parametrize(
    "wrong",
    [{"served_crc32": 7}, {"instance_number": 99}, {"record": b"x"}, {"metadata_json": b"x"}],
)
def test_a_row_that_says_something_else_than_its_blob_is_made_anew(
    archive: Archive, slices, wrong
) -> None:
    archive.put(slices[0])
    before = archive.rows()
    archive.catalogue.database.write(
        lambda connection: connection.execute(update(instances).values(**wrong))
    )
    (checked,) = archive.check()
    assert [one.found for one in checked.findings] == ["other record"]
    assert mend(checked, archive.blobs, archive.catalogue) == ["made anew"]
    assert archive.rows() == before
    assert archive.check()[0].findings == ()


def test_a_blob_that_no_instance_refers_to_is_told_and_left_to_gc(archive: Archive, slices) -> None:
    key = archive.put(slices[0])
    archive.catalogue.remove([row[0] for row in archive.rows()])
    (checked,) = archive.check()
    assert [one.found for one in checked.findings] == ["unknown"]
    assert mend(checked, archive.blobs, archive.catalogue) == [""]
    assert archive.blobs.size(key) is not None
