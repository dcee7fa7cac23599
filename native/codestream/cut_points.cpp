#include "codestream/cut_points.hpp"

#include <algorithm>
#include <map>

namespace mersey::codestream {
namespace {

struct Extent {
  std::uint32_t tile;
  std::uint64_t offset;
  std::uint64_t end;
};

bool resolution_major(const CodingStyle& style) {
  return style.progression == Progression::RLCP || style.progression == Progression::RPCL ||
         (style.progression == Progression::LRCP && style.layers == 1);
}

std::vector<Extent> extents(const Layout& layout) {
  std::vector<Extent> found;
  if (layout.tiles.ended) {
    for (const TilePart& part : layout.tiles.parts) {
      found.push_back({part.tile, part.offset, part.offset + part.length});
    }
    return found;
  }
  std::uint64_t at = layout.main.length;
  for (const TilePartLength& entry : layout.main.tile_part_lengths) {
    found.push_back({entry.tile, at, at + entry.length});
    at += entry.length;
  }
  return found;
}

}  // namespace

Cuts find_cuts(const Layout& layout, Bytes) {
  Cuts cuts;
  const CodingStyle& style = layout.main.style();
  if (!resolution_major(style)) {
    cuts.why_none = "the progression is not resolution-major";
    return cuts;
  }
  const std::size_t levels = layout.decompositions + std::size_t{1};
  const std::vector<Extent> parts = extents(layout);
  std::map<std::uint32_t, std::size_t> seen;
  std::vector<std::uint64_t> ends(levels, 0);
  for (const Extent& part : parts) {
    const std::size_t level = seen[part.tile]++;
    if (level < levels) ends[level] = std::max(ends[level], part.end);
  }
  const bool exact = seen.size() == layout.main.size.tiles() &&
                     std::all_of(seen.begin(), seen.end(),
                                 [&](const auto& tile) { return tile.second == levels; });
  if (!exact) {
    cuts.why_none = "the tile-parts are not one a resolution level";
    return cuts;
  }
  cuts.points.assign(ends.rbegin(), ends.rend());
  cuts.points.front() = layout.tiles.ended ? layout.tiles.length : ends.back() + 2;
  cuts.evidence = Evidence::tile_parts;
  return cuts;
}

}  // namespace mersey::codestream
