"""Where the bytes of frames come from: the file, a stored rendition, or a worker, now.

All three give the same bytes for the same frame, so that an answer's parts may come from
different ones. A frame without a rendition is encoded alone and at once; the rendition of its
instance is then built behind it. What was encoded stays in memory for a while: a viewer
fetches a frame in many pieces.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from ...codecs.errors import IntegrityError, MerseyError, ResourceError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.registry import Registry
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, IMPLICIT_LE, transfer_syntax
from ..archive.bounded_cache import BoundedCache
from ..archive.entry import Entry
from ..archive.renditions import Rendition, RenditionStore, rendition_key
from ..runtime.frame_run import FrameRun
from ..runtime.submission import run_frames
from ..transfer.body import Segment
from .holdings import require_current
from .negotiation import Stored
from .rendition_builder import RenditionBuilder

__all__ = ["FrameSource", "library_for", "rendition_key_for", "stored_form"]

type Frames = list[tuple[Segment, ...]]

_log = logging.getLogger(__name__)

_CACHE_BYTES = 32 << 20
_AT_ONCE_BYTES = 32 << 20
"""More samples than that are not encoded in memory: their rendition is built first."""


class FrameSource:
    """Frames in the transfer syntaxes that they are asked for in. For one event loop."""

    def __init__(
        self, renditions: RenditionStore, *, executor: Executor, builder: RenditionBuilder
    ) -> None:
        self._renditions = renditions
        self._executor = executor
        self._builder = builder
        self._made: BoundedCache[tuple[str, int], bytes | MerseyError] = BoundedCache(
            limit_bytes=_CACHE_BYTES,
            weigh=lambda made: 256 + (len(made) if isinstance(made, bytes) else 0),
        )
        self._making: dict[tuple[str, int], asyncio.Future[bytes]] = {}

    async def explicit(self, entry: Entry, indices: Sequence[int]) -> Frames:
        """The frames as Explicit VR Little Endian lays them out: slices where they lie so.

        Raises
        ------
        MerseyError
            They cannot be decoded.
        """
        frames = entry.instance.frames
        assert frames is not None
        if _lies_explicit(entry):
            found = [frames[index] for index in indices]
            if not any(frame.bit_offset for frame in found):
                return [entry.frame_slices(frame) for frame in found]
        return await self._made_frames(entry, indices, EXPLICIT_LE)

    async def progressive(self, entry: Entry, indices: Sequence[int]) -> Frames:
        """The frames as HTJ2K with RPCL options, with the bytes that the rendition has.

        Raises
        ------
        MerseyError
            They cannot be decoded, or have no lossless form in it.
        """
        key = rendition_key_for(entry, HTJ2K_LOSSLESS_RPCL)
        rendition = await self._checked(key, indices)
        if rendition is not None:
            return [rendition.frame_slices(index) for index in indices]
        made = await self._made_frames(entry, indices, HTJ2K_LOSSLESS_RPCL)
        self._builder.ask(entry, key, target_uid=HTJ2K_LOSSLESS_RPCL)
        return made

    async def rendition(
        self, entry: Entry, target_uid: str, indices: Sequence[int] | None = None
    ) -> Rendition:
        """The rendition of the whole instance, built first where there is none.

        The frames at `indices`, or all bytes of it, are those that were written.

        Raises
        ------
        MerseyError
            It cannot be built.
        """
        key = rendition_key_for(entry, target_uid)
        found = await self._checked(key, indices)
        if found is None:
            await self._builder.build(entry, key, target_uid=target_uid)
            found = await self._checked(key, indices)
        if found is None:
            raise ResourceError("the rendition was built and is gone")
        return found

    async def _checked(self, key: str, indices: Sequence[int] | None) -> Rendition | None:
        """The stored rendition, where the frames at `indices` are those that were written.

        Each is read and compared once, in a thread. One that is damaged is dropped.
        """
        rendition = self._renditions.find(key)
        if rendition is None:
            return None
        unchecked = rendition.unchecked(indices)
        if not unchecked:
            return rendition
        try:
            await asyncio.to_thread(rendition.check, unchecked)
        except (IntegrityError, OSError) as error:
            _log.warning("rendition %s is dropped: %s", key, error)
            if self._renditions.find(key) is rendition:  # not the one made meanwhile
                self._renditions.drop(key)
            return None
        return rendition

    async def _made_frames(self, entry: Entry, indices: Sequence[int], target_uid: str) -> Frames:
        if self._weight(entry, indices) > _AT_ONCE_BYTES and len(set(indices)) > 1:
            return await self._built_frames(entry, indices, target_uid)
        if entry.instance.layout.deflated:
            # A frame is found only by inflating all before it.
            return await self._built_frames(entry, indices, target_uid)
        key = rendition_key_for(entry, target_uid)
        made = await asyncio.gather(
            *(self._frame(entry, key, index, target_uid) for index in dict.fromkeys(indices))
        )
        by_index = dict(zip(dict.fromkeys(indices), made, strict=True))
        return [(by_index[index],) for index in indices]

    async def _built_frames(self, entry: Entry, indices: Sequence[int], target_uid: str) -> Frames:
        """Many frames that are nowhere as they are asked for: have them all written first."""
        pixels = entry.instance.pixels
        assert pixels is not None
        if target_uid == EXPLICIT_LE and (pixels.frame_bits % 8 or _planes_needed(entry)):
            raise ResourceError(
                f"{len(indices)} frames of this kind are too many at once, "
                f"at most {_AT_ONCE_BYTES} bytes are"
            )
        rendition = await self.rendition(entry, target_uid, indices)
        return [rendition.frame_slices(index) for index in indices]

    async def _frame(self, entry: Entry, key: str, index: int, target_uid: str) -> bytes:
        """One frame from memory or a worker; several requests for it share one run."""
        place = (key, index)
        made = self._made.get(place)
        if isinstance(made, MerseyError):
            raise made
        if made is not None:
            return made
        making = self._making.get(place)
        if making is not None:
            # One client that goes away takes nothing from the others that wait for this frame.
            return await asyncio.shield(making)
        making = self._making[place] = asyncio.get_running_loop().create_future()
        try:
            data = await self._execute(entry, index, target_uid)
        except Exception as error:
            if isinstance(error, UnsupportedError):
                self._made.put(place, error)
            making.set_exception(error)
            making.exception()  # nobody else need be waiting for it
            raise
        else:
            self._made.put(place, data)
            making.set_result(data)
            return data
        finally:
            making.cancel()
            del self._making[place]

    async def _execute(self, entry: Entry, index: int, target_uid: str) -> bytes:
        instance = entry.instance
        assert instance.frames is not None
        assert instance.pixels is not None
        run = FrameRun(
            path=entry.path,
            instance_uid=instance.sop_instance_uid,
            frames=(instance.frames[index],),
            pixels=instance.pixels,
            source_uid=instance.transfer_syntax_uid,
            target_uid=target_uid,
            verify="self",
        )
        result = await run_frames(self._executor, run)
        require_current(entry)
        data = b"".join(result.data)
        if target_uid != EXPLICIT_LE:
            # A fragment has an even length (PS3.5 §A.4), and so has it in the rendition.
            return data + b"\0" if len(data) % 2 else data
        return _in_planes(data, instance.pixels) if _planes_needed(entry) else data

    @staticmethod
    def _weight(entry: Entry, indices: Sequence[int]) -> int:
        pixels = entry.instance.pixels
        assert pixels is not None
        return pixels.decoded_bytes * len(indices)


def stored_form(entry: Entry) -> Stored:
    """What negotiation needs to know of an instance with frames."""
    instance = entry.instance
    uid = instance.transfer_syntax_uid
    syntax = transfer_syntax(uid)
    return Stored(
        uid=uid,
        is_encapsulated=syntax is not None and syntax.encapsulated,
        is_lossy=instance.lossy or (syntax is not None and syntax.lossless is False),
        can_decode=_lies_explicit(entry) or library_for(entry, EXPLICIT_LE) is not None,
        can_progress=uid != HTJ2K_LOSSLESS_RPCL
        and library_for(entry, HTJ2K_LOSSLESS_RPCL) is not None,
    )


def library_for(entry: Entry, target_uid: str) -> str | None:
    """What makes the frames of `entry` in `target_uid`; None where nothing here can."""
    instance = entry.instance
    if instance.pixels is None or instance.frames is None:
        return None
    return _library(instance.transfer_syntax_uid, target_uid, instance.pixels)


@functools.lru_cache(maxsize=1024)
def _library(source_uid: str, target_uid: str, pixels: PixelFormat) -> str | None:
    registry = Registry.default()
    try:
        decoder, encoder = registry.decoder(source_uid), registry.encoder(target_uid)
        encoder.encoded_format(decoder.decoded_format(pixels))
    except MerseyError:
        return None
    return f"{decoder.name} by {decoder.library} > {encoder.name} by {encoder.library}"


def rendition_key_for(entry: Entry, target_uid: str) -> str:
    """The key of the rendition of `entry`; UnsupportedError where nothing here makes it."""
    library = library_for(entry, target_uid)
    if library is None:
        raise UnsupportedError("the frames cannot be had in that form", feature=target_uid)
    return rendition_key(entry, target_uid=target_uid, library=library)


def _lies_explicit(entry: Entry) -> bool:
    """Whether the stored frames are those of Explicit VR LE, so that slices of them will do."""
    return entry.instance.transfer_syntax_uid in (EXPLICIT_LE, IMPLICIT_LE)


def _planes_needed(entry: Entry) -> bool:
    """Whether Planar Configuration, as the metadata has it, is by plane (PS3.3 §C.7.6.3.1.3)."""
    pixels = entry.instance.pixels
    return pixels is not None and pixels.samples > 1 and pixels.planar == 1


def _in_planes(data: bytes, pixels: PixelFormat) -> bytes:
    by_pixel = np.frombuffer(data, pixels.dtype).reshape(-1, pixels.samples)
    return np.ascontiguousarray(by_pixel.T).tobytes()
