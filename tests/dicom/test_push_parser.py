"""Any split of the input gives the same Instance, or the same error."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.errors import MerseyError, UsageError
from mersey.engine.dicom.part10_reader import Part10Reader

J2K = b"\xff\x4f\xff\x51"


def samples(make):
    """Files that take every way through the parser."""
    nested = make.item(
        make.element(0x00080100, "SH", "CODE")
        + make.sequence(0x0040A730, [make.item(b"", undefined=True)], undefined=True),
        undefined=True,
    )
    unknown = make.item(make.element(0x00080100, "SH", "CODE", "implicit"), "implicit")
    elements = make.image_elements()
    elements[0x00081140] = make.sequence(0x00081140, [nested, nested], undefined=True)
    elements[0x00091010] = make.sequence(0x00091010, [unknown], undefined=True, vr="UN")
    elements[0x00091011] = make.element(0x00091011, "OB", bytes(700))
    pixels = make.element(0x7FE00010, "OW", bytes(48))
    trailing = make.element(0xFFFCFFFC, "OB", bytes(9) + b"x")
    frames = [J2K + bytes([n]) * (20 + 2 * n) for n in range(4)]
    sizes = [len(frame) for frame in frames]
    offsets = [sum(sizes[:n]) + 8 * n for n in range(4)]
    explicit = make.dataset(elements)
    big = make.dataset(make.image_elements("big")) + make.element(
        0x7FE00010, "OW", bytes(48), "big"
    )
    implicit = make.dataset(make.image_elements("implicit"))
    good = [
        make.file(explicit + pixels + trailing),
        make.file(explicit + pixels + bytes(30)),
        make.file(explicit + pixels)[132:],
        make.file(explicit + pixels, syntax="deflated"),
        make.file(big, syntax="big"),
        make.file(
            implicit + make.element(0x7FE00010, "OW", bytes(48), "implicit"), syntax="implicit"
        ),
        make.encapsulated_file(frames, frames=4, table=make.basic_table(sizes)),
        make.encapsulated_file(
            frames,
            frames=4,
            offsets=struct.pack("<4Q", *offsets),
            lengths=struct.pack("<4Q", *sizes),
            behind=trailing,
        ),
        make.encapsulated_file([frames[0] + bytes(90), frames[1]], frames=2, syntax=None),
        make.encapsulated_file(frames, frames=4, delimiter=False),
        make.file(explicit[:-2]),
        make.file(b""),
        b"DICM",
    ]
    return good + [data[: len(data) * 2 // 3] for data in good] + [data[:-3] for data in good]


def outcome(parse):
    try:
        return parse()
    except MerseyError as error:
        return type(error), error.message, error.__dict__


@pytest.fixture(scope="session")
def files(make):
    return samples(make)


def test_a_byte_at_a_time_gives_the_same(files, tools):
    for data in files:
        whole = outcome(lambda data=data: tools.describe(tools.push(data, [])))
        single = outcome(lambda data=data: tools.describe(tools.push(data, range(1, len(data)))))
        assert single == whole


def test_reading_where_needed_gives_the_same_as_pushing_all(files, tools):
    for data in files:
        whole = outcome(lambda data=data: tools.describe(tools.push(data, [])))
        assert outcome(lambda data=data: tools.describe(tools.index(data))) == whole


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_split_gives_the_same(files, tools, data):
    chosen = data.draw(st.sampled_from(files))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(chosen)), max_size=12)))
    whole = outcome(lambda: tools.describe(tools.push(chosen, [])))
    assert outcome(lambda: tools.describe(tools.push(chosen, cuts))) == whole


def test_a_source_of_unknown_size_gives_the_same_instance(files, tools):
    for data in files:
        known = outcome(lambda data=data: tools.describe(tools.push(data, [])))
        unknown = outcome(
            lambda data=data: tools.describe(
                tools.push(data, range(0, len(data), 7), size_known=False)
            )
        )
        if isinstance(known[0], str):
            assert unknown == known
        else:
            assert issubclass(unknown[0], MerseyError)


def test_the_reader_tells_what_it_does_not_need(make):
    elements = make.dataset(make.image_elements())
    data = make.file(elements + make.element(0x7FE00010, "OW", bytes(48)))
    reader = Part10Reader(size_bytes=len(data))
    start = len(data) - 48
    reader.feed(data[:start])
    assert reader.unneeded_bytes == 48
    assert reader.is_complete
    assert reader.seek() == len(data)
    assert reader.finish().sop_instance_uid == "1.2.3.4"


def test_the_reader_asks_for_what_it_cannot_do_without(make):
    data = make.file(make.dataset(make.image_elements()))
    reader = Part10Reader(size_bytes=len(data))
    reader.feed(data[:100])
    assert reader.wanted_bytes == 140 - 100


def test_a_reader_is_finished_once(make):
    data = make.file(make.dataset(make.image_elements()))
    reader = Part10Reader()
    reader.feed(data)
    reader.finish()
    with pytest.raises(UsageError):
        reader.finish()
