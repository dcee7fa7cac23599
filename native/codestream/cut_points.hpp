// Where a prefix of a codestream is a complete smaller image.
//
// There are cut points only where no packet of a resolution level comes after one of a higher
// level: RLCP, RPCL, LRCP of one layer, and any order that comes to the same. What proves them:
//
// packets     Every packet of every tile was seen: its length stands in PLT (one in each
//             tile-part, filling the bodies, as many entries as packets) or its header was
//             walked, and the packets fill the tile-parts to the last byte. A stream whose
//             tile-parts are split anywhere gets right cut points.
// tile_parts  Of a prefix: every tile has one tile-part a resolution level, by TLM, and every
//             packet at hand lies in the tile-part of its level. That is a promise of the main
//             header; the scan of the whole, or of a prefix up to a cut, checks it.
//             Of a whole whose packets cannot be followed: as many tile-parts as levels and as
//             packets, none of them empty.
//
// Anything else has none.
#pragma once

#include "codestream/layout.hpp"

namespace mersey::codestream {

// Everything of `layout` but its cuts is filled in; `bytes` start at SOC.
[[nodiscard]] Cuts find_cuts(const Layout& layout, Bytes bytes);

}  // namespace mersey::codestream
