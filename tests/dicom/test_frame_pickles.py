"""Frames cross process borders whole."""

from __future__ import annotations

import copy
import pickle

from mersey.engine.dicom.frame_index import Frame, Span


def test_a_frame_comes_out_of_a_pickle_as_it_went_in() -> None:
    frame = Frame(7, (Span(10, 4), Span(22, 1 << 40)), bit_offset=3)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(frame, protocol)) == frame
    assert copy.deepcopy(frame) == frame
