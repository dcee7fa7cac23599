"""A catalogue made anew from the blobs alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.blobs import COMPRESSED
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.catalogues import CATALOGUE_NAME
from mersey.engine.archive.rebuilding import rebuild
from mersey.engine.archive.store_folder import take_stats

from .cared_archive import Archive, flip


def rebuilt(archive: Archive, **settings):
    archive.catalogue.close()
    try:
        return rebuild(
            archive.blobs, archive.root, None, describe=archive.describe, ahead=2, **settings
        )
    finally:
        archive.catalogue = Catalogue.open(archive.root / CATALOGUE_NAME)


def test_a_rebuilt_catalogue_equals_the_one_before(archive: Archive, slices) -> None:
    archive.put(slices[0])
    archive.put(slices[1], ending=COMPRESSED)
    archive.put(slices[2])
    before, counts = archive.rows(), archive.catalogue.count()
    done = rebuilt(archive)
    assert (done.blobs, done.instances, done.replaced, done.unread) == (3, 3, 0, [])
    assert archive.rows() == before
    assert archive.catalogue.count() == counts
    assert not archive.catalogue.needs_rebuild
    assert not list(archive.root.glob("*rebuilding*"))
    assert len(list(archive.root.glob("*.old"))) == 1


def test_of_two_blobs_of_an_instance_the_newer_one_is_kept(archive: Archive, slices) -> None:
    other = bytearray(slices[0])
    other[-1] ^= 1
    old = archive.put(slices[0])
    data = Path(archive.blobs.path_of(old)).read_bytes()
    new = archive.put(bytes(other))
    Path(archive.blobs.path_of(old)).write_bytes(data)
    os.utime(archive.blobs.path_of(old), (1000, 1000))
    done = rebuilt(archive)
    assert (done.instances, done.replaced) == (1, 1)
    assert [entry.blob_key for entry in archive.catalogue.every_entry()] == [new]


def test_a_rebuilt_catalogue_knows_when_each_blob_came(archive: Archive, slices) -> None:
    keys = [archive.put(data) for data in slices[:3]]
    for key, at_s in zip(keys, (3000, 1000, 2000), strict=True):
        os.utime(archive.blobs.path_of(key), (at_s, at_s))
    rebuilt(archive)
    newest = archive.catalogue.newest(3)
    assert [entry.blob_key for entry in newest] == [keys[0], keys[2], keys[1]]
    stats = take_stats(archive.blobs, archive.catalogue, archive.root)
    assert (stats.oldest_s, stats.newest_s) == (1000, 3000)


def test_a_rebuild_tells_of_damaged_blobs_and_goes_on(archive: Archive, slices) -> None:
    damaged, good = archive.put(slices[0]), archive.put(slices[1])
    flip(archive.blobs.path_of(damaged), 3000)
    done = rebuilt(archive)
    assert done.unread == [(damaged, "its bytes are not those of its key")]
    assert [entry.blob_key for entry in archive.catalogue.every_entry()] == [good]


def test_a_rebuild_that_is_cut_short_leaves_the_old_catalogue(archive: Archive, slices) -> None:
    archive.put(slices[0])
    before = archive.rows()

    def stop(_count: int, _size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(archive, on_progress=stop)
    assert archive.rows() == before
    rebuilt(archive)
    assert archive.rows() == before


def test_a_catalogue_that_a_server_has_open_is_not_rebuilt(archive: Archive, slices) -> None:
    archive.put(slices[0])
    with pytest.raises(ResourceError, match="open"):
        rebuild(archive.blobs, archive.root, None, describe=archive.describe, ahead=2)
    assert len(archive.rows()) == 1
