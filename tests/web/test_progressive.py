"""`…/progressive`: all frames of a series or an instance, low resolution first, in one Body."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pytest
from mersey.codecs.registry import Registry
from mersey.engine.transfer.series_description import SeriesDescription
from mersey.engine.web import progressive_source

RPCL = "1.2.840.10008.1.2.4.202"
SERIES = "/studies/1.2.3/series/1.2.3.1"


@dataclass(frozen=True, slots=True)
class Part:
    location: str
    content_type: str
    reduction: int
    start: int
    total: int
    data: bytes


def taken_apart(answer) -> tuple[dict, list[Part]]:
    """The description and the parts of a progressive answer, by a parser of the tests' own."""
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    body = answer.body
    end = b"\r\n--" + boundary + b"--\r\n"
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(end)
    pieces = (b"\r\n" + body[: -len(end)]).split(b"\r\n--" + boundary + b"\r\n")[1:]
    head, _, description = pieces[0].partition(b"\r\n\r\n")
    assert b"application/json" in head
    parts = []
    for piece in pieces[1:]:
        head, _, data = piece.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        span, _, total = fields["Content-Range"].removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        assert int(last) - int(first) + 1 == len(data)
        parts.append(
            Part(
                fields["Content-Location"],
                fields["Content-Type"],
                int(fields["Mersey-Reduction"]),
                int(first),
                int(total),
                data,
            )
        )
    return json.loads(description), parts


def joined(parts: list[Part]) -> dict[str, bytes]:
    """The bytes of each frame, put together from its parts in the order they came."""
    frames: dict[str, bytes] = {}
    for part in parts:
        held = frames.setdefault(part.location, b"")
        assert len(held) == part.start
        frames[part.location] = held + part.data
    return frames


def get_body(client, path: str):
    """The answer once it is a Body: the first one may be streamed while it is made."""
    client.get(path)
    answer = client.get(path)
    assert answer.status == 200
    assert "content-length" in answer.headers
    return answer


@pytest.fixture(scope="module")
def whole(client):
    return get_body(client, f"{SERIES}/progressive")


def test_the_parts_of_a_frame_are_the_codestream_that_its_url_gives(client, whole) -> None:
    _, parts = taken_apart(whole)
    frames = joined(parts)
    assert len(frames) > 7
    for location, data in frames.items():
        assert (
            client.get(f"{SERIES}/{location}", f"image/jphc; transfer-syntax={RPCL}").body == data
        )
    assert all(part.total == len(frames[part.location]) for part in parts)
    assert {part.content_type for part in parts} == {f"image/jphc; transfer-syntax={RPCL}"}


def test_every_kind_of_instance_is_streamed_with_the_bytes_that_it_has_later(
    samples, client, run_server, tmp_path
) -> None:
    with run_server(client.folder, tmp_path / "store") as fresh:
        streamed = fresh.get(f"{SERIES}/progressive")
        later = fresh.get(f"{SERIES}/progressive")
    assert "content-length" not in streamed.headers
    assert len({part.location.partition("/frames/")[0] for part in taken_apart(later)[1]}) > 3
    elsewhere = get_body(client, f"{SERIES}/progressive")
    for answer in (later, elsewhere):
        assert answer.headers["etag"] == streamed.headers["etag"]
        assert answer.body == streamed.body


def test_each_part_completes_the_image_it_says(samples, client) -> None:
    answer = client.get(f"{samples.ct.url}/progressive")
    description, parts = taken_apart(answer)
    pixels = SeriesDescription.parse(json.dumps(description).encode()).instances[0].pixels
    decoder = Registry.default().decoder(RPCL)
    held: dict[str, bytes] = {}
    for part in parts:
        held[part.location] = held.get(part.location, b"") + part.data
        image = decoder.decode(held[part.location], pixels=pixels, reduce=part.reduction)
        assert image.shape == (256 >> part.reduction, 256 >> part.reduction)
        if part.reduction == 0:
            number = int(part.location.rpartition("/")[2])
            assert np.array_equal(image, samples.ct.samples[number - 1])
    assert {part.reduction for part in parts} == {0, 1, 2, 3, 4, 5}


