"""Frames as viewers ask for them: the ten points of the contract, each as a sentence."""

from __future__ import annotations

import os
import re
import socket
import threading

import imagecodecs
import numpy as np
import pytest

from .viewer_forms import DEFAULT, JPHC, RPCL, decode

PART10_RPCL = f"application/dicom; transfer-syntax={RPCL}"


def test_bytes_and_boundary_are_the_same_on_every_request_for_a_frame(client, samples) -> None:
    answers = [client.get(f"{samples.ct.url}/frames/2", DEFAULT) for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.headers["content-type"] for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1


def test_a_frame_encoded_at_once_has_the_bytes_that_its_rendition_gets(
    tmp_path, run_server, make_instance, make_ct_samples, wait_until
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(5, 77))
    with run_server(folder, tmp_path / "store") as client:
        paths = [f"{sample.url}/frames/{number}" for number in (1, 5, 3)]
        before = [client.get(path, DEFAULT) for path in paths]
        wait_until(lambda: list((tmp_path / "store" / "renditions").rglob("*.dcm")))
        after = [client.get(path, DEFAULT) for path in paths]
    assert [answer.body for answer in before] == [answer.body for answer in after]
    assert [a.headers["etag"] for a in before] == [a.headers["etag"] for a in after]
    for number, answer in zip((1, 5, 3), after, strict=True):
        ((content_type, data),) = answer.parts()
        assert content_type == f"application/octet-stream; transfer-syntax={RPCL}"
        np.testing.assert_array_equal(decode(data, sample.samples), sample.samples[number - 1])
    with run_server(folder, tmp_path / "store") as client:
        restarted = client.get(paths[0], DEFAULT)
    assert restarted.body == before[0].body
    assert restarted.headers["etag"] == before[0].headers["etag"]


def test_a_flipped_bit_of_a_stored_rendition_is_never_served(
    tmp_path, run_server, make_instance, make_ct_samples, wait_until
) -> None:
    folder, store = tmp_path / "files", tmp_path / "store"
    folder.mkdir()
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(5, 77))
    frames = [f"{sample.url}/frames/{number}" for number in range(1, 6)]

    def stored() -> list:
        return list((store / "renditions").rglob("*.dcm"))

    with run_server(folder, store) as client:
        right = [client.get(path, DEFAULT) for path in frames]
        wait_until(stored)
        instance = client.get(sample.url, PART10_RPCL).body
    (path,) = stored()
    for damaged in (True, False):
        if damaged:
            data, status = bytearray(path.read_bytes()), path.stat()
            data[data.index(b"\xff\x4f\xff\x51", len(data) // 2) + 300] ^= 1
            path.write_bytes(data)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with run_server(folder, store) as client:
            assert [client.get(frame, DEFAULT).body for frame in frames] == [
                answer.body for answer in right
            ]
            assert client.get(sample.url, PART10_RPCL).body == instance
            wait_until(stored)
    assert path.read_bytes() == instance


@pytest.mark.parametrize(
    ("frames", "accept", "status"),
    [("0", DEFAULT, 404), ("8", DEFAULT, 404), ("x", DEFAULT, 400), ("1", "image/png", 406)],
)
def test_errors_on_frames_have_an_empty_body(client, samples, frames, accept, status) -> None:
    answer = client.get(f"{samples.ct.url}/frames/{frames}", accept)
    assert (answer.status, answer.body) == (status, b"")


def test_frames_have_a_length_and_no_content_encoding(client, samples) -> None:
    answer = client.get(
        f"{samples.ct.url}/frames/1", DEFAULT, Accept_Encoding="gzip, deflate, br, zstd"
    )
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "content-encoding" not in answer.headers
    assert "transfer-encoding" not in answer.headers


def test_multipart_begins_with_the_boundary_and_spells_content_type_so(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/frames/1", DEFAULT)
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    pattern = rb"--%b\r\nContent-Type: application/octet-stream; transfer-syntax=" % (
        boundary.encode()
    )
    assert re.match(pattern, answer.body)


@pytest.mark.parametrize("accept", [JPHC, f"image/jphc;transfer-syntax={RPCL}", "image/jphc"])
def test_a_single_part_names_the_transfer_syntax_in_its_content_type(
    client, samples, accept
) -> None:
    answer = client.get(f"{samples.ct.url}/frames/1", accept)
    assert answer.headers["content-type"] == JPHC
    found = decode(answer.body, samples.ct.samples)
    np.testing.assert_array_equal(found, samples.ct.samples[0])


@pytest.mark.parametrize(
    ("fsiz", "level"),
    [("64,64", 2), ("64x64", 2), ("65,1", 1), ("1,129", 0), ("1,128", 1), ("9999,9999", 0)],
)
def test_fsiz_gets_the_smallest_resolution_that_covers_it(client, samples, fsiz, level) -> None:
    whole = client.get(f"{samples.ct.url}/frames/1", JPHC)
    answer = client.get(f"{samples.ct.url}/frames/1?fsiz={fsiz}", JPHC)
    assert answer.headers["x-decode-level"] == str(level)
    assert answer.headers["content-type"] == whole.headers["content-type"]
    assert (answer.headers["etag"] == whole.headers["etag"]) == (level == 0)
    expected = decode(whole.body, samples.ct.samples, reduce=level)
    assert expected.shape == (256 >> level, 256 >> level)
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(answer.body), expected)


def test_a_wrong_fsiz_is_refused(client, samples) -> None:
    assert client.get(f"{samples.ct.url}/frames/1?fsiz=big", JPHC).status == 400


@pytest.mark.parametrize(
    "accept",
    [
        f"multipart/related; type=image/jphc; transfer-syntax={RPCL}; transfer-syntax=*",
        f'multipart/related; type="image/jphc"; transfer-syntax={RPCL}',
        f"multipart/related; type=image/jphc; transfer-syntax={RPCL}",
        'multipart/related; type="image/jhc"',
    ],
)
def test_transfer_syntax_may_be_named_twice_and_quoted_or_not(client, samples, accept) -> None:
    ((content_type, data),) = client.get(f"{samples.ct.url}/frames/1", accept).parts()
    assert content_type == JPHC
    np.testing.assert_array_equal(decode(data, samples.ct.samples), samples.ct.samples[0])


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        "multipart/related;type=application/octet-stream;transfer-syntax=*, */*;q=0.1",
    ],
)
def test_the_default_of_viewers_gets_the_progressive_form(client, samples, accept) -> None:
    ((content_type, _),) = client.get(f"{samples.ct.url}/frames/1", accept).parts()
    assert content_type == f"application/octet-stream; transfer-syntax={RPCL}"


