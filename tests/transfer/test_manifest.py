"""Manifests and the form `htj2k`: what is written is read, what cannot be is refused."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import pytest
import zstandard
from mersey.codecs.errors import FormatError
from mersey.codecs.pixels import PixelFormat
from mersey.engine.transfer.manifest import (
    MAX_ITEMS,
    PARCEL_BYTES,
    Item,
    Manifest,
    cut_into_parcels,
)
from mersey.engine.transfer.wire_form import Opening

_SHA = "ab" * 32


def _manifest() -> Manifest:
    return Manifest(
        '"e1"',
        (
            Item("1.2", "1.2.3", "1.2.3.4", 1000, _SHA, "stored", 0, 1000),
            Item("1.2", "1.2.3", "1.2.3.5", 5000, _SHA, "htj2k", 1000, 700),
        ),
    )


def test_a_manifest_survives_the_wire() -> None:
    manifest = _manifest()

    assert Manifest.from_json(manifest.to_json()) == manifest
    assert (manifest.length_bytes, manifest.size_bytes) == (1700, 6000)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (0, "../../etc/passwd"),
        (1, "1.2/3"),
        (0, ".."),
        (1, "1.2."),
        (2, "1..2"),
        (2, "1.2\n"),
        (2, "1" * 65),
        (2, "1.2.3.5"),
        (3, -1),
        (3, 0),
        (3, True),
        (3, 2.5),
        (3, 1 << 60),
        (3, 999),
        (4, "AB" * 32),
        (4, "ab" * 31),
        (5, "gzip"),
        (5, ["stored"]),
        (6, 0),
        (6, "1000"),
    ],
)
def test_an_item_that_lies_is_refused(field: int, value: Any) -> None:
    whole = json.loads(_manifest().to_json())
    whole["items"][0][field] = value

    with pytest.raises(FormatError):
        Manifest.from_json(json.dumps(whole).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"version":2,"etag":"\\"a\\"","items":[[]]}',
        b'{"version":1,"etag":"W/\\"a\\"","items":[[]]}',
        b'{"version":1,"etag":"\\"a\\"","items":[]}',
        b'{"version":1,"etag":"\\"a\\"","items":[[1,2,3]]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Manifest.from_json(data)


def test_parcels_hold_every_instance_once_and_large_ones_alone() -> None:
    chance = random.Random(1)
    sizes = [chance.choice([1, 500_000, PARCEL_BYTES, 3 * PARCEL_BYTES]) for _ in range(500)]

    cuts = cut_into_parcels(sizes)

    assert [index for cut in cuts for index in cut] == list(range(500))
    assert all(len(cut) == 1 or sum(sizes[i] for i in cut) <= PARCEL_BYTES for cut in cuts)
    assert max(len(cut) for cut in cut_into_parcels([1] * (2 * MAX_ITEMS + 5))) == MAX_ITEMS
    assert cut_into_parcels([]) == []


def _opening() -> Opening:
    pixels = PixelFormat(16, 24, bits_stored=12, high_bit=11)
    return Opening(pixels, b"before " * 100, b"after", (10, 20, 30))


def test_an_opening_survives_the_wire() -> None:
    opening = _opening()
    data = opening.to_bytes()

    assert Opening.from_bytes(data + b"codestreams") == opening
    assert opening.restored_bytes == 700 + 5 + 3 * 16 * 24 * 2
    assert Opening.length_of(data) == len(data)


def test_the_length_of_an_opening_is_told_by_its_first_bytes() -> None:
    data = _opening().to_bytes()

    told = [Opening.length_of(data[:end]) for end in range(len(data))]

    assert set(told) == {None, len(data)}
    assert told == sorted(told, key=lambda length: length is not None)


def test_a_cut_opening_is_refused() -> None:
    data = _opening().to_bytes()

    for end in range(len(data)):
        with pytest.raises(FormatError):
            Opening.from_bytes(data[:end])


def test_headers_that_inflate_to_something_else_are_refused() -> None:
    head = json.loads(_head(_opening().to_bytes()))
    for bomb in (b"x" * 10_000_000, b""):
        packed = zstandard.ZstdCompressor().compress(bomb)
        fields = head | {"before": [len(packed), 700]}
        text = json.dumps(fields).encode()
        data = b"MERSEYW\x01" + struct.pack("<I", len(text)) + text + packed + bytes(500)

        with pytest.raises(FormatError):
            Opening.from_bytes(data)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 1 << 40},
        {"frames": -1},
        {"frames": 0},
        {"before": [1 << 40, 1]},
        {"after": [1]},
        {"after": "ab"},
        {"pixels": {"rows": 0, "columns": 1}},
        {"pixels": {"rows": 1}},
        {"pixels": {"rows": 1, "columns": 1, "evil": 1}},
    ],
)
def test_a_head_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    fields = json.loads(_head(_opening().to_bytes())) | change
    text = json.dumps(fields).encode()

    with pytest.raises(FormatError):
        Opening.length_of(b"MERSEYW\x01" + struct.pack("<I", len(text)) + text)


def _head(data: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", data, 8)
    return data[12 : 12 + length]
