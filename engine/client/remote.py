"""A session with one server: requests out, and what can go wrong as errors of ours.

The one table here says which statuses may pass. Redirects are not followed: the fields of a
request may hold secrets, which are for the server that was named.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp

from ...codecs.errors import FormatError, TransferError, UsageError
from .address import Address
from .range_reading import RangeSource

__all__ = ["Peer", "RefusedByPeerError", "Remote", "RemoteSettings", "parse_header", "read_bounded"]

_PASSING = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504})
_CHANGED = 412
_READ_BYTES = 1 << 20
_MOST_MESSAGE_BYTES = 64 << 10
_PROTOCOL = 1
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}):[ \t]*([\x20-\x7e\x80-\xff]*?)[ \t]*")


class RefusedByPeerError(TransferError):
    """The server answered `status`; `is_passing` says whether another try may go better."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def is_passing(self) -> bool:
        return self.status in _PASSING

    @property
    def is_missing(self) -> bool:
        """There is no such thing."""
        return self.status in (404, 405, 410, 501)

    @property
    def is_changed(self) -> bool:
        """What was begun is another by now (RFC 9110 §15.5.13)."""
        return self.status == _CHANGED


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """`headers` go with every request; a server silent for `stall_s` counts as gone."""

    headers: tuple[tuple[str, str], ...] = ()
    connect_s: float = 15.0
    stall_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """What the server is: a Mersey of `version` that speaks `forms`, or another with neither."""

    version: str = ""
    forms: tuple[str, ...] = ()

    @property
    def is_mersey(self) -> bool:
        return bool(self.version)


def parse_header(text: str) -> tuple[str, str]:
    """``Name: value`` as a field of requests.

    Raises
    ------
    UsageError
        It is none. The value is not repeated: it may be a secret.
    """
    found = _HEADER.fullmatch(text)
    if found is None:
        raise UsageError("a header is written as 'Name: value'")
    return found[1], found[2]


class Remote:
    """Requests to the server at `address`; a context, for one event loop."""

    def __init__(self, address: Address, *, settings: RemoteSettings | None = None) -> None:
        self.address = address
        self.settings = settings or RemoteSettings()
        self._session: aiohttp.ClientSession | None = None
        self._ranges: RangeSource | None = None

    async def __aenter__(self) -> Self:
        settings = self.settings
        fields = {"Accept-Encoding": "identity", "User-Agent": "mersey"}
        if self.address.user:
            secret = base64.b64encode(self.address.user.encode()).decode()
            fields["Authorization"] = f"Basic {secret}"
        fields.update(settings.headers)
        self._ranges = RangeSource(fields, connect_s=settings.connect_s, stall_s=settings.stall_s)
        self._session = aiohttp.ClientSession(
            headers=fields,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.connect_s, sock_read=settings.stall_s
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BYTES,
            raise_for_status=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._ranges is not None:
            self._ranges.close()
            self._ranges = None

    @property
    def ranges(self) -> RangeSource:
        """Long ranges, received with fewer copies; UsageError outside the context."""
        if self._ranges is None:
            raise UsageError("the session is not open")
        return self._ranges

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        may_answer: frozenset[int] = frozenset({200}),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request, in a block that reads it.

        Parameters
        ----------
        may_answer
            The statuses that are no failure.

        Raises
        ------
        RefusedByPeerError
            Another status was answered.
        TransferError
            The connection could not be made, or broke, also within the block.
        UsageError
            The context is not entered.
        """
        if self._session is None:
            raise UsageError("the session is not open")
        try:
            async with self._session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            ) as response:
                if response.status not in may_answer:
                    raise await _refused(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise TransferError(f"{self.address.base}: {_reason(error)}") from error

    async def read(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        most_bytes: int,
        may_answer: frozenset[int] = frozenset({200}),
    ) -> bytes:
        """A short answer, whole.

        Raises
        ------
        FormatError
            It is longer than `most_bytes`.
        TransferError
            As from :meth:`request`.
        """
        async with self.request(
            method, url, headers=headers, data=data, may_answer=may_answer
        ) as response:
            return await read_bounded(response, most_bytes)

    async def json(
        self, url: str, *, most_bytes: int = 64 << 20, headers: Mapping[str, str] | None = None
    ) -> Any:
        """A JSON answer to a GET; None where the answer is empty (204).

        Raises
        ------
        FormatError
            It is no JSON, or longer than `most_bytes`.
        TransferError
            As from :meth:`request`.
        """
        fields = {"Accept": "application/json"} | dict(headers or {})
        allowed = frozenset({200, 204})
        data = await self.read(
            "GET", url, headers=fields, most_bytes=most_bytes, may_answer=allowed
        )
        if not data:
            return None
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{self.address.base}: the answer is no JSON") from error

    async def probe(self) -> Peer:
        """What the server is.

        Raises
        ------
        TransferError
            It cannot be reached, or lets nobody in.
        """
        try:
            found = await self.json(self.address.mersey, most_bytes=_MOST_MESSAGE_BYTES)
        except RefusedByPeerError as error:
            if error.is_passing or error.status in (401, 403, 407):
                raise
            return Peer()
        except FormatError:
            return Peer()
        match found:
            case {"mersey": str(version), "protocol": int(protocol), "forms": [*forms]}:
                if protocol == _PROTOCOL and all(isinstance(form, str) for form in forms):
                    return Peer(version, tuple(forms))
        return Peer()


async def read_bounded(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The whole body of an answer.

    Raises
    ------
    FormatError
        It is longer than `most_bytes`.
    """
    if (response.content_length or 0) > most_bytes:
        raise FormatError(f"an answer of {response.content_length} bytes, at most {most_bytes}")
    pieces, held = [], 0
    async for piece in response.content.iter_any():
        held += len(piece)
        if held > most_bytes:
            raise FormatError(f"an answer of more than {most_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)


async def _refused(response: aiohttp.ClientResponse) -> RefusedByPeerError:
    location = response.headers.get("Location", "")
    message = f"{response.url.with_user(None)} answered {response.status}"
    if 300 <= response.status < 400 and location:
        message += f": it is at {location[:200]!r}"
    try:
        found = json.loads(await read_bounded(response, _MOST_MESSAGE_BYTES))
        message += f": {found['message']!s:.300}"
    except (ValueError, TypeError, KeyError, RecursionError, FormatError):
        pass
    except (aiohttp.ClientError, TimeoutError):
        pass
    return RefusedByPeerError(
        message,
        status=response.status,
        retry_after_s=_retry_after_s(response.headers.get("Retry-After", "")),
    )


def _retry_after_s(field: str) -> float | None:
    """Seconds from Retry-After, which has them or a date (RFC 9110 §10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", field):
        return float(field)
    try:
        when = parsedate_to_datetime(field)
    except (ValueError, TypeError):
        return None
    return max(0.0, (when - datetime.now(when.tzinfo)).total_seconds())


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the server is silent"
    return f"{error}" or type(error).__name__