def test_the_accept_parameter_is_equal_to_the_field(client, samples) -> None:
    by_field = client.get(f"{samples.ct.url}/frames/1", JPHC)
    encoded = f"image%2Fjphc%3B%20transfer-syntax%3D{RPCL}"
    by_parameter = client.get(f"{samples.ct.url}/frames/1?accept={encoded}", "*/*")
    assert by_parameter.headers["content-type"] == JPHC
    assert by_parameter.body == by_field.body
    assert by_parameter.headers["etag"] == by_field.headers["etag"]


@pytest.mark.parametrize("name", ["ct", "single", "implicit", "big_endian", "planar", "j2k", "odd"])
def test_octets_are_the_uncompressed_samples_as_the_metadata_lays_them_out(
    client, samples, name
) -> None:
    sample = getattr(samples, name)
    count = sample.samples.shape[0]
    numbers = ",".join(str(number) for number in range(1, count + 1))
    answer = client.get(
        f"{sample.url}/frames/{numbers}", 'multipart/related; type="application/octet-stream"'
    )
    parts = answer.parts()
    assert len(parts) == count
    for (content_type, data), frame in zip(parts, sample.samples, strict=True):
        assert content_type == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        expected = np.moveaxis(frame, 2, 0) if name == "planar" else frame
        assert data == np.ascontiguousarray(expected).tobytes()


def test_frames_of_single_bits_each_begin_a_byte(client, samples) -> None:
    answer = client.get(
        f"{samples.bits.url}/frames/3,1,2", 'multipart/related; type="application/octet-stream"'
    )
    for (_, data), index in zip(answer.parts(), (2, 0, 1), strict=True):
        flat = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=35)
        np.testing.assert_array_equal(flat.reshape(5, 7), samples.bits.samples[index])


def test_a_single_part_of_octets_is_the_frame_alone(client, samples) -> None:
    answer = client.get(f"{samples.ct.url}/frames/7", "application/octet-stream")
    assert answer.body == samples.ct.samples[6].tobytes()
    assert answer.headers["content-type"].endswith("transfer-syntax=1.2.840.10008.1.2.1")


def test_parts_follow_the_order_of_the_list(client, samples) -> None:
    parts = client.get(f"{samples.ct.url}/frames/5,1,5").parts()
    expected = [samples.ct.samples[index].tobytes() for index in (4, 0, 4)]
    assert [data for _, data in parts] == expected


