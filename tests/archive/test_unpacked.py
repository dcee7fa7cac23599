"""Records are taken apart once, and what they give is forgotten within a limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive.indexed_file import index_file
from mersey.engine.archive.record import pack_instance
from mersey.engine.archive.unpacked import UnpackedInstances
from mersey.engine.dicom.instance import Instance

if TYPE_CHECKING:
    from sample_study import SampleStudy


@pytest.fixture
def instance(sample_study: SampleStudy) -> Instance:
    path: Path = sample_study.enhanced_ct
    found = index_file(str(path.parent), path.name)
    assert found is not None
    assert found.instance is not None
    return found.instance


def test_a_record_is_taken_apart_once(instance: Instance) -> None:
    unpacked = UnpackedInstances()
    record = pack_instance(instance)

    first = unpacked.of(record)

    assert unpacked.of(bytes(bytearray(record))) is first
    assert pack_instance(first) == record


def test_another_record_gives_another_instance(instance: Instance) -> None:
    unpacked = UnpackedInstances()
    other = replace(instance, sop_instance_uid="1.2.3")

    assert unpacked.of(pack_instance(instance)).sop_instance_uid == instance.sop_instance_uid
    assert unpacked.of(pack_instance(other)).sop_instance_uid == "1.2.3"


def test_what_weighs_more_than_the_limit_is_not_kept(instance: Instance) -> None:
    unpacked = UnpackedInstances(limit_bytes=1000)
    record = pack_instance(instance)

    assert unpacked.of(record) is not unpacked.of(record)


def test_what_is_no_record_is_an_error_every_time() -> None:
    unpacked = UnpackedInstances()

    for _ in range(2):
        with pytest.raises(IntegrityError):
            unpacked.of(b"no record")
