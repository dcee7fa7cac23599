"""QIDO-RS (PS3.18 §10.6): the query of a URL, and what was found as DICOM JSON.

Keys come by keyword or as eight hexadecimal digits. What is not a matching key here is
ignored, and said so in a Warning, as is a result that was cut. The answer is put together from
JSON that the catalogue keeps; only what goes into it from here is made here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from ...codecs.errors import UsageError
from ..archive.catalogue import Catalogue
from ..archive.levels import Level
from ..archive.matching import MATCHING_KEYS, Match
from ..archive.metadata import BULK_PREFIX
from ..archive.search import Found, Search, run_search, search_text
from .holdings import require_uid
from .metadata import DICOM_JSON, require_json
from .requests import base_url, query_pairs

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Query", "answer_search", "parse_query"]

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
_MAX_KEYS = 256
_MAX_VALUE_CHARS = 4096
_HEX_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Query:
    """A query: matching keys and what is to be returned beyond the default (PS3.18 §8.3.4).

    `fields` are tags, `all_fields` is ``includefield=all``: all that the catalogue keeps apart;
    `warnings` is what the client is to be told.
    """

    matches: tuple[Match, ...] = ()
    fields: frozenset[str] = frozenset()
    all_fields: bool = False
    fuzzy: bool = False
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    warnings: tuple[str, ...] = ()


def parse_query(pairs: Iterable[tuple[str, str]]) -> Query:
    """Parse the decoded pairs of a query.

    Raises
    ------
    UsageError
        A number is no number, or there are too many keys.
    """
    query = Query()
    for count, (name, value) in enumerate(pairs):
        if count >= _MAX_KEYS or len(value) > _MAX_VALUE_CHARS:
            raise UsageError(
                f"at most {_MAX_KEYS} keys of {_MAX_VALUE_CHARS} characters are answered"
            )
        if _NO_TEXT.search(value):
            raise UsageError("a key's value holds what is no character")
        query = _with_pair(query, name, value)
    return query


def _with_pair(query: Query, name: str, value: str) -> Query:
    if name == "limit":
        return replace(query, limit=min(_number(name, value), MAX_LIMIT))
    if name == "offset":
        return replace(query, offset=_number(name, value))
    if name == "includefield":
        names = [part.strip() for part in value.split(",")]
        tags = {tag for part in names if (tag := _tag(part)) is not None}
        return replace(
            query,
            fields=query.fields | tags,
            all_fields=query.all_fields or "all" in names,
        )
    if name == "fuzzymatching":
        return replace(query, fuzzy=value.strip().lower() == "true")
    tag = _tag(name)
    if tag is None:
        return query
    if tag not in MATCHING_KEYS:
        return _warned(query, f"{tag} is not a matching key here and was ignored")
    if not value.strip():  # universal matching (PS3.4 §C.2.2.2.3)
        return replace(query, fields=query.fields | {tag})
    matches = (*query.matches, Match(tag, value.strip()))
    return replace(query, matches=matches, fields=query.fields | {tag})


async def answer_search(
    request: Request,
    catalogue: Catalogue,
    *,
    level: Level,
    study_uid: str | None = None,
    series_uid: str | None = None,
) -> Response:
    """Answer a search for studies, series or instances; nothing found is ``[]``.

    Raises
    ------
    MerseyError
        The query cannot be understood, or the client takes no JSON.
    """
    require_json(request)
    for uid in (study_uid, series_uid):
        if uid is not None:
            require_uid(uid)
    query = parse_query(query_pairs(request))
    search = Search(
        level,
        query.matches,
        study_uid,
        series_uid,
        fields=None if query.all_fields else query.fields,
        defaults=_levels_told(level, study_uid=study_uid, series_uid=series_uid),
        fuzzy=query.fuzzy,
        offset=query.offset,
        limit=query.limit,
    )
    content, cut = await asyncio.to_thread(_answer, catalogue, search, base_url(request))
    warnings = list(query.warnings)
    if cut:
        warnings.append(f"only {query.limit} results are given; there are more")
    headers = {"Cache-Control": "private"}
    if warnings:
        headers["Warning"] = ", ".join(f'299 mersey "{text}"' for text in warnings)
    return Response(content, media_type=DICOM_JSON, headers=headers)


def _levels_told(
    level: Level, *, study_uid: str | None, series_uid: str | None
) -> tuple[Level, ...]:
    """The levels above whose attributes the path does not tell (PS3.18 §10.6.3.3)."""
    told: list[Level] = []
    if level != "study" and study_uid is None:
        told.append("study")
    if level == "instance" and series_uid is None:
        told.append("series")
    return tuple(told)


def _answer(catalogue: Catalogue, search: Search, base: str) -> tuple[bytes, bool]:
    """The answer as JSON, and whether it was cut."""
    base = base.replace("\\", "%5C").replace('"', "%22")
    told = search_text(catalogue, search, constants=_CONSTANTS, address=base)
    if told is not None:
        return told[0].encode(), told[1]
    page = run_search(catalogue, search)
    return f"[{','.join(_described(found, base) for found in page.found)}]".encode(), page.cut


def _described(found: Found, base: str) -> str:
    """One result as a JSON object, its members by tag (PS3.18 §F.2.2)."""
    address = base + "".join(map("/%s/%s".__mod__, zip(_SEGMENTS, found.uids, strict=False)))
    members = [
        *found.members,
        *_CONSTANTS.values(),
        f'"00081190":{{"vr":"UR","Value":["{address}"]}}',
    ]
    members.sort()
    text = f"{{{','.join(members)}}}"
    if found.instance_uids and BULK_PREFIX in text:
        study, series, instance = found.instance_uids
        place = f"{base}/studies/{study}/series/{series}/instances/{instance}/bulkdata/"
        # A quote inside a JSON string is escaped: no value can look like this key.
        key = '"BulkDataURI":"'
        text = text.replace(f"{key}{BULK_PREFIX}", f"{key}{place}")
    return text


_SEGMENTS = ("studies", "series", "instances")
_CONSTANTS = {
    "00080005": '"00080005":{"vr":"CS","Value":["ISO_IR 192"]}',
    "00080056": '"00080056":{"vr":"CS","Value":["ONLINE"]}',
}


def _warned(query: Query, text: str) -> Query:
    return replace(query, warnings=(*query.warnings, text))


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value.strip()):
        raise UsageError(f"{name} is a whole number of at most 9 digits")
    return int(value)


@lru_cache(maxsize=4096)
def _tag(name: str) -> str | None:
    """The tag of a keyword or of hexadecimal digits; None where it is neither, or a path."""
    if _HEX_TAG.fullmatch(name):
        return name.upper()
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(name)
    return None if tag is None else f"{tag:08X}"
