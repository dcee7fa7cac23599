"""What a client accepts: the Accept field and the accept query parameter, parsed.

Takes what viewers really send: parameter values with or without quotes, even where they hold
a "/", and parameters named more than once. Knows nothing of what the server has.

References
----------
RFC 9110 §12.5.1, DICOM PS3.18 §8.3.3.1 and §8.7
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...codecs.errors import UsageError

__all__ = ["MAX_ACCEPT_CHARS", "MediaRange", "parse_accept"]

MAX_ACCEPT_CHARS = 8192
_MAX_RANGES = 64


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One acceptable media type, in lower case; parameters keep their order and repetitions."""

    media_type: str
    parameters: tuple[tuple[str, str], ...] = ()
    quality: float = 1.0

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the parameter `name`."""
        return tuple(value for key, value in self.parameters if key == name)


def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """Parse Accept, best first: by quality, then in the order given; ``q=0`` is left out.

    An element that is no media range is passed over. Nothing given means anything accepted.

    Raises
    ------
    UsageError
        Longer than `MAX_ACCEPT_CHARS`.
    """
    if len(text) > MAX_ACCEPT_CHARS:
        raise UsageError(f"Accept has {len(text)} characters, at most {MAX_ACCEPT_CHARS} are read")
    if not text.strip(" \t,"):
        return (MediaRange("*/*"),)
    found: list[MediaRange] = []
    for element in _split(text, ","):
        media = _media_range(element)
        if media is not None and media.quality > 0 and len(found) < _MAX_RANGES:
            found.append(media)
    return tuple(sorted(found, key=lambda media: -media.quality))


def _media_range(element: str) -> MediaRange | None:
    name, *fields = _split(element, ";")
    name = name.strip().lower()
    if name == "*":
        name = "*/*"
    if name.count("/") != 1:
        return None
    quality = 1.0
    parameters = []
    for field in fields:
        key, separator, value = field.partition("=")
        key, value = key.strip().lower(), _unquoted(value.strip())
        if not separator or not key:
            continue
        if key == "q":
            quality = _quality(value)
        else:
            parameters.append((key, value))
    return MediaRange(name, tuple(parameters), quality)


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return min(max(value, 0.0), 1.0) if value == value else 1.0


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value.strip('"')
    inner = value[1:-1]
    return "".join(_unescaped(inner)) if "\\" in inner else inner


def _unescaped(text: str) -> Iterator[str]:
    characters = iter(text)
    for character in characters:
        yield next(characters, "") if character == "\\" else character


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at separators that stand outside quotes."""
    start, quoted, escaped = 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield text[start:position]
            start = position + 1
    yield text[start:]
