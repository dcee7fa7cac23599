"""Smaller images of frames, cut out without decoding; and J2K in progressive order."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.codestream import prefix_length, scan_codestream
from mersey.codecs.errors import CodestreamError
from mersey.codecs.surgery import reduce_codestream, to_progressive
from pydicom import dcmread
from pydicom.encaps import generate_frames

from .viewer_forms import DEFAULT, JPHC, RPCL

J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
JP2 = "image/jp2"
MULTIPART_JP2 = f"multipart/related; type=image/jp2; transfer-syntax={J2K_LOSSLESS}"


def stored(path) -> list[bytes]:
    dataset = dcmread(path)
    count = int(dataset.NumberOfFrames)
    return list(generate_frames(dataset.PixelData, number_of_frames=count))


@pytest.mark.parametrize("reduce", range(6))
def test_reduce_gives_the_codestream_of_the_smaller_image(client, samples, reduce) -> None:
    url = f"{samples.ct.url}/frames/3"
    whole = client.get(url, JPHC).body
    answer = client.get(f"{url}?reduce={reduce}", JPHC)
    assert answer.status == 200
    assert answer.headers["x-decode-level"] == str(reduce)
    assert answer.headers["content-type"] == JPHC
    expected = imagecodecs.jpeg2k_decode(whole, skipres=reduce)
    assert expected.shape == (256 >> reduce, 256 >> reduce)
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(answer.body), expected)
    layout = scan_codestream(answer.body)
    assert (layout.width, layout.progression, layout.has_tlm) == (256 >> reduce, "RPCL", True)


def test_reduce_of_j2k_is_j2k_at_every_resolution_the_original_has(client, samples) -> None:
    url = f"{samples.j2k.url}/frames/2"
    original = stored(samples.j2k.path)[1]
    for reduce in range(scan_codestream(original).decompositions + 1):
        answer = client.get(f"{url}?reduce={reduce}", JP2)
        assert answer.headers["content-type"] == f"image/jp2; transfer-syntax={J2K_LOSSLESS}"
        assert answer.headers["x-decode-level"] == str(reduce)
        assert not scan_codestream(answer.body).ht
        expected = imagecodecs.jpeg2k_decode(original, skipres=reduce)
        np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(answer.body), expected)


def test_fsiz_of_j2k_covers_the_size(client, samples) -> None:
    answer = client.get(f"{samples.j2k.url}/frames/1?fsiz=30,17", JP2)
    assert answer.headers["x-decode-level"] == "1"
    assert imagecodecs.jpeg2k_decode(answer.body).shape == (40, 40)


def test_each_reduction_has_an_entity_tag_of_its_own_that_stays(client, samples) -> None:
    for url, accept in ((samples.ct.url, JPHC), (samples.j2k.url, JP2), (samples.ct.url, DEFAULT)):
        paths = [f"{url}/frames/1", *(f"{url}/frames/1?reduce={level}" for level in range(4))]
        answers = [client.get(path, accept) for path in paths]
        tags = [answer.headers["etag"] for answer in answers]
        assert tags[0] == tags[1]
        assert len(set(tags)) == 4
        again = [client.get(path, accept) for path in paths]
        assert [answer.body for answer in again] == [answer.body for answer in answers]
        assert [answer.headers["etag"] for answer in again] == tags


def test_ranges_of_a_reduced_frame_fit_together(client, samples) -> None:
    for url, accept in ((samples.ct.url, DEFAULT), (samples.j2k.url, MULTIPART_JP2)):
        path = f"{url}/frames/2?reduce=1"
        whole = client.get(path, accept)
        chunks = b""
        while len(chunks) < len(whole.body):
            first = len(chunks)
            part = client.get(
                path,
                accept,
                Range=f"bytes={first}-{first + 999}",
                If_Range=whole.headers["etag"],
            )
            assert part.status == 206
            assert part.headers["content-range"].endswith(f"/{len(whole.body)}")
            chunks += part.body
        assert chunks == whole.body


def test_frames_of_a_list_are_each_reduced(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/frames/7,1?reduce=2", DEFAULT)
    assert answer.headers["x-decode-level"] == "2"
    for (content_type, data), number in zip(answer.parts(), (7, 1), strict=True):
        assert content_type.endswith(RPCL)
        whole = client.get(f"{samples.ct.url}/frames/{number}", JPHC).body
        assert data == reduce_codestream(whole, reduce=2)


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("reduce=9", JPHC, 400),
        ("reduce=99", DEFAULT, 400),
        ("reduce=-1", JPHC, 400),
        ("reduce=x", JPHC, 400),
        ("reduce=1&fsiz=8,8", JPHC, 400),
        ("reduce=1", "application/octet-stream", 406),
        ("reduce=1", 'multipart/related; type="application/octet-stream"', 406),
    ],
)
def test_what_cannot_be_reduced_is_refused_with_an_empty_body(
    client, samples, query, accept, status
) -> None:
    answer = client.get(f"{samples.ct.url}/frames/1?{query}", accept)
    assert (answer.status, answer.body) == (status, b"")


def test_reduce_0_of_uncompressed_frames_is_the_frame(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/frames/1?reduce=0", "application/octet-stream")
    assert answer.body == samples.ct.samples[0].tobytes()


@pytest.mark.parametrize(
    "accept", [JP2, f"application/octet-stream; transfer-syntax={J2K_LOSSLESS}"]
)
def test_j2k_asked_for_by_name_comes_in_progressive_order(client, samples, accept) -> None:
    for number, original in enumerate(stored(samples.j2k.path), 1):
        body = client.get(f"{samples.j2k.url}/frames/{number}", accept).body
        made = to_progressive(original)
        assert body == made + b"\0" * (len(made) % 2)


def test_prefixes_of_j2k_up_to_a_cut_point_are_complete_smaller_images(client, samples) -> None:
    path = f"{samples.j2k.url}/frames/1"
    layout = scan_codestream(client.get(path, JP2).body)
    original = stored(samples.j2k.path)[0]
    for reduce in range(1, layout.decompositions + 1):
        end = prefix_length(layout, reduce)
        part = client.get(path, JP2, Range=f"bytes=0-{end - 1}")
        assert part.status == 206
        found = imagecodecs.jpeg2k_decode(part.body + b"\xff\xd9", skipres=reduce)
        np.testing.assert_array_equal(found, imagecodecs.jpeg2k_decode(original, skipres=reduce))


def test_the_rendition_of_j2k_has_the_bytes_of_frames_made_at_once(
    tmp_path, run_server, samples, wait_until
) -> None:
    folder, store = tmp_path / "files", tmp_path / "store"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(samples.j2k.path.read_bytes())
    paths = [f"{samples.j2k.url}/frames/{number}" for number in (1, 2)]
    with run_server(folder, store) as client:
        before = [client.get(path, JP2) for path in paths]
        wait_until(lambda: list((store / "renditions").rglob("*.dcm")))
        after = [client.get(path, JP2) for path in paths]
    assert [answer.body for answer in before] == [answer.body for answer in after]
    assert [a.headers["etag"] for a in before] == [a.headers["etag"] for a in after]
    (rendition,) = (store / "renditions").rglob("*.dcm")
    made, source = dcmread(rendition), dcmread(samples.j2k.path)
    assert made.file_meta.TransferSyntaxUID == J2K_LOSSLESS
    assert made.SOPInstanceUID == source.SOPInstanceUID
    np.testing.assert_array_equal(made.pixel_array, source.pixel_array)


def test_a_damaged_j2k_frame_comes_as_it_is_stored(tmp_path, run_server, samples) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    data = bytearray(samples.j2k.path.read_bytes())
    second = data.rindex(b"\xff\x4f\xff\x51")
    packets = data.index(b"\xff\x93", second) + 2  # behind SOD: empty packets, and what is over
    data[packets : len(data) - 16] = bytes(len(data) - 16 - packets)
    (folder / "a.dcm").write_bytes(data)
    damaged = stored(folder / "a.dcm")[1]
    with pytest.raises(CodestreamError, match="bytes follow the last packet"):
        to_progressive(damaged)
    with run_server(folder, tmp_path / "store") as client:
        for _ in range(2):
            answer = client.get(f"{samples.j2k.url}/frames/2", JP2)
            assert (answer.status, answer.body) == (200, damaged)
        assert client.get(f"{samples.j2k.url}/frames/2?reduce=1", JP2).status == 500
        assert client.get(f"{samples.j2k.url}/frames/1?reduce=1", JP2).status == 200


def test_the_stored_file_is_given_as_it_is(client, samples) -> None:
    accept = f"application/dicom; transfer-syntax={J2K_LOSSLESS}"
    assert client.get(samples.j2k.url, accept).body == samples.j2k.path.read_bytes()
