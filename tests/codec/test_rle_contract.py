"""RLE Lossless keeps the codec contract."""

from __future__ import annotations

from codec_contract import CodecContract


class TestRle(CodecContract):
    uid = "1.2.840.10008.1.2.5"
    refused = frozenset({"1 bit", "float", "double"})
