// What a rewritten codestream shall be.
#pragma once

#include <cstdint>
#include <vector>

#include "codestream/coding.hpp"

namespace mersey::codestream {

struct Target {
  Progression progression = Progression::RPCL;
  std::uint8_t reduce = 0;
  std::uint16_t layers = 65535;      // at most so many
  bool part_per_resolution = false;  // where the progression is by resolution
  bool packet_lengths = false;       // PLT
  const std::vector<bool>* kept = nullptr;  // by row of the index; all where null
};

}  // namespace mersey::codestream
