"""Pictures of frames over HTTP: what is asked for is what is shown."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage

from .samples import write

PARTS = 'multipart/related; type="image/png"'


def shown(samples: np.ndarray, center: float, width: float) -> np.ndarray:
    """The picture of grey samples through a linear window, by PS3.3 §C.11.2.1.2."""
    values = samples.astype(float)
    scaled = ((values - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.clip(scaled, 0, 255)


def png(answer) -> np.ndarray:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "image/png"
    return imagecodecs.png_decode(answer.body)


def test_a_rendered_frame_is_the_frame_through_the_window(client, samples) -> None:
    answer = client.get(
        f"{samples.ct.url}/frames/3/rendered?window=600,900,linear", accept="image/png"
    )
    expected = shown(samples.ct.samples[2], 600, 900)
    assert np.abs(png(answer) - expected).max() <= 1


def test_jpeg_is_what_comes_where_nothing_else_is_asked_for(client, samples) -> None:
    for accept in (None, "*/*", "image/jpeg", "image/*"):
        answer = client.get(f"{samples.single.url}/rendered", accept=accept)
        assert answer.status == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert imagecodecs.jpeg8_decode(answer.body).shape == (96, 96)


def test_the_accept_parameter_goes_before_the_field(client, samples) -> None:
    answer = client.get(f"{samples.single.url}/rendered?accept=image%2Fpng", accept="*/*")
    assert answer.headers["content-type"] == "image/png"
    answer = client.get(f"{samples.single.url}/thumbnail?accept=image%2Fjpeg", accept="*/*")
    assert answer.headers["content-type"] == "image/jpeg"


def test_a_viewport_is_filled_without_changing_the_shape(client, samples) -> None:
    for viewport, shape in (("64,64", (64, 64)), ("100,50", (50, 50)), ("512,300", (300, 300))):
        answer = client.get(f"{samples.ct.url}/rendered?viewport={viewport}", accept="image/png")
        assert png(answer).shape == shape


def test_a_region_is_cut_and_a_negative_size_turns_it_around(client, samples) -> None:
    base = f"{samples.ct.url}/frames/1/rendered?window=600,900"
    whole = png(client.get(base, accept="image/png"))
    cut = png(client.get(f"{base}&viewport=40,20,10,30,40,20", accept="image/png"))
    np.testing.assert_array_equal(cut, whole[30:50, 10:50])
    turned = png(client.get(f"{base}&viewport=40,20,10,30,-40,-20", accept="image/png"))
    np.testing.assert_array_equal(turned, cut[::-1, ::-1])
    rest = png(client.get(f"{base}&viewport=56,156,200,100,,", accept="image/png"))
    np.testing.assert_array_equal(rest, whole[100:, 200:])


def test_colour_by_plane_and_codestreams_and_bits_are_shown(client, samples) -> None:
    picture = png(client.get(f"{samples.planar.url}/frames/2/rendered", accept="image/png"))
    np.testing.assert_array_equal(picture, samples.planar.samples[1])
    answer = client.get(f"{samples.j2k.url}/frames/2/rendered?window=300,500", accept="image/png")
    assert np.abs(png(answer) - shown(samples.j2k.samples[1], 300, 500)).max() <= 1
    picture = png(client.get(f"{samples.bits.url}/frames/3/rendered", accept="image/png"))
    np.testing.assert_array_equal(picture > 127, samples.bits.samples[2] > 0)
    answer = client.get(f"{samples.big_endian.url}/frames/1/rendered?window=9,9", accept="*/*")
    assert answer.status == 200


def test_the_quality_of_a_jpeg_is_that_which_is_asked_for(client, samples) -> None:
    low, high = (
        len(client.get(f"{samples.ct.url}/rendered?quality={quality}").body) for quality in (10, 95)
    )
    assert low < high / 2


def test_several_frames_come_as_parts_in_the_order_of_the_list(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/frames/5,2/rendered?window=600,900", accept=PARTS)
    assert answer.status == 200
    found = [imagecodecs.png_decode(data) for _, data in answer.parts()]
    for picture, index in zip(found, (4, 1), strict=True):
        assert np.abs(picture - shown(samples.ct.samples[index], 600, 900)).max() <= 1
    assert {kind for kind, _ in answer.parts()} == {"image/png"}
    assert client.get(f"{samples.ct.url}/frames/5,2/rendered", accept="image/jpeg").status == 406


def test_an_instance_in_parts_is_all_its_frames_and_alone_its_middle_one(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/rendered?viewport=16,16", accept=PARTS)
    assert len(answer.parts()) == 7
    alone = client.get(f"{samples.ct.url}/rendered?window=600,900", accept="image/png")
    assert np.abs(png(alone) - shown(samples.ct.samples[3], 600, 900)).max() <= 1


def test_a_series_and_a_study_are_rendered_in_parts(client, samples) -> None:
    answer = client.get("/studies/1.2.3/series/1.2.3.1/rendered?viewport=16,16")
    assert answer.status == 200
    assert len(answer.parts()) == 7 + 1 + 2 + 2 + 2 + 1
    answer = client.get("/studies/1.2.3/rendered?viewport=16,16", accept=PARTS)
    assert len(answer.parts()) == 7 + 1 + 2 + 2 + 2 + 1 + 2 + 3


@pytest.mark.parametrize(
    "place",
    [
        "/studies/1.2.3",
        "/studies/1.2.3/series/1.2.3.1",
        "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1",
        "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/2",
    ],
)
def test_a_thumbnail_is_small_at_every_level(client, samples, place) -> None:
    answer = client.get(f"{place}/thumbnail", accept="image/jpeg")
    assert answer.status == 200
    picture = imagecodecs.jpeg8_decode(answer.body)
    assert max(picture.shape) <= 256
    answer = client.get(f"{place}/thumbnail?viewport=32,48", accept="*/*")
    assert imagecodecs.jpeg8_decode(answer.body).shape == (32, 32)
    assert b"ller" not in answer.body


def test_a_picture_that_the_client_has_is_not_sent_again(client, samples) -> None:
    path = f"{samples.ct.url}/rendered?viewport=50,50"
    first, second = client.get(path), client.get(path)
    assert first.body == second.body
    assert first.headers["etag"] == second.headers["etag"]
    held = client.get(path, If_None_Match=first.headers["etag"])
    assert (held.status, held.body) == (304, b"")
    other = client.get(f"{path}&quality=50")
    assert other.headers["etag"] != first.headers["etag"]
    piece = client.get(path, Range="bytes=10-19")
    assert (piece.status, piece.body) == (206, first.body[10:20])


@pytest.mark.parametrize(
    "query",
    [
        "viewport=0,5",
        "viewport=5",
        "viewport=1e9,1",
        "viewport=16000,16000",
        "viewport=a,b",
        "viewport=5,5,9999,9999",
        "viewport=5,5,0,0,0,0",
        "viewport=1,2,3,4,5,6,7",
        "window=1",
        "window=nan,1",
        "window=1,0",
        "window=1,2,round",
        "quality=0",
        "quality=101",
        "quality=best",
        "iccprofile=purple",
    ],
)
def test_a_parameter_that_is_wrong_is_told_so(client, samples, query) -> None:
    answer = client.get(f"{samples.ct.url}/rendered?{query}")
    assert answer.status == 400
    assert b"message" in answer.body


def test_what_is_not_done_is_told_in_a_warning(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/rendered?annotation=patient&iccprofile=srgb")
    assert answer.status == 200
    assert answer.headers["warning"].count("299 ") == 2


def test_nothing_acceptable_and_no_such_frame_are_refused(client, samples) -> None:
    assert client.get(f"{samples.ct.url}/rendered", accept="video/mp4").status == 406
    assert client.get(f"{samples.ct.url}/frames/8/rendered").status == 404
    assert client.get("/studies/9.9/thumbnail").status == 404


def test_what_has_no_pixels_has_no_picture(tmp_path, run_server) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID = BasicTextSRStorage, "1.9.1.1"
    report.StudyInstanceUID, report.SeriesInstanceUID, report.Modality = "1.9", "1.9.1", "SR"
    write(folder / "sr.dcm", report)
    place = "/studies/1.9/series/1.9.1/instances/1.9.1.1"
    with run_server(folder, tmp_path / "store") as client:
        rendered = client.get(f"{place}/rendered")
        thumbnail = client.get(f"{place}/thumbnail")
    assert rendered.status == 406
    assert thumbnail.status == 404
    assert b"no pixels" in rendered.body
    assert b"no pixels" in thumbnail.body


def test_a_deflated_file_is_shown(tmp_path, run_server, make_instance, make_ct_samples) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(3, 64))
    dataset = dcmread(folder / "a.dcm")
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    (folder / "a.dcm").write_bytes(buffer.getvalue())
    with run_server(folder, tmp_path / "store") as client:
        answer = client.get(f"{sample.url}/frames/2/rendered?window=300,500", accept="image/png")
    assert np.abs(png(answer) - shown(sample.samples[1], 300, 500)).max() <= 1
