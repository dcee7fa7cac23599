"""What the JSON of an element depends on besides its bytes, and what is remembered for each."""

from __future__ import annotations

from .encoding import Encoding
from .json_values import ASCII

__all__ = ["Surroundings"]

type _Family = dict[tuple[Encoding, tuple[str, ...], bool], Surroundings]


class Surroundings:
    """How a data set is read: its encoding, and what it inherits from those around it.

    `charset` are the Python names of the character sets in force, `signed` is what Pixel
    Representation says. `elements` and `items` remember the texts that came of bytes read so:
    two memories, as an item of one element has the bytes of that element.
    """

    __slots__ = ("_family", "charset", "elements", "encoding", "items", "signed")

    def __init__(
        self,
        encoding: Encoding,
        *,
        charset: tuple[str, ...] = ASCII,
        signed: bool = False,
        family: _Family | None = None,
    ) -> None:
        self.encoding = encoding
        self.charset = charset
        self.signed = signed
        self.elements: dict[bytes, str] = {}
        self.items: dict[bytes, str] = {}
        self._family = {} if family is None else family
        self._family[encoding, charset, signed] = self

    def encoded(self, encoding: Encoding) -> Surroundings:
        """The same with another encoding, as some items have."""
        if encoding is self.encoding:
            return self
        return self._relative(encoding, self.charset, self.signed)

    def spelled(self, charset: tuple[str, ...]) -> Surroundings:
        """The same behind a Specific Character Set."""
        return self._relative(self.encoding, charset, self.signed)

    def counted(self, signed: bool) -> Surroundings:
        """The same where Pixel Representation says so."""
        if signed is self.signed:
            return self
        return self._relative(self.encoding, self.charset, signed)

    def _relative(self, encoding: Encoding, charset: tuple[str, ...], signed: bool) -> Surroundings:
        """The one that is read so: what it remembers serves wherever the same holds."""
        known = self._family.get((encoding, charset, signed))
        if known is not None:
            return known
        return Surroundings(encoding, charset=charset, signed=signed, family=self._family)
