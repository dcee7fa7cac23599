"""The registry is a value that says what can be decoded and encoded, and why not."""

from __future__ import annotations

import pickle

import pytest
from mersey.codecs import registry as registry_module
from mersey.codecs.codec import Codec
from mersey.codecs.errors import UnsupportedError, UsageError
from mersey.codecs.quality import Quality
from mersey.codecs.registry import TARGETS, Entry, Registry, resolve_target
from mersey.codecs.syntaxes import EXPLICIT_LE, HTJ2K, HTJ2K_LOSSLESS_RPCL, J2K, SYNTAXES
from mersey.codecs.uncompressed import UncompressedCodec


def test_every_row_keeps_its_word() -> None:
    registry = Registry.default()
    rows = registry.rows()
    assert [row.uid for row in rows] == list(SYNTAXES)
    for row in rows:
        for able, ask in ((row.decode, registry.decoder), (row.encode, registry.encoder)):
            if able:
                assert ask(row.uid).name
                assert row.library
            else:
                with pytest.raises(UnsupportedError, match=row.uid) as caught:
                    ask(row.uid)
                assert caught.value.feature == row.uid
                assert row.name in str(caught.value)
        assert bool(row.why_missing) is not (row.decode or row.encode)


def test_a_codec_is_as_the_row_describes_it() -> None:
    for row in Registry.default().rows():
        if row.decode:
            assert Registry.default().decoder(row.uid).library == row.library


@pytest.mark.parametrize(
    ("uid", "reason"),
    [
        ("1.2.840.10008.1.2.4.80", "no codec here"),
        ("1.2.840.10008.1.2.4.102", "video"),
        ("1.2.3", "no image transfer syntax"),
    ],
)
def test_a_missing_codec_says_why(uid: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        Registry.empty().decoder(uid)


def test_a_library_that_is_not_installed_is_named() -> None:
    entry = Entry(_uncompressed, encode=True, needs=(("no-such-codec", "no_such_codec"),))
    registry = Registry({EXPLICIT_LE: entry})
    with pytest.raises(UnsupportedError, match="needs no-such-codec, which is not installed"):
        registry.decoder(EXPLICIT_LE)
    row = next(row for row in registry.rows() if row.uid == EXPLICIT_LE)
    assert (row.decode, row.encode, row.library) == (False, False, "")
    assert "no-such-codec" in row.why_missing


def test_the_empty_registry_has_nothing_and_can_be_given_something() -> None:
    empty = Registry.empty()
    with pytest.raises(UnsupportedError):
        empty.decoder(EXPLICIT_LE)
    one = empty.with_(EXPLICIT_LE, _uncompressed, encode=True)
    assert one.decoder(EXPLICIT_LE) == UncompressedCodec()
    assert one.encoder(EXPLICIT_LE) == UncompressedCodec()
    with pytest.raises(UnsupportedError):
        empty.decoder(EXPLICIT_LE)
    private = one.with_("1.2.3.4", _uncompressed)
    assert private.rows()[-1].uid == "1.2.3.4"
    with pytest.raises(UnsupportedError, match="direction"):
        private.encoder("1.2.3.4")


def test_targets_are_names_of_what_can_be_encoded() -> None:
    for name, uid in TARGETS.items():
        assert resolve_target(name) == uid
        assert resolve_target(uid) == uid
        assert Registry.default().encoder(uid).name == name
    assert resolve_target(J2K) == J2K
    with pytest.raises(UsageError, match="explicit-le"):
        resolve_target("jpeg-xxl")


def test_quality_reaches_the_lossy_encoder() -> None:
    quality = Quality(psnr_db=44)
    encoder = Registry.default().encoder(HTJ2K, quality=quality)
    assert getattr(encoder, "quality", None) == quality
    with pytest.raises(UsageError):
        Registry.default().encoder(HTJ2K_LOSSLESS_RPCL, quality=quality)


def test_a_registry_crosses_process_borders() -> None:
    copy = pickle.loads(pickle.dumps(Registry.default().entries[HTJ2K]))
    assert copy == Registry.default().entries[HTJ2K]


def test_what_is_public_is_listed() -> None:
    for name in registry_module.__all__:
        assert hasattr(registry_module, name)


def _uncompressed(uid: str, *, quality: Quality | None = None) -> Codec:
    return UncompressedCodec()
