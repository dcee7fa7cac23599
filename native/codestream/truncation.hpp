// Which packets a codestream of limited size keeps.
#pragma once

#include <cstdint>
#include <vector>

#include "codestream/packet_index.hpp"
#include "codestream/target.hpp"

namespace mersey::codestream {

struct Truncation {
  std::uint16_t layers;    // that COD needs to give
  std::vector<bool> kept;  // by row; the others become empty packets
};

// Keeps packets in the order of the stream, those of several tiles side by side, as long as the
// whole, written as `target` says, has at most `most_bytes`. Throws Impossible where not even
// empty packets fit.
[[nodiscard]] Truncation truncate_to(const PacketIndex& index, const Target& target,
                                     std::uint64_t most_bytes);

}  // namespace mersey::codestream
