"""Where the bytes of frames come from: the file, a stored rendition, or a worker, now.

All three give the same bytes for the same frame, so that an answer's parts may come from
different ones. A frame without a rendition is encoded alone and at once; the rendition of its
instance is then built behind it. What was encoded stays in memory for a while: a viewer
fetches a frame in many pieces.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from ...codecs.errors import (
    CodestreamError,
    MerseyError,
    ResourceError,
    UnsupportedError,
)
from ...codecs.pixels import PixelFormat
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from ..archive.blobs import BlobStore
from ..archive.bounded_cache import BoundedCache
from ..archive.entry import Entry
from ..archive.renditions import Rendition, RenditionStore
from ..runtime.frame_demand import FrameWish
from ..runtime.frame_reduce import FrameReduce, reduce_frame
from ..runtime.frame_run import FrameRun
from ..runtime.picture import PictureWork, make_picture
from ..runtime.rearranging import PROGRESSIVE
from ..runtime.submission import run_frames, submit
from ..transfer.body import Segment
from .checked_renditions import CheckedRenditions
from .file_reading import read_blobs
from .frame_forms import lies_explicit, planes_needed, rendition_key_for
from .holdings import reading
from .rendition_builder import RenditionBuilder

__all__ = ["FrameSource"]

type Frames = list[tuple[Segment, ...]]

_CACHE_BYTES = 32 << 20
_AT_ONCE_BYTES = 32 << 20
"""More samples than that are not encoded in memory: their rendition is built first."""


class FrameSource:
    """Frames in the transfer syntaxes that they are asked for in. For one event loop."""

    def __init__(
        self,
        renditions: RenditionStore,
        *,
        executor: Executor,
        builder: RenditionBuilder,
        blobs: BlobStore | None = None,
        locate: Callable[[Entry], Entry] = lambda entry: entry,
    ) -> None:
        """`locate` gives an entry a local file; it blocks, and is called in threads."""
        self.blobs = blobs
        self._locate = locate
        self._renditions = CheckedRenditions(renditions)
        self._executor = executor
        self._builder = builder
        self._made: BoundedCache[tuple[str, int], bytes | MerseyError] = BoundedCache(
            limit_bytes=_CACHE_BYTES,
            weigh=lambda made: 256 + (len(made) if isinstance(made, bytes) else 0),
        )
        self._making: dict[tuple[str, int], asyncio.Future[bytes]] = {}

    async def local(self, entry: Entry) -> Entry:
        """`entry` with a local file for a worker, copied first where its blob is elsewhere.

        Raises
        ------
        MerseyError
            The blob is gone or damaged, or no copy can be written.
        """
        return entry if entry.path else await asyncio.to_thread(self._locate, entry)

    async def explicit(self, entry: Entry, indices: Sequence[int]) -> Frames:
        """The frames as Explicit VR Little Endian lays them out: slices where they lie so.

        Raises
        ------
        MerseyError
            They cannot be decoded.
        """
        frames = entry.instance.frames
        assert frames is not None
        if lies_explicit(entry):
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
        return await self._as_rendition(entry, indices, HTJ2K_LOSSLESS_RPCL)

    async def rearranged(self, entry: Entry, indices: Sequence[int]) -> Frames:
        """The stored codestreams in progressive order, as the rendition of that has them.

        Raises
        ------
        UnsupportedError
            Their packets cannot be moved: they are no codestreams, or damaged.
        """
        return await self._as_rendition(entry, indices, PROGRESSIVE)

    async def reduced(
        self, entry: Entry, index: int, frame: tuple[Segment, ...], *, reduce: int, form: str
    ) -> bytes:
        """The codestream of the image of `frame` halved `reduce` times, cut out without decoding.

        `frame` is the one at `index` as it is served otherwise, in the form of that name.

        Raises
        ------
        MerseyError
            It has no such resolution, or is damaged.
        """

        async def make() -> bytes:
            with reading(entry):
                work = FrameReduce(await read_blobs(frame, blobs=self.blobs), reduce)
                future = submit(self._executor, work.time_limit_s, reduce_frame, work)
                return await asyncio.wrap_future(future)

        return await self._once((f"{entry.fingerprint} {form} {reduce}", index), make)

    async def picture(self, entry: Entry, work: PictureWork, *, tag: str) -> bytes:
        """The file of a picture of one frame of `entry`; `tag` names its bytes.

        Raises
        ------
        MerseyError
            The frame cannot be decoded, or not be shown.
        """

        async def make() -> bytes:
            placed = await self.local(entry)
            with reading(placed):
                there = replace(work, path=placed.path)
                future = submit(self._executor, there.time_limit_s, make_picture, there)
                return await asyncio.wrap_future(future)

        return await self._once((tag, work.frame.index), make)

    async def _as_rendition(self, entry: Entry, indices: Sequence[int], target_uid: str) -> Frames:
        """The frames out of the rendition; where that has yet to be built, made now."""
        key = rendition_key_for(entry, target_uid)
        rendition = await self._renditions.find(key, indices)
        if rendition is not None:
            return [rendition.frame_slices(index) for index in indices]
        made = await self._made_frames(entry, indices, target_uid)
        self._builder.ask(entry, key, target_uid=target_uid)
        return made

    async def rendition(
        self,
        entry: Entry,
        target_uid: str,
        indices: Sequence[int] | None = None,
        *,
        wish: FrameWish | None = None,
    ) -> Rendition:
        """The rendition of the whole instance, built first where there is none.

        The frames at `indices`, or all bytes of it, are those that were written. `wish` is
        served while it is built.

        Raises
        ------
        MerseyError
            It cannot be built.
        """
        key = rendition_key_for(entry, target_uid)
        found = await self._renditions.find(key, indices)
        if found is None:
            await self._builder.build(entry, key, target_uid=target_uid, wish=wish)
            found = await self._renditions.find(key, indices)
        if found is None:
            raise ResourceError("the rendition was built and is gone")
        return found

    def failure(self, key: str) -> MerseyError | None:
        """Why there can be no rendition of that key, where it is known."""
        return self._builder.failure(key)

    async def stored(self, keys: Sequence[str]) -> list[Rendition | None]:
        """The renditions of `keys` as far as they are there, with the bytes that were written."""
        return await self._renditions.find_all(keys)

    async def _made_frames(self, entry: Entry, indices: Sequence[int], target_uid: str) -> Frames:
        if self._weight(entry, indices) > _AT_ONCE_BYTES and len(set(indices)) > 1:
            return await self._built_frames(entry, indices, target_uid)
        if entry.instance.layout.deflated:
            # A frame is found only by inflating all before it.
            return await self._built_frames(entry, indices, target_uid)
        key = rendition_key_for(entry, target_uid)
        made = await asyncio.gather(
            *(
                self._once((key, index), functools.partial(self._execute, entry, index, target_uid))
                for index in dict.fromkeys(indices)
            )
        )
        by_index = dict(zip(dict.fromkeys(indices), made, strict=True))
        return [(by_index[index],) for index in indices]

    async def _built_frames(self, entry: Entry, indices: Sequence[int], target_uid: str) -> Frames:
        """Many frames that are nowhere as they are asked for: have them all written first."""
        pixels = entry.instance.pixels
        assert pixels is not None
        if target_uid == EXPLICIT_LE and (pixels.frame_bits % 8 or planes_needed(entry)):
            raise ResourceError(
                f"{len(indices)} frames of this kind are too many at once, "
                f"at most {_AT_ONCE_BYTES} bytes are"
            )
        rendition = await self.rendition(entry, target_uid, indices)
        return [rendition.frame_slices(index) for index in indices]

    async def _once(self, place: tuple[str, int], make: Callable[[], Awaitable[bytes]]) -> bytes:
        """One frame from memory or a worker; several requests for it share one run."""
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
            data = await make()
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
        is_rearranged = target_uid == PROGRESSIVE
        entry = await self.local(entry)
        run = FrameRun(
            path=entry.path,
            instance_uid=instance.sop_instance_uid,
            frames=(instance.frames[index],),
            pixels=instance.pixels,
            source_uid=instance.transfer_syntax_uid,
            target_uid=instance.transfer_syntax_uid if is_rearranged else target_uid,
            # No sample is touched, and decoding would take a hundred times as long; the
            # rendition, which is kept, is decoded and compared.
            verify="off" if is_rearranged else "self",
            rearrange=is_rearranged,
        )
        try:
            with reading(entry):
                result = await run_frames(self._executor, run)
        except CodestreamError as error:
            if not is_rearranged:
                raise
            raise UnsupportedError(
                f"the frame is no whole codestream: {error}", feature="rearranging a damaged frame"
            ) from error
        data = b"".join(result.data)
        if target_uid != EXPLICIT_LE:
            # A fragment has an even length (PS3.5 §A.4), and so has it in the rendition.
            return data + b"\0" if len(data) % 2 else data
        return _in_planes(data, instance.pixels) if planes_needed(entry) else data

    @staticmethod
    def _weight(entry: Entry, indices: Sequence[int]) -> int:
        pixels = entry.instance.pixels
        assert pixels is not None
        return pixels.decoded_bytes * len(indices)


def _in_planes(data: bytes, pixels: PixelFormat) -> bytes:
    by_pixel = np.frombuffer(data, pixels.dtype).reshape(-1, pixels.samples)
    return np.ascontiguousarray(by_pixel.T).tobytes()
