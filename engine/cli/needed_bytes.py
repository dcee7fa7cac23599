"""How many bytes of a codestream each reduction needs, and whether they are a prefix.

For codestreams in any order of packets: in one that is not by resolution the bytes lie in
many ranges, which can be fetched one by one. Where there are cut points, it is a prefix up to one.
Decodes nothing.
"""

from __future__ import annotations

from typing import Any

from ...codecs.codestream import CodestreamLayout, reduced_size
from ...codecs.surgery import resolution_ranges

__all__ = ["needed_bytes"]


def needed_bytes(data: bytes, layout: CodestreamLayout) -> list[dict[str, Any]]:
    """One row a reduction: size, bytes, in how many ranges, and the prefix with all of them.

    Raises
    ------
    CodestreamError, UnsupportedError
        The packets do not fit the headers, or have a feature that we lack.
    """
    rows = []
    for reduce in range(layout.decompositions + 1):
        width, height = reduced_size(layout, reduce)
        if layout.cut_points is None:
            ranges = resolution_ranges(data, reduce=reduce)
        else:
            ranges = ((layout.jp2_offset, layout.cut_points[reduce]),)
        rows.append(
            {
                "reduce": reduce,
                "width": width,
                "height": height,
                "bytes": sum(length for _, length in ranges),
                "ranges": len(ranges),
                "prefix": ranges[-1][0] + ranges[-1][1] - layout.jp2_offset if ranges else 0,
            }
        )
    return rows
