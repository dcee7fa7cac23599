"""What requests have in common: what they accept, and the address they came to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

from starlette.requests import Request

from ...codecs.errors import UsageError
from ..transfer.accept import MediaRange, parse_accept

__all__ = ["ROOT", "accepted", "base_url", "first_choice", "parse_frame_list", "query_pairs"]

ROOT = "/dicom-web"

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
_PORTS = {"http": 80, "https": 443}
_MAX_FRAME_LIST = 100_000
_MAX_FRAMES_ASKED = 10_000


def accepted(request: Request) -> tuple[tuple[MediaRange, ...], ...]:
    """What the client accepts: the accept parameter first, then the field (PS3.18 §8.7.8)."""
    field = parse_accept(", ".join(request.headers.getlist("accept")))
    parameters = [value for key, value in query_pairs(request) if key.lower() == "accept"]
    if not parameters:
        return (field,)
    return parse_accept(", ".join(parameters)), field


def first_choice[T](
    request: Request, choose: Callable[[tuple[MediaRange, ...]], Iterator[T]]
) -> Iterator[T]:
    """Every choice, from the accept parameter first, then from the field."""
    for wanted in accepted(request):
        yield from choose(wanted)


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The query, decoded, with every repetition."""
    return parse_qsl(
        request.scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="replace"
    )


def base_url(request: Request) -> str:
    """The address of the service, as the client knows it."""
    name, port = request.scope.get("server") or ("localhost", None)
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = f"{name}:{port}" if port else str(name)
    elif host in (name, "localhost") and port not in (None, _PORTS.get(request.url.scheme)):
        # dicomweb-client leaves the port out. Behind a proxy the host is another than ours.
        host = f"{host}:{port}"
    return f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}{ROOT}"


def parse_frame_list(text: str, *, frame_count: int) -> tuple[int, ...]:
    """Parse ``1,2,5``: frame numbers counted from 1, given back as indices counted from 0.

    Raises
    ------
    UsageError
        It is no list of numbers, or a longer one than is answered.
    IndexError
        There is no frame of that number.
    """
    if len(text) > _MAX_FRAME_LIST:
        raise UsageError(f"a frame list of {len(text)} characters, expected {_MAX_FRAME_LIST}")
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) > _MAX_FRAMES_ASKED:
        raise UsageError(f"{len(numbers)} frames asked for, at most {_MAX_FRAMES_ASKED} at once")
    if not all(re.fullmatch(r"[0-9]{1,10}", number) for number in numbers):
        raise UsageError("no list of frame numbers, as in 1,2,5")
    indices = tuple(int(number) - 1 for number in numbers)
    wrong = next((index for index in indices if not 0 <= index < frame_count), None)
    if wrong is not None:
        raise IndexError(f"frame {wrong + 1} of an instance of {frame_count} frames")
    return indices
