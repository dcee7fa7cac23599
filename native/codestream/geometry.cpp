#include "codestream/geometry.hpp"

#include <algorithm>

namespace mersey::codestream {
namespace {

std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) { return (value + by - 1) / by; }

std::uint64_t halve_up(std::uint64_t value, unsigned times) {
  return (value + (std::uint64_t{1} << times) - 1) >> times;
}

Rect halve_up(const Rect& area, unsigned times) {
  return {halve_up(area.x0, times), halve_up(area.y0, times), halve_up(area.x1, times),
          halve_up(area.y1, times)};
}

// Equation B-15 for one coordinate; `high` is xo_b or yo_b.
std::uint64_t band_edge(std::uint64_t value, unsigned decompositions, bool high) {
  const std::uint64_t half = std::uint64_t{high ? 1U : 0U} << (decompositions - 1);
  return value <= half ? 0 : halve_up(value - half, decompositions);
}

// COC over COD, tile-part header over main header (A.6.1, A.6.2).
const BlockCoding& blocks_for(const MainHeader& main, const TileHeader* header,
                              std::uint16_t component) {
  if (header != nullptr) {
    const auto own = header->coding.components.find(component);
    if (own != header->coding.components.end()) return own->second;
    if (header->coding.style) return header->coding.style->blocks;
  }
  const auto own = main.coding.components.find(component);
  return own != main.coding.components.end() ? own->second : main.style().blocks;
}

Resolution divide_level(const TileComponent& component, unsigned level) {
  const BlockCoding& blocks = *component.blocks;
  Resolution resolution;
  resolution.area = halve_up(component.area, blocks.decompositions - level);
  resolution.ppx = blocks.precincts[level] & 0x0F;
  resolution.ppy = blocks.precincts[level] >> 4;
  if (!resolution.area.empty()) {
    const Rect& area = resolution.area;
    resolution.across = halve_up(area.x1, resolution.ppx) - (area.x0 >> resolution.ppx);
    resolution.down = halve_up(area.y1, resolution.ppy) - (area.y0 >> resolution.ppy);
  }
  return resolution;
}

std::uint32_t cells(std::uint64_t from, std::uint64_t to, unsigned exponent) {
  return static_cast<std::uint32_t>(halve_up(to, exponent) - (from >> exponent));
}

}  // namespace

BlockGrid TileComponent::block_grid(unsigned level, std::uint64_t precinct,
                                    unsigned band) const {
  const Resolution& resolution = levels[level];
  Rect within = resolution.area;
  unsigned ppx = resolution.ppx;
  unsigned ppy = resolution.ppy;
  if (level > 0) {
    const unsigned depth = blocks->decompositions - level + 1;
    const bool high_x = band != 1;  // HL and HH
    const bool high_y = band != 0;  // LH and HH
    within = {band_edge(area.x0, depth, high_x), band_edge(area.y0, depth, high_y),
              band_edge(area.x1, depth, high_x), band_edge(area.y1, depth, high_y)};
    --ppx;
    --ppy;
  }
  const std::uint64_t column = (resolution.area.x0 >> resolution.ppx) + precinct % resolution.across;
  const std::uint64_t row = (resolution.area.y0 >> resolution.ppy) + precinct / resolution.across;
  within.x0 = std::max(within.x0, column << ppx);
  within.x1 = std::min(within.x1, (column + 1) << ppx);
  within.y0 = std::max(within.y0, row << ppy);
  within.y1 = std::min(within.y1, (row + 1) << ppy);
  if (within.empty()) return {};
  const unsigned xcb = std::min<unsigned>(blocks->xcb, ppx);
  const unsigned ycb = std::min<unsigned>(blocks->ycb, ppy);
  return {cells(within.x0, within.x1, xcb), cells(within.y0, within.y1, ycb)};
}

Tile divide_tile(const MainHeader& main, const TileHeader* header, std::uint32_t index,
                 Budget& budget) {
  const ImageSize& size = main.size;
  const std::uint64_t column = index % size.tiles_across();
  const std::uint64_t row = index / size.tiles_across();
  Tile tile;
  tile.area = {std::max(size.xtosiz + column * size.xtsiz, size.xosiz),
               std::max(size.ytosiz + row * size.ytsiz, size.yosiz),
               std::min(size.xtosiz + (column + 1) * size.xtsiz, size.xsiz),
               std::min(size.ytosiz + (row + 1) * size.ytsiz, size.ysiz)};
  const bool own_style = header != nullptr && header->coding.style.has_value();
  tile.style = own_style ? &*header->coding.style : &main.style();
  const bool own_changes = header != nullptr && !header->coding.changes.empty();
  tile.changes = own_changes ? &header->coding.changes : &main.coding.changes;
  Budget::spend(budget.precincts, size.components.size());
  tile.components.resize(size.components.size());
  for (std::size_t i = 0; i < size.components.size(); ++i) {
    const Component& sampled = size.components[i];
    TileComponent& component = tile.components[i];
    component.blocks = &blocks_for(main, header, static_cast<std::uint16_t>(i));
    component.area = {divide_up(tile.area.x0, sampled.xr), divide_up(tile.area.y0, sampled.yr),
                      divide_up(tile.area.x1, sampled.xr), divide_up(tile.area.y1, sampled.yr)};
    const std::uint8_t decompositions = component.blocks->decompositions;
    tile.most_decompositions = std::max(tile.most_decompositions, decompositions);
    Budget::spend(budget.precincts, decompositions);
    component.levels.reserve(decompositions + std::size_t{1});
    for (unsigned level = 0; level <= decompositions; ++level) {
      component.levels.push_back(divide_level(component, level));
    }
  }
  return tile;
}

}  // namespace mersey::codestream
