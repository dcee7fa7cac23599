// The operations on whole codestreams. Each gives an Assembly, to be written into memory that the
// caller has got; all decode to exactly the samples that the original decodes to.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "codestream/assembly.hpp"

namespace mersey::codestream {

// RPCL, a tile-part for each resolution, TLM; with `packet_lengths` PLT.
[[nodiscard]] Assembly to_progressive(const PacketIndex& index, bool packet_lengths);

// The progression of the original, without POC; by resolution where that allows it.
[[nodiscard]] Assembly reduce(const PacketIndex& index, std::uint8_t by);

[[nodiscard]] Assembly reorder(const PacketIndex& index, Progression progression);

// At most so many bytes or layers, or both.
[[nodiscard]] Assembly truncate(const PacketIndex& index, std::optional<std::uint64_t> most_bytes,
                                std::optional<std::uint16_t> layers);

// Offset, counted from the start of the caller's data, and length of what an image at a reduction
// needs: headers and packets, joined where they touch.
[[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> resolution_ranges(
    const PacketIndex& index, std::uint8_t reduce);

}  // namespace mersey::codestream
