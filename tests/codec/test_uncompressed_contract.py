"""Explicit VR Little Endian keeps the codec contract."""

from __future__ import annotations

from codec_contract import CodecContract


class TestExplicitLittleEndian(CodecContract):
    uid = "1.2.840.10008.1.2.1"
    releases_gil = False
