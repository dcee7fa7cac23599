#include "codestream/codeword_lengths.hpp"

#include <algorithm>
#include <bit>

namespace mersey::codestream {
namespace {

constexpr std::uint8_t kBypass = 0x01;        // selective arithmetic coding bypass
constexpr std::uint8_t kTerminateAll = 0x04;  // termination on each coding pass
constexpr std::uint8_t kMixed = 0x80;         // HT and Part 1 code-blocks side by side

unsigned log2_of(unsigned passes) { return static_cast<unsigned>(std::bit_width(passes)) - 1; }

std::uint64_t read_length(BitReader& bits, unsigned lblock, unsigned passes) {
  const unsigned width = lblock + log2_of(passes);
  if (width > 32) throw BadPackets("a codeword segment has a length of more than 32 bits");
  return bits.bits(width);
}

// How many passes, from the one at `done` on, share a codeword segment.
unsigned passes_left(std::uint8_t style, unsigned done) {
  if ((style & kTerminateAll) != 0) return 1;
  if ((style & kBypass) == 0) return 0xFFFF;
  if (done < 10) return 10 - done;
  constexpr unsigned kLeft[] = {2, 1, 1};  // raw: propagation, refinement; coded: cleanup
  return kLeft[(done - 10) % 3];
}

std::uint64_t read_part1(BitReader& bits, std::uint8_t style, unsigned passes,
                         const CodeBlock& block) {
  std::uint64_t total = 0;
  for (unsigned done = block.passes; passes > 0;) {
    const unsigned run = std::min(passes, passes_left(style, done));
    total += read_length(bits, block.lblock, run);
    done += run;
    passes -= run;
  }
  return total;
}

// Behind the first cleanup: segments of one cleanup pass and of one or two refinement passes
// take turns; `done` passes have come.
std::uint64_t read_ht(BitReader& bits, unsigned lblock, unsigned done, unsigned passes) {
  std::uint64_t total = 0;
  while (passes > 0) {
    const unsigned phase = done % 3;  // 0: cleanup is next
    const unsigned run = phase == 0 ? 1 : std::min(passes, 3 - phase);
    total += read_length(bits, lblock, run);
    done += run;
    passes -= run;
  }
  return total;
}

// A block that may become a Part 1 block has all its passes of this layer in one segment, as
// if no mode ended it earlier.
std::uint64_t as_part1(std::uint8_t style, CodeBlock& block, std::uint64_t length) {
  if ((style & kMixed) == 0) throw BadPackets("placeholder passes of an HT block have a length");
  if ((style & (kBypass | kTerminateAll)) != 0) {
    throw Unsupported("bypass or termination in mixed HT and Part 1 code-blocks");
  }
  block.coder = CodeBlock::Coder::part1;
  return length;
}

// Before the first cleanup, lengths are read as if of Part 1: as many bits as all the passes
// ask for, where these are placeholders or Part 1 passes; as many as the passes up to the
// cleanup ask for, where that one is here. The latter's length opens with a 0 bit in mixed
// mode and is 2 or more (15444-15 B.2, B.3).
std::uint64_t read_undecided(BitReader& bits, std::uint8_t style, unsigned passes,
                             CodeBlock& block) {
  const unsigned refinements = (block.passes + passes - 1U) % 3;  // behind the last cleanup
  if (refinements >= passes) {
    const std::uint64_t length = read_length(bits, block.lblock, passes);
    return length == 0 ? 0 : as_part1(style, block, length);
  }
  const unsigned up_to_cleanup = passes - refinements;
  const std::uint64_t length = read_length(bits, block.lblock, up_to_cleanup);
  const unsigned width = block.lblock + log2_of(up_to_cleanup);
  const bool cleanup =
      length != 0 && ((style & kMixed) == 0 ||
                      (block.lblock > 3 && length > 1 && (length >> (width - 1)) == 0));
  if (cleanup) {
    if (length < 2) throw BadPackets("an HT cleanup segment has less than 2 bytes");
    block.coder = CodeBlock::Coder::ht;
    return length + read_ht(bits, block.lblock, block.passes + up_to_cleanup, refinements);
  }
  const unsigned more = log2_of(passes) - log2_of(up_to_cleanup);
  if (width + more > 32) throw BadPackets("a codeword segment has a length of more than 32 bits");
  const std::uint64_t whole = (length << more) | bits.bits(more);
  return whole == 0 ? 0 : as_part1(style, block, whole);
}

}  // namespace

std::uint64_t read_codeword_lengths(BitReader& bits, std::uint8_t style, unsigned passes,
                                    CodeBlock& block) {
  std::uint64_t total = 0;
  switch (block.coder) {
    case CodeBlock::Coder::part1: total = read_part1(bits, style, passes, block); break;
    case CodeBlock::Coder::undecided: total = read_undecided(bits, style, passes, block); break;
    case CodeBlock::Coder::ht: total = read_ht(bits, block.lblock, block.passes, passes); break;
  }
  block.passes = static_cast<std::uint16_t>(std::min(block.passes + passes, 0xFFFFU));
  return total;
}

}  // namespace mersey::codestream
