"""The address of what is to be pulled or pushed to: a DICOMweb service, and what of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote, urlsplit, urlunsplit

from ...codecs.errors import UsageError
from ..archive.entry import is_uid

__all__ = ["Address"]

_RESOURCE = re.compile(
    r"(?P<base>.*?)/studies(?:/(?P<study>[^/]+)"
    r"(?:/series/(?P<series>[^/]+)(?:/instances/(?P<instance>[^/]+))?)?)?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A DICOMweb service `base`, without a slash at its end, and a study, series or instance.

    `user` holds ``name:password`` where the URL did; no other text shows it.
    """

    base: str
    study: str = ""
    series: str = ""
    instance: str = ""
    user: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take ``http://host:port[/path][/studies/…]`` apart; no path means ``/dicom-web``.

        Raises
        ------
        UsageError
            It is no such URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"no URL of a DICOMweb service: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("no URL of a DICOMweb service, as in http://host:8042/dicom-web")
        if parts.query or parts.fragment:
            raise UsageError("the URL of a DICOMweb service has no query and no fragment")
        user, at, _ = parts.netloc.rpartition("@")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = host if port is None else f"{host}:{port}"
        path = parts.path.rstrip("/") or "/dicom-web"
        found = _RESOURCE.fullmatch(path)
        base, uids = path, ("", "", "")
        if found is not None:
            base = found["base"]
            uids = (found["study"] or "", found["series"] or "", found["instance"] or "")
        for uid in uids:
            if uid and not is_uid(uid):
                raise UsageError("the URL names something that is no UID")
        whole = urlunsplit((parts.scheme, netloc, base, "", ""))
        return cls(whole, *uids, user=unquote(user) if at else "")

    def of_study(self, uid: str) -> Self:
        """The same service, and that study.

        Raises
        ------
        UsageError
            `uid` is none.
        """
        if not is_uid(uid):
            raise UsageError("a study's UID that is none")
        return replace(self, study=uid, series="", instance="")

    @property
    def resource(self) -> str:
        """``/studies/…`` as far as it goes."""
        levels = (("studies", self.study), ("series", self.series), ("instances", self.instance))
        return "".join(f"/{level}/{uid}" for level, uid in levels if uid)

    @property
    def mersey(self) -> str:
        """Where the transfers between engines are, beside the DICOMweb service."""
        scheme, netloc, path, _, _ = urlsplit(self.base)
        return urlunsplit((scheme, netloc, path.rpartition("/")[0] + "/mersey", "", ""))

    def __str__(self) -> str:
        return self.base + self.resource
