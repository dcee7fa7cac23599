// Packed packet headers (PPM, PPT; ISO/IEC 15444-1 A.7.4, A.7.5): those of a tile put together.
#pragma once

#include <cstdint>
#include <vector>

#include "codestream/tile_parts.hpp"

namespace mersey::codestream {

class PackedHeaders {
 public:
  // Throws BadPackets where PPM does not divide into tile-parts.
  PackedHeaders(const MainHeader& main, const TileParts& tiles);

  // Whether the tile's packet headers are packed at all.
  [[nodiscard]] bool has(std::uint32_t tile) const noexcept;

  // All packet headers of the tile, one after the other; a copy, since segments cut anywhere.
  [[nodiscard]] std::vector<std::uint8_t> of(std::uint32_t tile) const;

 private:
  struct Run {
    std::uint64_t begin, end;  // in main_
  };

  const MainHeader& header_;
  const TileParts& tiles_;
  std::vector<std::uint8_t> main_;  // of PPM, its lengths included
  std::vector<Run> runs_;           // by tile-part, in the order of the codestream
};

}  // namespace mersey::codestream
