"""What both `mersey inspect` and `mersey codestream inspect` tell of a codestream's layout."""

from __future__ import annotations

from typing import Any

from ...codecs.codestream import CodestreamLayout

__all__ = ["describe_layout"]


def describe_layout(layout: CodestreamLayout) -> dict[str, Any]:
    """Plain values, ready for JSON, by the names that the commands document."""
    return {
        "family": "HTJ2K" if layout.ht else "JPEG 2000",
        "width": layout.width,
        "height": layout.height,
        "components": layout.components,
        "precision": list(layout.precision),
        "signed": list(layout.signed),
        "tiles": layout.tiles,
        "tile_parts": len(layout.tile_parts),
        "decompositions": layout.decompositions,
        "layers": layout.layers,
        "progression": layout.progression,
        "tlm": layout.has_tlm,
        "reversible": layout.reversible,
        "colour_transform": layout.colour_transform,
        "main_header_bytes": layout.main_header_bytes,
        "length_bytes": layout.length_bytes,
    }
