// The segments of a header as a rewritten codestream needs them. Those that tell how packets lie
// are left out (POC, PLM, PLT, PPM, PPT, TLM), as are profiles that may no longer hold (PRF, CPF);
// all others, unknown ones too, keep their order.
#pragma once

#include <cstdint>
#include <vector>

#include "codestream/packet_index.hpp"
#include "codestream/target.hpp"

namespace mersey::codestream {

// SOC up to where TLM may follow.
[[nodiscard]] std::vector<std::uint8_t> edit_main_header(const PacketIndex& index,
                                                         const ImageSize& size,
                                                         const Target& target);

// By tile, what stands between SOT and SOD of its first tile-part.
[[nodiscard]] std::vector<std::vector<std::uint8_t>> edit_tile_headers(const PacketIndex& index,
                                                                       const Target& target);

// COD and COCs as the edited header says them. Throws Impossible where there are fewer
// decompositions than `target.reduce`.
[[nodiscard]] Coding edit_coding(const Coding& coding, const Target& target,
                                 std::size_t component_count);

}  // namespace mersey::codestream
