"""Surgery on codestreams made for it, by OpenJPH and by opj_compress and grk_compress."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from codestreams import HT_FORMS, blank_bodies_from, ht_codestream, image, progressive
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.surgery import conforms_to_rpcl, reorder, to_progressive, why_not_rpcl
from reference_decoders import by_openjpeg, same
from surgery_contract import PROGRESSIONS, assert_keeps_samples, assert_reduces_to_the_same

ROWS, COLUMNS = 211, 187

OPJ_FORMS = {
    "one layer": "-r 1",
    "layers": "-r 40,20,5,1",
    "layers, precincts": "-r 20,10,1 -c [128,32],[64,128],[32,32]",
    "layers, SOP, EPH, tiles, bypass": "-r 30,8,1 -SOP -EPH -t 140,140 -M 1",
    "PLT, TLM, tile-parts": "-PLT -TLM -TP R",
    "tile-parts by component": "-TP C -t 128,128",
    "tile-parts by layer": "-r 20,5,1 -TP L -PLT",
    "termination on each pass": "-M 5",
    "all modes but bypass": "-M 62 -r 30,10,1",
    "offsets, tiles that nothing divides": "-d 20,30 -T 10,5 -t 77,91",
    "offsets, precincts, tiles": "-d 13,7 -T 5,3 -t 96,64 -c [32,32] -SOP",
    "lossy": "-I -r 10 -b 4,256",
    "region of interest": "-ROI c=0,U=7 -r 1",
    "no decomposition": "-n 1",
    "EPH, precincts": "-EPH -c [64,64],[32,16]",
}


def compressed(tool: str, options: str, order: str, folder: Path, *, levels: int = 4) -> bytes:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    source, target = folder / "image.ppm", folder / "image.j2k"
    pixels = (image(ROWS, COLUMNS, 3) >> 4).astype("u1")
    source.write_bytes(b"P6\n%d %d\n255\n" % (COLUMNS, ROWS) + pixels.tobytes())
    command = [tool, "-i", source, "-o", target, "-p", order]
    if "-n" not in options:
        command += ["-n", str(levels + 1)]
    subprocess.run([*command, *options.split()], check=True, capture_output=True)
    return target.read_bytes()


@pytest.mark.parametrize("order", PROGRESSIONS)
@pytest.mark.parametrize("form", OPJ_FORMS)
def test_streams_of_openjpeg_keep_their_samples(form: str, order: str, tmp_path: Path) -> None:
    data = compressed("opj_compress", OPJ_FORMS[form], order, tmp_path)
    assert scan_codestream(data).progression == order
    assert assert_keeps_samples(data) == 7
    assert_reduces_to_the_same(data)


@pytest.mark.parametrize("order", PROGRESSIONS)
@pytest.mark.parametrize(
    "options",
    ["-r 30,8,1 -S -E", "-t 100,90 -L -X", "-c [64,64],[32,32] -r 20,1 -u R", "-I -r 12"],
)
def test_streams_of_grok_keep_their_samples(options: str, order: str, tmp_path: Path) -> None:
    data = compressed("grk_compress", options, order, tmp_path)
    assert scan_codestream(data).progression == order
    assert assert_keeps_samples(data) == 7
    assert_reduces_to_the_same(data)


@pytest.mark.parametrize(
    "changes",
    [
        "T1=0,0,1,5,3,CPRL",
        "T1=0,0,1,3,3,LRCP/T1=3,0,1,5,3,PCRL",
        "T1=0,0,2,2,3,RLCP/T1=2,0,2,5,3,LRCP",
        "T1=0,0,1,5,1,CPRL/T1=0,1,1,5,3,RPCL",
    ],
)
def test_changes_of_progression_are_followed_and_undone(changes: str, tmp_path: Path) -> None:
    layers = 2 if ",2," in changes else 1
    rates = "-r 20,1" if layers == 2 else "-r 1"
    data = compressed("opj_compress", f"{rates} -POC {changes}", "LRCP", tmp_path)
    assert scan_codestream(data).has_poc
    assert not scan_codestream(to_progressive(data)).has_poc
    assert assert_keeps_samples(data) == 7
    assert_reduces_to_the_same(data)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("order", PROGRESSIONS)
@pytest.mark.parametrize("form", HT_FORMS)
def test_streams_of_openjph_keep_their_samples(form: str, order: str, samples: int) -> None:
    options: dict[str, Any] = {**HT_FORMS[form], "order": order}
    if order not in ("RPCL", "RLCP"):
        options.pop("at_resolutions", None)
    if order not in ("RLCP", "CPRL", "RPCL"):
        options.pop("at_components", None)
    data = ht_codestream(image(ROWS, COLUMNS, samples), **options)
    assert assert_keeps_samples(data) == 14
    assert_reduces_to_the_same(data)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (3, 5), (33, 32)])
@pytest.mark.parametrize("order", PROGRESSIONS)
def test_images_smaller_than_their_decompositions_keep_their_samples(
    size: tuple[int, int], order: str
) -> None:
    data = ht_codestream(image(*size).reshape(size), levels=5, order=order)
    assert assert_keeps_samples(data) == 14
    assert_reduces_to_the_same(data)


def test_lossless_htj2k_becomes_rpcl_where_its_rules_are_met() -> None:
    data = ht_codestream(image(ROWS, COLUMNS), order="LRCP", levels=4)
    assert why_not_rpcl(scan_codestream(data)) == (
        "its progression is LRCP, not RPCL",
        "it has no TLM",
    )
    assert conforms_to_rpcl(scan_codestream(to_progressive(data)))
    lossy = scan_codestream(to_progressive(ht_codestream(image(64, 64), reversible=False)))
    assert why_not_rpcl(lossy) == ("its coding is not reversible",)
    coarse = scan_codestream(to_progressive(ht_codestream(image(300, 64), levels=2)))
    assert why_not_rpcl(coarse) == ("its lowest resolution is 16 x 75, more than 64 x 64",)


def test_jpeg_2000_stays_jpeg_2000(tmp_path: Path) -> None:
    made = to_progressive(compressed("opj_compress", "-r 1", "LRCP", tmp_path))
    layout = scan_codestream(made)
    assert not layout.ht
    assert why_not_rpcl(layout) == ("it has no code-blocks of high throughput",)


@pytest.mark.parametrize("form", ["RPCL, tiles", "RPCL, offset", "RLCP, precincts"])
def test_prefixes_of_progressive_streams_are_whole_smaller_images(form: str) -> None:
    """Of several tiles too: their tile-parts of a resolution stand together."""
    data = to_progressive(ht_codestream(image(ROWS, COLUMNS, 3), **HT_FORMS[form]))
    layout = scan_codestream(data)
    assert layout.cut_points is not None
    small = layout.cut_points[layout.decompositions]
    assert small < len(data) / 8
    for reduce in range(1, layout.decompositions + 1):
        at = layout.cut_points[reduce]
        assert scan_codestream(data[:at], complete=False).complete_reduce == reduce
        blanked = blank_bodies_from(data, layout, at)
        assert same(by_openjpeg(blanked, reduce), by_openjpeg(data, reduce))


def test_our_own_form_stays_as_it_is() -> None:
    data = progressive(image(130, 157, 3), levels=4)
    again = to_progressive(data)
    assert to_progressive(again) == again == reorder(again, progression="RPCL")
    assert len(again) == len(data)
    assert scan_codestream(again).cut_points == scan_codestream(data).cut_points