def test_several_frames_do_not_fit_in_a_single_part(client, samples) -> None:
    assert client.get(f"{samples.ct.url}/frames/1,2", "application/octet-stream").status == 406


@pytest.mark.parametrize(
    "accept", ["image/jp2", "image/jp2; transfer-syntax=*", "*/*;q=0, image/jp2"]
)
def test_stored_j2k_comes_as_it_is(client, samples, accept) -> None:
    answer = client.get(f"{samples.j2k.url}/frames/2", accept)
    assert answer.headers["content-type"].startswith("image/jp2; transfer-syntax=1.2.840")
    found = imagecodecs.jpeg2k_decode(answer.body)
    np.testing.assert_array_equal(found, samples.j2k.samples[1])


def test_stored_j2k_becomes_progressive_when_any_syntax_will_do(client, samples) -> None:
    ((content_type, data),) = client.get(f"{samples.j2k.url}/frames/1", DEFAULT).parts()
    assert content_type.endswith(RPCL)
    np.testing.assert_array_equal(decode(data, samples.j2k.samples), samples.j2k.samples[0])


def test_what_has_no_progressive_form_comes_uncompressed_by_default(client, samples) -> None:
    answer = client.get(f"{samples.bits.url}/frames/1", DEFAULT)
    ((content_type, _),) = answer.parts()
    assert content_type.startswith("application/octet-stream; transfer-syntax=")


def test_a_hundred_clients_at_once_get_the_same_frame(client, samples) -> None:
    path = f"{samples.single.url}/frames/1"
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.get(path, DEFAULT).body))
        for _ in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100
    assert len(set(found)) == 1


def test_a_frame_list_of_absurd_length_is_refused(client, samples) -> None:
    assert client.get(f"{samples.ct.url}/frames/{'1,' * 20000}1").status == 400
    assert client.get(f"{samples.ct.url}/frames/{'1' * 50}").status == 400


def test_more_frames_than_fit_in_memory_come_from_a_rendition_built_first(
    tmp_path, run_server, make_instance, make_ct_samples, monkeypatch
) -> None:
    monkeypatch.setattr("mersey.engine.web.frame_source._AT_ONCE_BYTES", 0)
    folder = tmp_path / "files"
    folder.mkdir()
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(4, 40))
    with run_server(folder, tmp_path / "store") as client:
        parts = client.get(f"{sample.url}/frames/4,1,2", DEFAULT).parts()
        assert len(list((tmp_path / "store" / "renditions").rglob("*.dcm"))) == 1
    for (_, data), index in zip(parts, (3, 0, 1), strict=True):
        np.testing.assert_array_equal(decode(data, sample.samples), sample.samples[index])


def test_samples_that_do_not_fit_their_bits_come_uncompressed_where_that_will_do(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    samples = make_ct_samples(2, 32)
    samples[:, 5, 5] |= 0x8000  # an old overlay in an unused bit
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", samples)
    with run_server(folder, tmp_path / "store") as client:
        for _ in range(2):
            ((content_type, data),) = client.get(f"{sample.url}/frames/2", DEFAULT).parts()
            assert content_type.endswith("transfer-syntax=1.2.840.10008.1.2.1")
            assert data == samples[1].tobytes()
            answer = client.get(f"{sample.url}/frames/2", JPHC)
            assert (answer.status, answer.body) == (406, b"")


def test_a_frame_that_does_not_decode_is_an_error_and_the_others_are_served(
    tmp_path, run_server, samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    data = samples.j2k.path.read_bytes()
    second = data.rindex(b"\xff\x4f\xff\x51")
    ruined = data[: second + 60] + bytes(len(data) - second - 68) + data[-8:]
    (folder / "a.dcm").write_bytes(ruined)
    octets = "application/octet-stream"
    with run_server(folder, tmp_path / "store") as client:
        assert client.get(f"{samples.j2k.url}/frames/1", octets).status == 200
        answer = client.get(f"{samples.j2k.url}/frames/2", octets)
        assert (answer.status, answer.body) == (500, b"")
        assert client.get(f"{samples.j2k.url}/frames/1", octets).status == 200


def test_a_client_that_goes_away_in_the_middle_harms_nobody(client, samples) -> None:
    path = f"/dicom-web{samples.ct.url}/bulkdata/7FE00010"
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", int(client.address.rpartition(":")[2]))) as one:
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert one.recv(100)
    assert client.ask(path).body == samples.ct.samples.tobytes()
