#include "codestream/packet_header.hpp"

namespace mersey::codestream {
namespace {

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
    if (threshold == kMostPlanes) throw BadPackets("a code-block lacks 128 bit-planes");
  }
}

}  // namespace

void PrecinctState::reset(const TileComponent& component, const PrecinctPlace& place,
                          Budget& budget) {
  used_ = TileComponent::bands(place.level);
  for (unsigned i = 0; i < used_; ++i) {
    Band& band = bands_[i];
    band.grid = component.block_grid(place.level, place.precinct, i);
    Budget::spend(budget.code_blocks, band.grid.count());
    CodeBlock fresh;
    if (component.blocks->ht()) fresh.coder = CodeBlock::Coder::undecided;
    band.blocks.assign(band.grid.count(), fresh);
    if (band.grid.count() == 0) continue;
    band.inclusion.reset(band.grid.across, band.grid.down);
    band.zero_planes.reset(band.grid.across, band.grid.down);
  }
}

std::uint64_t PrecinctState::read(BitReader& bits, const BlockCoding& coding,
                                  std::uint16_t layer, Budget& budget) {
  std::uint64_t body = 0;
  for (unsigned i = 0; i < used_; ++i) {
    Band& band = bands_[i];
    Budget::spend(budget.visits, band.grid.count());
    for (std::uint32_t y = 0; y < band.grid.down; ++y) {
      for (std::uint32_t x = 0; x < band.grid.across; ++x) {
        CodeBlock& block = band.blocks[std::size_t{y} * band.grid.across + x];
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
          if (++block.lblock > 32) throw BadPackets("Lblock is more than 32");
        }
        body += read_codeword_lengths(bits, coding.style, passes, block);
      }
    }
  }
  return body;
}

}  // namespace mersey::codestream
