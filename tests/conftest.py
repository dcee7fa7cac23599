"""Fixtures that many tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = _ROOT.parent / "shared" / "data"

sys.path.insert(0, str(_ROOT / "tools"))

if TYPE_CHECKING:
    from sample_study import SampleStudy

# The same examples in every run, so that a change is told by its own failures; with
# MERSEY_EXPLORE=1 others in each. How long one takes says nothing on a busy machine.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("explore" if os.environ.get("MERSEY_EXPLORE") else "same")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files; tests that need it skip where it is absent."""
    if not (_SHARED / "MANIFEST.tsv").is_file():
        pytest.skip("the real files of ../shared/data are absent")
    return _SHARED


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return _ROOT


@pytest.fixture(scope="session")
def sample_study(tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    """A small synthetic study, not to be changed: 128² enhanced CT of 6, series of 3, RGB cine."""
    from sample_study import write_sample_study

    return write_sample_study(tmp_path_factory.mktemp("sample"), small=True)


@pytest.fixture(scope="session")
def progressive_ct(sample_study: SampleStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's enhanced CT in HTJ2K RPCL (.202), put together by pydicom; not to be changed."""
    from mersey.codecs.pixels import PixelFormat
    from mersey.codecs.registry import Registry
    from pydicom import dcmread
    from pydicom.encaps import encapsulate_extended
    from pydicom.uid import HTJ2KLosslessRPCL

    ds = dcmread(sample_study.enhanced_ct)
    pixels = PixelFormat(ds.Rows, ds.Columns, bits_stored=12, high_bit=11)
    encoder = Registry.default().encoder(HTJ2KLosslessRPCL)
    frames = [encoder.encode(frame, pixels=pixels).data for frame in ds.pixel_array]
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(
        frames
    )
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = HTJ2KLosslessRPCL
    path = tmp_path_factory.mktemp("progressive") / "enhanced-ct.dcm"
    ds.save_as(path)
    return path
