// SIZ: the image, its tiles and its components (ISO/IEC 15444-1 A.5.1).
#pragma once

#include <cstdint>
#include <vector>

#include "codestream/byte_reader.hpp"

namespace mersey::codestream {

struct Component {
  std::uint8_t precision;  // bits, 1–38
  bool is_signed;
  std::uint8_t xr;  // XRsiz
  std::uint8_t yr;  // YRsiz
};

// SIZ. All 32-bit fields, kept as 64 bits so that sums cannot overflow.
struct ImageSize {
  std::uint64_t xsiz = 0, ysiz = 0, xosiz = 0, yosiz = 0;
  std::uint64_t xtsiz = 0, ytsiz = 0, xtosiz = 0, ytosiz = 0;
  std::vector<Component> components;

  [[nodiscard]] std::uint64_t tiles_across() const noexcept {
    return (xsiz - xtosiz + xtsiz - 1) / xtsiz;
  }
  [[nodiscard]] std::uint64_t tiles_down() const noexcept {
    return (ysiz - ytosiz + ytsiz - 1) / ytsiz;
  }
  [[nodiscard]] std::uint64_t tiles() const noexcept { return tiles_across() * tiles_down(); }
};

// Reads the segment and refuses what cannot be: no image area, no tile, too many of either.
[[nodiscard]] ImageSize read_siz(ByteReader segment);

}  // namespace mersey::codestream
