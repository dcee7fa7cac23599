// Reads packet headers (ISO/IEC 15444-1 B.10, 15444-15 Annex B): how long each body is.
// Never looks into a body.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codestream/budget.hpp"
#include "codestream/codeword_lengths.hpp"
#include "codestream/geometry.hpp"
#include "codestream/packet_order.hpp"
#include "codestream/tag_tree.hpp"

namespace mersey::codestream {

// What earlier layers have said about the code-blocks of one precinct.
class PrecinctState {
 public:
  // Set up for a precinct of which no layer has been read.
  void reset(const TileComponent& component, const PrecinctPlace& place, Budget& budget);

  // Reads the header of the packet of `layer` behind its first bit, which said that the
  // packet is not empty; returns the length of the body. Throws Truncated where the bits run
  // out, BadPackets where they break a rule, Unsupported for a feature not known here.
  std::uint64_t read(BitReader& bits, const BlockCoding& coding, std::uint16_t layer,
                     Budget& budget);

 private:
  struct Band {
    BlockGrid grid;
    TagTree inclusion;
    TagTree zero_planes;
    std::vector<CodeBlock> blocks;
  };

  std::array<Band, 3> bands_;
  unsigned used_ = 0;
};

}  // namespace mersey::codestream
