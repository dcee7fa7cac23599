// The layout of a codestream: headers, tile-parts and the cut points they prove.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codestream/tile_parts.hpp"

namespace mersey::codestream {

// How the cut points are known.
enum class Evidence : std::uint8_t {
  none,        // they are not
  packets,     // every packet up to the last cut was seen: PLT, or its header was walked
  tile_parts,  // each tile has a tile-part for every resolution level, and nothing denies it
};

struct Cuts {
  // points[r]: the length of the shortest prefix that holds every packet of a complete image
  // at `reduce = r`; points[0] is the whole codestream. Empty where `evidence` is none.
  std::vector<std::uint64_t> points;
  Evidence evidence = Evidence::none;
  std::string why_none;
  // The smallest reduction for which the bytes at hold suffice.
  std::optional<std::uint8_t> complete_reduce;
};

// A tile-part that was seen or, in a prefix, that TLM announces. Offsets count from SOC.
struct PartExtent {
  std::uint32_t tile;
  std::uint32_t index;
  std::uint64_t offset;
  std::uint64_t length;

  [[nodiscard]] std::uint64_t end() const noexcept { return offset + length; }
};

struct Layout {
  std::uint64_t wrapper = 0;  // bytes before SOC
  MainHeader main;
  TileParts tiles;
  std::vector<PartExtent> parts;
  bool all_parts_known = false;
  std::uint8_t decompositions = 0;  // the least over components and tiles
  Cuts cuts;
};

[[nodiscard]] Layout scan(Bytes data, bool complete);

}  // namespace mersey::codestream
