"""Frames and instances cross process borders whole."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

from mersey.codecs.errors import MerseyError
from mersey.engine.dicom.frame_index import Frame, Span


def test_a_frame_comes_out_of_a_pickle_as_it_went_in() -> None:
    frame = Frame(7, (Span(10, 4), Span(22, 1 << 40)), bit_offset=3)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(frame, protocol)) == frame
    assert copy.deepcopy(frame) == frame


def test_an_instance_comes_out_of_a_pickle_as_it_went_in(tools, pydicom_files) -> None:
    count = 0
    for path in pydicom_files:
        try:
            instance = tools.index(Path(path).read_bytes())
        except MerseyError:
            continue
        again = pickle.loads(pickle.dumps(instance, protocol=5))
        assert tools.describe(again) == tools.describe(instance)
        count += 1
    assert count > 50
