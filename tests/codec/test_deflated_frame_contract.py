"""Deflated Image Frame Compression keeps the codec contract."""

from __future__ import annotations

from codec_contract import CodecContract


class TestDeflatedFrame(CodecContract):
    uid = "1.2.840.10008.1.2.8.1"
    refused = frozenset({"float", "double"})
