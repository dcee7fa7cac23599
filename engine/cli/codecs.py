"""``mersey codecs``: which transfer syntaxes are decoded and encoded here, and by what."""

from __future__ import annotations

from typing import Any

from .options import AsJson

__all__ = ["command"]


def command(*, as_json: AsJson = False) -> None:
    """Show which transfer syntaxes can be decoded and encoded, and by what.

    Encoded ones have a name for `mersey transcode --to`. With --json: a list of objects with
    "uid", "name", "decode", "encode", "lossless" (null where the sender chooses), "targets",
    "libraries" (each with "name" and "version") and "why_missing".
    """
    found = [_row(row) for row in _rows()]
    if as_json:
        import json

        print(json.dumps(found, indent=2))
    else:
        _print_rows(found)


def _rows() -> Any:
    from ...codecs.registry import Registry

    return Registry.default().rows()


def _row(row: Any) -> dict[str, Any]:
    from ...codecs.registry import TARGETS
    from ...codecs.syntaxes import transfer_syntax

    syntax = transfer_syntax(row.uid)
    libraries = [library.rpartition(" ") for library in row.library.split(", ") if library]
    return {
        "uid": row.uid,
        "name": row.name,
        "decode": row.decode,
        "encode": row.encode,
        "lossless": None if syntax is None else syntax.lossless,
        "targets": [name for name, uid in TARGETS.items() if uid == row.uid],
        "libraries": [
            {"name": name or version, "version": version if name else _version(version)}
            for name, _, version in libraries
        ],
        "why_missing": row.why_missing,
    }


def _version(distribution: str) -> str:
    from importlib.metadata import version

    return version(distribution)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from .terminal import print_table

    head = ("UID", "Transfer syntax", "decode", "encode", "--to", "by")
    lines = [
        (
            row["uid"],
            row["name"],
            "yes" if row["decode"] else "–",
            "yes" if row["encode"] else "–",
            ", ".join(row["targets"]) or "–",
            ", ".join(f"{library['name']} {library['version']}" for library in row["libraries"])
            or row["why_missing"],
        )
        for row in rows
    ]
    print_table(head, lines)
