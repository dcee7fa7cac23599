#include "codestream/layout.hpp"

#include <algorithm>

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
  layout.cuts = find_cuts(layout, located.bytes);
  return layout;
}

}  // namespace mersey::codestream