def test_resolutions_follow_each_other_over_all_frames(samples, client) -> None:
    _, parts = taken_apart(client.get(f"{samples.ct.url}/progressive"))
    reductions = [part.reduction for part in parts]
    assert reductions == sorted(reductions, reverse=True)
    first = [part.location for part in parts if part.reduction == 5]
    assert first == [f"frames/{number}" for number in (4, 5, 3, 6, 2, 7, 1)]


@pytest.mark.parametrize(
    ("order", "numbers"),
    [("in-order", (1, 2, 3, 4, 5, 6, 7)), ("stride", (1, 5, 3, 7, 2, 4, 6))],
)
def test_the_order_of_frames_can_be_chosen(samples, client, order, numbers) -> None:
    _, parts = taken_apart(client.get(f"{samples.ct.url}/progressive?order={order}"))
    assert [part.location for part in parts[:7]] == [f"frames/{number}" for number in numbers]


def test_until_stops_at_that_reduction(samples, client) -> None:
    _, all_parts = taken_apart(client.get(f"{samples.ct.url}/progressive"))
    _, parts = taken_apart(client.get(f"{samples.ct.url}/progressive?until=3"))
    assert parts == [part for part in all_parts if part.reduction >= 3]


def test_the_description_tells_the_samples_and_what_is_left_out(client, whole) -> None:
    content, parts = taken_apart(whole)
    described = SeriesDescription.parse(json.dumps(content).encode())
    assert described.frame_count == len({part.location for part in parts})
    assert described.instances[0].uid == "1.2.3.1.1"
    assert described.instances[0].pixels.rows == 256
    assert described.left_out == ()
    refused = client.get("/studies/1.2.3/series/1.2.3.3/progressive")
    assert refused.status == 406
    assert "Patient" not in whole.body[:2000].decode("latin-1")


