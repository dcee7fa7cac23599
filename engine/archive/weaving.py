"""What is told by default of what was found, as the text of a JSON array: a row costs one match.

A summary has its members in lines, by tag, and so has an object (PS3.18 §F.2.2). Which of them lie
between which others of another level, or of those that an answer is given, is the same in every
object. So each summary is cut at those places, and the pieces are laid into a template: no line is
looked at alone, and none is sorted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from .levels import DEFAULT_FIELDS, LEVELS, MADE_TAGS, Level

__all__ = ["weave"]

_UIDS = ("0020000D", "0020000E", "00080018")
_SEGMENTS = ("studies", "series", "instances")
_ADDRESS = "00081190"
_MODALITIES = "00080061"
_COUNTS: dict[Level, tuple[str, ...]] = {
    "study": (_MODALITIES, "00201206", "00201208"),
    "series": ("00201209",),
    "instance": (),
}
_EVERY = "00080201"  # kept at every level: the lowest one's is told
_EVERY_KEY = f'"{_EVERY}"'
_MOST_SHAPES = 1000
_NOTHING = re.compile("(?!)")


def weave(
    rows: Sequence[tuple[Any, ...]],
    level: Level,
    *,
    told: Sequence[Level],
    constants: Mapping[str, str],
    address: str,
) -> str | None:
    """The objects of `rows` as one JSON array; None where a summary is not made as they are now.

    Parameters
    ----------
    rows
        UIDs from the study down; of a study the member of its modalities and the numbers of its
        series and instances, of a series that of its instances; then the summaries of the levels
        `told`, of which the last is `level`.
    constants
        Members that all objects have, by their tags.
    address
        Of the service, as it stands in JSON.
    """
    loom = _loom(level, tuple(told))
    template = loom.template(constants, address)
    *cuts_above, cut = loom.cuts
    depth, first = loom.depth - 1, loom.depth + len(_COUNTS[level])
    pick = loom.pick
    above: tuple[Any, ...] = ()
    shared: tuple[Any, ...] = ()
    objects: list[str] = []
    for row in rows:
        upper = row[:depth] + row[first:-1]
        if upper != above:  # neighbours are mostly of one series
            above = upper
            shared = row[:depth]
            for one, summary in zip(cuts_above, row[first:-1], strict=True):
                pieces = one.pieces(summary)
                if pieces is None:
                    return None
                shared += pieces
        pieces = cut.pieces(row[-1])
        if pieces is None:
            return None
        objects.append((template % pick(row[depth:first] + pieces + shared))[:-1])
    if not objects:
        return "[]"
    objects[0] = f"[{{{objects[0]}"
    objects[-1] += "}]"
    # JSON has no raw line feed: all of them are ours, one behind each member.
    return "}\n{".join(objects).replace("\n", ",")


@dataclass(frozen=True, slots=True)
class _Run:
    """Members that always lie together: a piece of the summary `source`, or made for the answer."""

    source: int | None
    tags: tuple[str, ...]


class _Loom:
    """How members lie in an object of `level` that has the summaries of the levels `told`."""

    def __init__(self, level: Level, told: Sequence[Level]) -> None:
        self.depth = LEVELS.index(level) + 1
        self._made = (_UIDS[self.depth - 1], *_COUNTS[level])
        self._runs = self._laid(told)
        self.cuts = [
            _Cut([run.tags for run in self._runs if run.source == source])
            for source in range(len(told))
        ]
        self.pick = itemgetter(*self._places(len(told) - 1))

    def _laid(self, told: Sequence[Level]) -> list[_Run]:
        lowest = len(told) - 1
        sources: dict[str, int | None] = {
            tag: source
            for source, level in enumerate(told)
            for tag in DEFAULT_FIELDS[level] - MADE_TAGS
            if tag != _EVERY or source == lowest
        }
        sources |= dict.fromkeys(("00080005", "00080056", _ADDRESS, *_UIDS[: self.depth]))
        sources |= dict.fromkeys(self._made)
        runs = []
        for source, members in groupby(sorted(sources.items()), key=itemgetter(1)):
            tags = tuple(tag for tag, _ in members)
            runs += [_Run(None, (tag,)) for tag in tags] if source is None else [_Run(source, tags)]
        return runs

    def _places(self, lowest: int) -> list[int]:
        """Where each %s of the template is found.

        Those are the row's own UID and counts, the pieces of its summary, the UIDs above, and the
        pieces of the summaries above.
        """
        counts = [sum(run.source == source for run in self._runs) for source in range(lowest + 1)]
        uids_at = len(self._made) + counts[lowest]
        above_at = uids_at + self.depth - 1
        uids = [*range(uids_at, above_at), 0]
        next_at = [above_at + sum(counts[:source]) for source in range(lowest)]
        next_at.append(len(self._made))
        places = []
        for run in self._runs:
            (tag, *_) = run.tags
            if run.source is not None:
                places.append(next_at[run.source])
                next_at[run.source] += 1
            elif tag == _ADDRESS:
                places += uids
            elif tag in _UIDS:
                places.append(uids[_UIDS.index(tag)])
            elif tag in self._made:
                places.append(self._made.index(tag))
        return places

    def template(self, constants: Mapping[str, str], address: str) -> str:
        """An object, each member with its line feed, and %s for what differs between them."""
        segments = "".join(f"/{segment}/%s" for segment in _SEGMENTS[: self.depth])
        made = {tag: f"{text.replace('%', '%%')}\n" for tag, text in constants.items()}
        made |= {tag: f'"{tag}":{{"vr":"UI","Value":["%s"]}}\n' for tag in _UIDS}
        made |= {tag: f'"{tag}":{{"vr":"IS","Value":[%s]}}\n' for tag in self._made[1:]}
        made[_ADDRESS] = (
            f'"{_ADDRESS}":{{"vr":"UR","Value":["{address.replace("%", "%%")}{segments}"]}}\n'
        )
        made[_MODALITIES] = "%s\n"
        return "".join(made[run.tags[0]] if run.source is None else "%s" for run in self._runs)


class _Cut:
    """Cuts summaries into pieces, one for each of `groups` of tags, each line with its end.

    Most summaries have the same tags as the one before them. A pattern of those very tags, in
    which nothing is chosen and nothing repeated, is several times as fast as one for all.
    """

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        keys = [frozenset(f'"{tag}"' for tag in tags) for tags in groups]
        left_out = {frozenset({_EVERY_KEY})} if not any(_EVERY_KEY in one for one in keys) else ()
        self._groups = [(one, one not in left_out) for one in sorted([*keys, *left_out], key=min)]
        self._pattern = lru_cache(_MOST_SHAPES)(self._compiled)
        self._last = _NOTHING

    def pieces(self, summary: str | None) -> tuple[str, ...] | None:
        """The pieces; None where the tags are not in order, or not those that are told."""
        text = f"{summary}\n" if summary else ""
        found = self._last.fullmatch(text)
        if found is None:
            pattern = self._pattern(tuple(line[:10] for line in text.split("\n")[:-1]))
            found = pattern.fullmatch(text)
            if found is None:
                return None
            self._last = pattern
        return found.groups()

    def _compiled(self, tags: tuple[str, ...]) -> re.Pattern[str]:
        """Matches summaries of just these tags; nothing at all where those cannot be cut."""
        if list(tags) != sorted(set(tags)):
            return _NOTHING
        parts: list[str] = []
        at = 0
        for group, is_told in self._groups:
            begin = at
            while at < len(tags) and tags[at] in group:
                at += 1
            lines = "".join(f"{tag}:.*\n" for tag in tags[begin:at])
            parts.append(f"({lines})" if is_told else lines)
        return re.compile("".join(parts)) if at == len(tags) else _NOTHING


@lru_cache
def _loom(level: Level, told: tuple[Level, ...]) -> _Loom:
    return _Loom(level, told)
