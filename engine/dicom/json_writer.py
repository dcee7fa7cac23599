"""A data set as DICOM JSON text, straight from its bytes (PS3.18 Annex F).

The members are those of pydicom's JSON, in its order. Where pydicom errs we differ:

- binary values of big-endian data sets are written little-endian, as §F.2.7 asks;
- an empty one among several DS, IS or PN values is null, and the others stay (§F.2.5);
- an attribute whose VR the dictionary leaves open always gets one VR of two letters, without
  Pixel Representation as unsigned;
- the first value of a LUT Descriptor is unsigned in Implicit VR too (PS3.3 §C.11.1.1);
- a sequence that breaks inside its own length is told as UN without a value, whole; one of
  undefined length, whose end is then unknown, is an error.
"""

from __future__ import annotations

from .encoding import Encoding, Located
from .json_members import bulk_member, empty_member, object_text
from .json_open_vrs import resolved_vr
from .json_surroundings import Surroundings
from .json_walk import JsonWalk

__all__ = ["JsonWriter"]


class JsonWriter:
    """Writes the members of one data set, whose bytes may come in several pieces.

    `members` collects the top-level ones by tag, group 2 and below left out.
    """

    def __init__(self, *, encoding: Encoding, source: str = "") -> None:
        self.members: dict[int, str] = {}
        self._source = source
        self._surroundings = Surroundings(encoding)

    def text(self) -> str:
        """The JSON object of all that was added."""
        members = self.members
        if min(members, default=0) >> 16 <= 2:
            members = {tag: text for tag, text in members.items() if tag >> 16 > 2}
        return object_text(members)

    def add(self, data: bytes, *, offset_bytes: int) -> None:
        """Add whole elements, the first of which is at `offset_bytes` of the stream.

        Raises
        ------
        DicomError
            They are not whole, or not elements.
        """
        walk = JsonWalk(data, base_bytes=offset_bytes, source=self._source)
        self._surroundings = walk.top_level(self._surroundings, members=self.members)

    def vr_of(self, located: Located) -> str:
        """The VR of a top-level element of which only the header is known."""
        vr = located.vr.decode("latin-1")
        if vr not in ("", "UN"):
            return vr
        length = None if located.is_undefined else located.length_bytes
        return resolved_vr(located.tag, vr, self.members, length_bytes=length, signed=False)

    def add_bulk(self, tag: int, vr: str) -> None:
        """Add a top-level element as bulk data, without having its value."""
        self.members[tag] = bulk_member(tag, vr, "")

    def add_empty(self, tag: int, vr: str) -> None:
        """Add a top-level element by its VR alone."""
        self.members[tag] = empty_member(tag, vr)
