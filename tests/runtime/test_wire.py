"""What travels comes out as the very file that went in, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from mersey.codecs.errors import MerseyError
from mersey.engine.archive.entry import Entry, stamp_of
from mersey.engine.archive.indexed_file import index_file
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.wire_packing import Packed, pack
from mersey.engine.runtime.wire_restoring import restore
from mersey.engine.runtime.worker_pool import WorkerPool
from mersey.engine.transfer.body import FileSlice
from mersey.engine.transfer.manifest import Item, WireForm
from pydicom.data.data_manager import DATA_ROOT

if TYPE_CHECKING:
    from sample_study import SampleStudy

type Travel = Callable[[Path, WireForm], Packed]


def _entry(path: Path) -> Entry | None:
    found = index_file(str(path.parent), path.name)
    if found is None or found.instance is None:
        return None
    return Entry(found.instance, str(path), stamp_of(path.stat()))


def _bytes(packed: Packed) -> bytes:
    pieces = []
    for segment in packed.segments:
        if isinstance(segment, FileSlice):
            with open(segment.path, "rb") as file:
                file.seek(segment.offset_bytes)
                pieces.append(file.read(segment.length_bytes))
        else:
            assert isinstance(segment, bytes)
            pieces.append(segment)
    return b"".join(pieces)


def _item(packed: Packed) -> Item:
    return Item(
        "1.2", "1.3", "1.4", packed.size_bytes, packed.sha256, packed.form, 0, packed.length_bytes
    )


def _pack(entry: Entry, form: WireForm, *, pool: WorkerPool, scratch: Path) -> Packed:
    budget = ByteBudget(32 << 20)
    return asyncio.run(pack(entry, form, scratch=scratch, executor=pool, budget=budget))


def _restore(data: bytes, item: Item, *, pool: WorkerPool, folder: Path) -> Path:
    (folder / "wire").write_bytes(data)
    target = folder / "restored"
    asyncio.run(
        restore(
            folder / "wire", item=item, target=target, executor=pool, budget=ByteBudget(32 << 20)
        )
    )
    return target


@pytest.fixture
def travel(pool: WorkerPool, tmp_path: Path) -> Travel:
    """Pack a file, restore it, and compare."""

    def travel(path: Path, form: WireForm) -> Packed:
        entry = _entry(path)
        assert entry is not None
        packed = _pack(entry, form, pool=pool, scratch=tmp_path)
        data = _bytes(packed)
        assert len(data) == packed.length_bytes
        found = _restore(data, _item(packed), pool=pool, folder=tmp_path)
        assert found.read_bytes() == path.read_bytes()
        assert packed.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        return packed

    return travel


def test_uncompressed_images_travel_as_codestreams(
    sample_study: SampleStudy, travel: Travel
) -> None:
    for path in sample_study.files:
        packed = travel(path, "htj2k")

        assert packed.form == "htj2k"
        assert packed.length_bytes < 0.75 * packed.size_bytes


def test_every_file_of_pydicom_comes_back(travel: Travel) -> None:
    forms = set()
    for path in sorted(Path(DATA_ROOT, "test_files").rglob("*.dcm")):
        if _entry(path) is None or path.stat().st_size > 2_000_000:
            continue
        for form in ("htj2k", "zstd"):
            forms.add((form, travel(path, form).form))
    assert forms == {
        ("htj2k", "htj2k"),
        ("htj2k", "zstd"),
        ("htj2k", "stored"),
        ("zstd", "zstd"),
        ("zstd", "stored"),
    }


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_real_file_comes_back(shared_data: Path, travel: Travel) -> None:
    count = 0
    for path in sorted(shared_data.joinpath("dicom").rglob("*")):
        if path.is_file() and path.stat().st_size < 20_000_000 and _entry(path) is not None:
            travel(path, "htj2k")
            count += 1
    assert count > 200


@pytest.mark.parametrize("signed", [False, True])
def test_unused_bits_that_hold_something_come_back(
    sample_study: SampleStudy, travel: Travel, tmp_path: Path, signed: bool
) -> None:
    ds = pydicom.dcmread(sample_study.ct_series[0])
    samples = ds.pixel_array.astype(np.uint16) & 0x0FFF
    samples[5, 7] |= 0x4000  # an overlay in a bit above Bits Stored, or a sign that is not extended
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, int(signed)
    ds.PixelData = samples.tobytes()
    ds.save_as(tmp_path / "overlay.dcm")

    assert travel(tmp_path / "overlay.dcm", "htj2k").form == "zstd"


def test_odd_padding_and_bytes_behind_the_pixels_come_back(
    sample_study: SampleStudy, travel: Travel, tmp_path: Path
) -> None:
    data = bytearray(sample_study.ct_series[0].read_bytes())
    data[:128] = os.urandom(128)  # the preamble travels, too
    data += b"\xfc\xff\xfc\xffOB\0\0\x05\0\0\0 rest"
    (tmp_path / "odd.dcm").write_bytes(data)

    assert travel(tmp_path / "odd.dcm", "htj2k").form == "htj2k"


def test_a_flipped_byte_is_found_wherever_it_is(
    sample_study: SampleStudy, pool: WorkerPool, tmp_path: Path
) -> None:
    for form, source in (
        ("htj2k", sample_study.enhanced_ct),
        ("zstd", sample_study.ct_series[0]),
        ("stored", sample_study.ct_series[0]),
    ):
        entry = _entry(source)
        assert entry is not None
        packed = _pack(entry, form, pool=pool, scratch=tmp_path)  # type: ignore[arg-type]
        assert packed.form == form
        data, item = _bytes(packed), _item(packed)
        for at in range(0, len(data), max(len(data) // 12, 1)):
            damaged = bytearray(data)
            damaged[at] ^= 0x10

            try:
                found = _restore(bytes(damaged), item, pool=pool, folder=tmp_path)
            except MerseyError:
                assert not (tmp_path / "restored").exists()
            else:
                # Padding between codestreams may be anything: the original is what counts.
                assert found.read_bytes() == source.read_bytes()
                found.unlink()


def test_a_rendition_gives_its_codestreams(
    sample_study: SampleStudy, progressive_ct: Path, pool: WorkerPool, tmp_path: Path
) -> None:
    from mersey.engine.archive.frame_digests import FileDigests
    from mersey.engine.archive.renditions import Rendition

    source, stored = _entry(sample_study.enhanced_ct), _entry(progressive_ct)
    assert source is not None
    assert stored is not None
    assert stored.instance.frames is not None
    digests = FileDigests(np.zeros(0, np.int64), np.zeros((0, 16), np.uint8))
    rendition = Rendition(
        stored.path, stored.stamp, True, stored.instance.frames, digests, bytearray()
    )
    budget = ByteBudget(32 << 20)

    packed = asyncio.run(
        pack(source, "htj2k", scratch=tmp_path, executor=pool, budget=budget, rendition=rendition)
    )

    assert not list(tmp_path.iterdir())  # nothing was encoded
    found = _restore(_bytes(packed), _item(packed), pool=pool, folder=tmp_path)
    assert found.read_bytes() == sample_study.enhanced_ct.read_bytes()
