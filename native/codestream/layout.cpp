#include "codestream/layout.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "codestream/boxes.hpp"
#include "codestream/cut_points.hpp"

namespace mersey::codestream {
namespace {

std::uint8_t least_decompositions(const Coding& coding, std::size_t components,
                                  std::uint8_t otherwise) {
  // The default counts only where some component has no COC of its own.
  std::uint8_t least = otherwise;
  if (coding.style && coding.components.size() < components) {
    least = std::min(least, coding.style->blocks.decompositions);
  }
  for (const auto& [component, blocks] : coding.components) {
    least = std::min(least, blocks.decompositions);
  }
  return least;
}

std::vector<PartExtent> seen_parts(const TileParts& tiles) {
  std::vector<PartExtent> parts;
  parts.reserve(tiles.parts.size());
  for (const TilePart& part : tiles.parts) {
    parts.push_back({part.tile, part.index, part.offset, part.length});
  }
  return parts;
}

// TLM gives tile and length; tile-parts follow each other, and those of a tile are in order.
std::vector<PartExtent> announced_parts(const MainHeader& main) {
  std::vector<PartExtent> parts;
  parts.reserve(main.tile_part_lengths.size());
  std::map<std::uint32_t, std::uint32_t> next;
  std::uint64_t at = main.length;
  for (const TilePartLength& entry : main.tile_part_lengths) {
    parts.push_back({entry.tile, next[entry.tile]++, at, entry.length});
    at += entry.length;
  }
  return parts;
}

// Whether TLM names tiles that there are and tile-parts that can be.
bool possible(const std::vector<PartExtent>& announced, std::uint64_t tiles) {
  constexpr std::uint64_t kLeast = 14;  // SOT and SOD
  return !announced.empty() &&
         std::all_of(announced.begin(), announced.end(), [tiles](const PartExtent& part) {
           return part.tile < tiles && part.length >= kLeast;
         });
}

// Of a prefix: whether the tile-parts that it shows are the first of those announced.
bool agree(const std::vector<PartExtent>& announced, const std::vector<PartExtent>& seen) {
  return seen.size() <= announced.size() &&
         std::equal(seen.begin(), seen.end(), announced.begin(),
                    [](const PartExtent& a, const PartExtent& b) {
                      return a.tile == b.tile && a.offset == b.offset &&
                             (a.length == b.length || a.length == 0);
                    });
}

}  // namespace

Layout scan(Bytes data, bool complete) {
  const Located located = locate_codestream(data);
  ByteReader reader(located.bytes, located.offset);
  Layout layout;
  layout.wrapper = located.offset;
  layout.main = read_main_header(reader);
  layout.tiles = read_tile_parts(reader, layout.main, located.offset, complete);
  const std::size_t components = layout.main.size.components.size();
  layout.decompositions = least_decompositions(layout.main.coding, components, 32);
  for (const auto& [tile, header] : layout.tiles.headers) {
    layout.decompositions =
        least_decompositions(header.coding, components, layout.decompositions);
  }
  layout.parts = seen_parts(layout.tiles);
  layout.all_parts_known = layout.tiles.ended;
  if (!layout.tiles.ended && layout.main.has_tlm) {
    std::vector<PartExtent> announced = announced_parts(layout.main);
    if (possible(announced, layout.main.size.tiles()) && agree(announced, layout.parts)) {
      layout.parts = std::move(announced);
      layout.all_parts_known = true;
    }
  }
  layout.cuts = find_cuts(layout, located.bytes);
  return layout;
}

}  // namespace mersey::codestream
