// The lengths of codeword segments in packet headers (ISO/IEC 15444-1 B.10.7, D.4, D.6;
// 15444-15 Annex B): how many there are for the passes of one code-block in one layer, and
// what they add up to.
#pragma once

#include <cstdint>

#include "codestream/bit_reader.hpp"
#include "codestream/coding.hpp"

namespace mersey::codestream {

// What earlier layers have said about one code-block.
struct CodeBlock {
  // HT blocks begin as `undecided`: placeholder passes may come before the first cleanup, and
  // in mixed mode the first segment shows which coder it is.
  enum class Coder : std::uint8_t { part1, undecided, ht };

  std::uint16_t passes = 0;
  std::uint8_t lblock = 3;
  bool included = false;
  Coder coder = Coder::part1;
};

// Reads the lengths of `passes` more passes; their sum. Updates `block`.
[[nodiscard]] std::uint64_t read_codeword_lengths(BitReader& bits, std::uint8_t style,
                                                  unsigned passes, CodeBlock& block);

}  // namespace mersey::codestream
