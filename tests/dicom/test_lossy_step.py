"""What a file says once its frames were compressed with loss (PS3.3 §C.7.6.1.1.5)."""

from __future__ import annotations

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.dicom.header_rewriting import LossyStep, derived_uid

RPCL = "1.2.840.10008.1.2.4.202"


@pytest.mark.parametrize("late", [False, True])
def test_a_lossy_step_is_declared(make, tools, reread, late):
    pixels = make.element(0x7FE00010, "OW", bytes(48))
    data = make.file(make.dataset(make.image_elements()) + pixels)
    uid = derived_uid("1.2.3.4", RPCL)
    step = LossyStep("ISO_15444_15", uid, None if late else 12.345678)
    dataset = reread(tools.write(data, lossy=step, ratio=12.345678 if late else None))
    assert dataset.LossyImageCompression == "01"
    assert float(dataset.LossyImageCompressionRatio) == pytest.approx(12.3457)
    assert dataset.LossyImageCompressionMethod == "ISO_15444_15"
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == uid
    assert dataset.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]


@pytest.mark.parametrize(("ratio", "method"), [("9.5", "ISO_10918_1"), ("9.55", None), (None, "X")])
@pytest.mark.parametrize("late", [False, True])
def test_a_second_lossy_step_is_appended(make, tools, reread, ratio, method, late):
    elements = make.image_elements()
    elements[0x00282110] = make.element(0x00282110, "CS", "01")
    if ratio:
        elements[0x00282112] = make.element(0x00282112, "DS", ratio)
    if method:
        elements[0x00282114] = make.element(0x00282114, "CS", method)
    data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OW", bytes(48)))
    step = LossyStep("ISO_15444_15", "1.2.99", None if late else 2.0)
    instance = tools.index(tools.write(data, lossy=step, ratio=2.0 if late else None))
    ratios = [value.strip() for value in instance.text(0x00282112).split("\\")]
    assert ratios == [ratio or "", "2"]
    assert instance.text(0x00282114).split("\\") == [method or "", "ISO_15444_15"]
    assert instance.lossy


def test_a_lossy_step_needs_its_own_uid(make, tools):
    data = make.file(
        make.dataset(make.image_elements()) + make.element(0x7FE00010, "OW", bytes(48))
    )
    with pytest.raises(UsageError):
        tools.write(data, lossy=LossyStep("ISO_15444_15", "1.2.3.4", 2.0))


def test_derived_uids_are_stable_and_distinct():
    assert derived_uid("1.2", "a") == derived_uid("1.2", "a")
    assert derived_uid("1.2", "a") != derived_uid("1.2", "b") != derived_uid("1.2b", "")
    assert len(derived_uid("1.2", "a")) <= 64
