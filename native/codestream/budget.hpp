// The work and the memory that a codestream may cause, in proportion to its bytes.
#pragma once

#include <cstdint>

#include "codestream/error.hpp"

namespace mersey::codestream {

struct Budget {
  std::uint64_t precincts;    // and resolution levels of tile-components
  std::uint64_t code_blocks;  // set up
  std::uint64_t visits;       // of code-blocks, a layer each

  // A packet takes a byte at least, and a code-block in it some bits; the constants are for
  // images that are nearly empty and for prefixes.
  [[nodiscard]] static constexpr Budget for_bytes(std::uint64_t bytes) noexcept {
    return {65536 + 2 * bytes, (std::uint64_t{1} << 20) + 4 * bytes,
            (std::uint64_t{1} << 22) + 64 * bytes};
  }

  static void spend(std::uint64_t& left, std::uint64_t amount) {
    if (amount > left) {
      throw Unsupported("more packets or code-blocks than its bytes can describe");
    }
    left -= amount;
  }
};

}  // namespace mersey::codestream
