// How tiles divide into tile-components, resolution levels, precincts, sub-bands and
// code-blocks (ISO/IEC 15444-1 Annex B.3–B.7). Pure arithmetic; reads no bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "codestream/budget.hpp"
#include "codestream/tile_parts.hpp"

namespace mersey::codestream {

// Half open: x0 <= x < x1.
struct Rect {
  std::uint64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  [[nodiscard]] bool empty() const noexcept { return x0 >= x1 || y0 >= y1; }
};

// The code-blocks of one sub-band in one precinct.
struct BlockGrid {
  std::uint32_t across = 0, down = 0;

  [[nodiscard]] std::uint64_t count() const noexcept {
    return std::uint64_t{across} * down;
  }
};

// One resolution level of one tile-component.
struct Resolution {
  Rect area;
  std::uint8_t ppx = 15, ppy = 15;  // exponents of the precinct size
  std::uint64_t across = 0, down = 0;  // precincts

  [[nodiscard]] std::uint64_t precincts() const noexcept { return across * down; }
};

struct TileComponent {
  Rect area;
  const BlockCoding* blocks = nullptr;
  std::vector<Resolution> levels;  // decompositions + 1

  // LL alone at level 0, else HL, LH, HH.
  [[nodiscard]] static unsigned bands(unsigned level) noexcept { return level == 0 ? 1 : 3; }
  [[nodiscard]] BlockGrid block_grid(unsigned level, std::uint64_t precinct,
                                     unsigned band) const;
};

struct Tile {
  Rect area;  // on the reference grid
  const CodingStyle* style = nullptr;
  const std::vector<ProgressionVolume>* changes = nullptr;  // POC; empty where there is none
  std::vector<TileComponent> components;
  std::uint8_t most_decompositions = 0;
};

// Borrows from `main` and `header` (null where the tile has none of its own). Throws
// Unsupported where the budget is spent.
[[nodiscard]] Tile divide_tile(const MainHeader& main, const TileHeader* header,
                               std::uint32_t index, Budget& budget);

}  // namespace mersey::codestream
