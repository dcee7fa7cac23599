#include "codestream/packet_header.hpp"

#include <algorithm>
#include <bit>

namespace mersey::codestream {
namespace {

constexpr std::uint8_t kBypass = 0x01;      // selective arithmetic coding bypass
constexpr std::uint8_t kTerminateAll = 0x04;  // termination on each coding pass
constexpr std::uint8_t kMixed = 0x80;       // HT and Part 1 code-blocks side by side
constexpr std::uint16_t kMostPlanes = 128;  // no sample has so many bit-planes

// Table B.4.
unsigned read_passes(BitReader& bits) {
  if (bits.bit() == 0) return 1;
  if (bits.bit() == 0) return 2;
  unsigned more = bits.bits(2);
  if (more < 3) return 3 + more;
  more = bits.bits(5);
  if (more < 31) return 6 + more;
  return 37 + bits.bits(7);
}

void read_zero_planes(BitReader& bits, TagTree& tree, std::uint32_t x, std::uint32_t y) {
  for (std::uint16_t threshold = 1; !tree.less_than(bits, x, y, threshold); ++threshold) {
    if (threshold == kMostPlanes) throw Unsupported("a code-block lacks 128 bit-planes");
  }
}

std::uint64_t read_length(BitReader& bits, unsigned lblock, unsigned passes) {
  const unsigned width = lblock + static_cast<unsigned>(std::bit_width(passes)) - 1;
  if (width > 32) throw Unsupported("a codeword segment has a length of more than 32 bits");
  return bits.bits(width);
}

// How many passes, from the one at `done` on, share a codeword segment (D.4, D.6).
unsigned passes_left(std::uint8_t style, unsigned done) {
  if ((style & kTerminateAll) != 0) return 1;
  if ((style & kBypass) == 0) return 0xFFFF;
  if (done < 10) return 10 - done;
  constexpr unsigned kLeft[] = {2, 1, 1};  // raw: propagation, refinement; coded: cleanup
  return kLeft[(done - 10) % 3];
}

std::uint64_t read_part1_lengths(BitReader& bits, std::uint8_t style, unsigned lblock,
                                 unsigned done, unsigned passes) {
  std::uint64_t total = 0;
  while (passes > 0) {
    const unsigned run = std::min(passes, passes_left(style, done));
    total += read_length(bits, lblock, run);
    done += run;
    passes -= run;
  }
  return total;
}

// One layer: a cleanup segment, which placeholder passes may come before, then one segment
// for the refinement passes (15444-15 B.1–B.3).
std::uint64_t read_ht_lengths(BitReader& bits, unsigned lblock, unsigned passes) {
  const unsigned placeholders = (passes - 1) / 3 * 3;
  const unsigned refinements = passes - placeholders - 1;
  std::uint64_t total = read_length(bits, lblock, placeholders + 1);
  if (refinements > 0) total += read_length(bits, lblock, refinements);
  return total;
}

}  // namespace

void PrecinctState::reset(const TileComponent& component, const PrecinctPlace& place,
                          Budget& budget) {
  used_ = TileComponent::bands(place.level);
  for (unsigned i = 0; i < used_; ++i) {
    Band& band = bands_[i];
    band.grid = component.block_grid(place.level, place.precinct, i);
    Budget::spend(budget.code_blocks, band.grid.count());
    band.blocks.assign(band.grid.count(), Block{});
    if (band.grid.count() == 0) continue;
    band.inclusion.reset(band.grid.across, band.grid.down);
    band.zero_planes.reset(band.grid.across, band.grid.down);
  }
}

std::uint64_t PrecinctState::read(BitReader& bits, const BlockCoding& coding,
                                  std::uint16_t layer, bool more_layers, Budget& budget) {
  if (coding.ht() && more_layers) throw Unsupported("HT code-blocks in several layers");
  if ((coding.style & kMixed) != 0) throw Unsupported("HT and Part 1 code-blocks side by side");
  std::uint64_t body = 0;
  for (unsigned i = 0; i < used_; ++i) {
    Band& band = bands_[i];
    Budget::spend(budget.visits, band.grid.count());
    for (std::uint32_t y = 0; y < band.grid.down; ++y) {
      for (std::uint32_t x = 0; x < band.grid.across; ++x) {
        Block& block = band.blocks[std::size_t{y} * band.grid.across + x];
        if (block.included) {
          if (bits.bit() == 0) continue;
        } else {
          const auto threshold = static_cast<std::uint16_t>(layer + 1U);
          if (!band.inclusion.less_than(bits, x, y, threshold)) continue;
          read_zero_planes(bits, band.zero_planes, x, y);
          block.included = true;
        }
        const unsigned passes = read_passes(bits);
        while (bits.bit() != 0) {
          if (++block.lblock > 32) throw Unsupported("Lblock is more than 32");
        }
        body += coding.ht() ? read_ht_lengths(bits, block.lblock, passes)
                            : read_part1_lengths(bits, coding.style, block.lblock, block.passes,
                                                 passes);
        block.passes = static_cast<std::uint16_t>(std::min(block.passes + passes, 0xFFFFU));
      }
    }
  }
  return body;
}

}  // namespace mersey::codestream