def test_instances_without_a_progressive_form_are_left_out_and_named(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    from pydicom import dcmread

    folder = tmp_path / "files"
    folder.mkdir()
    sample = make_instance(folder / "image.dcm", "1.2.9.1", make_ct_samples(2, 64))
    report = dcmread(sample.path)
    for keyword in ("PixelData", "NumberOfFrames", "Rows", "Columns"):
        delattr(report, keyword)
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = "1.2.9.2"
    report.save_as(folder / "report.dcm")
    with run_server(folder, tmp_path / "store") as client:
        content, parts = taken_apart(client.get(f"{SERIES}/progressive"))
    assert [row["uid"] for row in content["left_out"]] == ["1.2.9.2"]
    assert {part.location for part in parts} == {
        "instances/1.2.9.1/frames/1",
        "instances/1.2.9.1/frames/2",
    }


def test_any_break_is_resumed_by_range(client, whole) -> None:
    length = len(whole.body)
    for at in (1, 40, 700, length // 3, length - 1):
        rest = client.get(
            f"{SERIES}/progressive", Range=f"bytes={at}-", If_Range=whole.headers["etag"]
        )
        assert rest.status == 206
        assert rest.headers["content-range"] == f"bytes {at}-{length - 1}/{length}"
        assert whole.body[:at] + rest.body == whole.body


def test_head_tells_the_length_and_the_tag(client, whole) -> None:
    answer = client.ask(f"/dicom-web{SERIES}/progressive", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) == len(whole.body)
    assert answer.headers["etag"] == whole.headers["etag"]


def test_another_order_or_end_has_another_tag(client, whole) -> None:
    tags = {
        client.ask(f"/dicom-web{SERIES}/progressive{query}", method="HEAD").headers["etag"]
        for query in ("", "?until=2", "?order=stride", "?order=middle-out&until=0")
    }
    assert len(tags) == 3
    assert whole.headers["etag"] in tags


def test_a_series_that_changed_is_never_mixed_with_what_it_was(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    make_instance(folder / "a.dcm", "1.2.9.1", make_ct_samples(2, 64))
    with run_server(folder, tmp_path / "store") as client:
        before = get_body(client, f"{SERIES}/progressive")
        make_instance(folder / "a.dcm", "1.2.9.1", make_ct_samples(2, 64, 5))
        after = client.get(
            f"{SERIES}/progressive", Range="bytes=100-", If_Range=before.headers["etag"]
        )
        again = client.get(
            f"{SERIES}/progressive", Range="bytes=100-", If_Range=before.headers["etag"]
        )
    # Streamed while it is made, then whole: never a part of the one behind a part of the other.
    for answer in (after, again):
        assert answer.status == 200
        assert answer.body == again.body
    assert "content-length" not in after.headers
    assert after.headers["etag"] == again.headers["etag"] != before.headers["etag"]
    assert taken_apart(after)[1] != taken_apart(before)[1]


def test_a_damaged_rendition_is_made_again_before_it_is_sent(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder, store = tmp_path / "files", tmp_path / "store"
    folder.mkdir()
    make_instance(folder / "a.dcm", "1.2.9.1", make_ct_samples(2, 64))
    with run_server(folder, store) as client:
        before = get_body(client, f"{SERIES}/progressive")
    (rendition,) = (store / "renditions").rglob("*.dcm")
    data = bytearray(rendition.read_bytes())
    data[-200] ^= 1
    rendition.write_bytes(data)
    with run_server(folder, store) as client:
        after = client.get(f"{SERIES}/progressive")
    assert after.status == 200
    assert after.body == before.body


def test_lossy_codestreams_keep_their_samples_and_get_their_packets_in_order(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    import imagecodecs
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000

    folder = tmp_path / "files"
    folder.mkdir()
    samples = make_ct_samples(2, 128)
    sample = make_instance(folder / "a.dcm", "1.2.9.1", samples)
    dataset = dcmread(sample.path)
    frames = [
        imagecodecs.jpeg2k_encode(frame, level=40, codecformat="j2k", bitspersample=12)
        for frame in samples
    ]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset.LossyImageCompression = "01"
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    dataset.save_as(sample.path)
    with run_server(folder, tmp_path / "store") as client:
        _, parts = taken_apart(client.get(f"{SERIES}/progressive"))
    assert {part.content_type for part in parts} == {f"image/jp2; transfer-syntax={JPEG2000}"}
    assert len({part.reduction for part in parts}) > 1
    for data, frame in zip(joined(parts).values(), frames, strict=True):
        assert np.array_equal(imagecodecs.jpeg2k_decode(data), imagecodecs.jpeg2k_decode(frame))


@pytest.mark.parametrize("query", ["order=upside-down", "until=-1", "until=x", "until=123"])
def test_parameters_of_another_form_are_refused(client, query) -> None:
    assert client.get(f"{SERIES}/progressive?{query}").status == 400


def test_there_is_no_series_of_an_unknown_uid(client) -> None:
    assert client.get("/studies/1.2.3/series/9.9/progressive").status == 404


def test_the_head_of_a_part_is_short(client, whole) -> None:
    content, parts = taken_apart(whole)
    described = len(json.dumps(content, separators=(",", ":")))
    overhead = len(whole.body) - described - sum(len(part.data) for part in parts)
    assert overhead / len(parts) < 310


def test_the_digests_are_made_once_and_kept_over_a_restart(
    tmp_path, run_server, make_instance, make_ct_samples, monkeypatch
) -> None:
    folder, store = tmp_path / "files", tmp_path / "store"
    folder.mkdir()
    make_instance(folder / "a.dcm", "1.2.9.1", make_ct_samples(2, 64))
    with run_server(folder, store) as client:
        before = get_body(client, f"{SERIES}/progressive")
        assert client.get(f"{SERIES}/progressive?order=stride").headers["content-length"]
    read = []
    monkeypatch.setattr(progressive_source, "read_frame_pieces", lambda *given: read.append(given))
    with run_server(folder, store) as client:
        assert client.get(f"{SERIES}/progressive").body == before.body
    assert read == []


def test_every_part_has_the_digest_of_its_bytes(whole) -> None:
    boundary = whole.headers["content-type"].partition("boundary=")[2].encode()
    parts = whole.body.split(b"--" + boundary + b"\r\n")[1:]
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        data = data.removesuffix(b"--" + boundary + b"--\r\n").removesuffix(b"\r\n")
        told = head.partition(b"Content-Digest: sha-256=:")[2].partition(b":")[0]
        assert base64.b64decode(told) == hashlib.sha256(data).digest()
