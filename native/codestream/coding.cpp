#include "codestream/coding.hpp"

#include <string>

namespace mersey::codestream {
namespace {

std::string text(std::uint64_t value) { return std::to_string(value); }

BlockCoding read_blocks(ByteReader& segment, bool has_precincts) {
  BlockCoding blocks;
  const std::uint8_t levels = segment.u8();
  if (levels > 0x80) {
    blocks.dfs = static_cast<std::uint8_t>(levels & 0x7F);
  } else if (levels > 32) {
    segment.refuse(text(levels) + " decomposition levels, expected 0–32");
  } else {
    blocks.decompositions = levels;
  }
  const unsigned xcb = segment.u8();
  const unsigned ycb = segment.u8();
  if (xcb > 8 || ycb > 8 || xcb + ycb > 8) {
    segment.refuse("code-block exponents " + text(xcb) + " and " + text(ycb) +
                   ", expected a sum of 8 at most");
  }
  blocks.xcb = static_cast<std::uint8_t>(xcb + 2);
  blocks.ycb = static_cast<std::uint8_t>(ycb + 2);
  blocks.style = segment.u8();
  blocks.transform = segment.u8();
  blocks.precincts.fill(0xFF);  // PPx = PPy = 15 where none are given
  if (has_precincts && !blocks.dfs) {
    for (std::size_t level = 0; level <= blocks.decompositions; ++level) {
      const std::uint8_t packed = segment.u8();
      if (level > 0 && ((packed & 0x0F) == 0 || (packed >> 4) == 0)) {
        segment.refuse("a precinct of exponent 0 at resolution level " + text(level) +
                       ", allowed at level 0 only");
      }
      blocks.precincts[level] = packed;
    }
  }
  return blocks;
}

}  // namespace

const char* progression_name(Progression order) noexcept {
  constexpr const char* kNames[] = {"LRCP", "RLCP", "RPCL", "PCRL", "CPRL"};
  return kNames[static_cast<std::size_t>(order)];
}

void Coding::resolve(const std::map<std::uint8_t, std::uint8_t>& dfs, std::uint64_t place) {
  const auto take = [&](BlockCoding& blocks, std::uint16_t code) {
    if (!blocks.dfs) return;
    const auto found = dfs.find(*blocks.dfs);
    if (found == dfs.end() || found->second > 32) {
      throw CodestreamError(marker_name(code) + " before byte " + text(place) + ": " +
                                text(0x80U | *blocks.dfs) +
                                " decomposition levels, expected 0–32 or a style that DFS gives",
                            code, place);
    }
    blocks.decompositions = found->second;
  };
  if (style) take(style->blocks, marker::COD);
  for (auto& [component, blocks] : components) take(blocks, marker::COC);
}

void Coding::read_cod(ByteReader segment) {
  CodingStyle cod;
  const std::uint8_t scod = segment.u8();
  cod.may_have_sop = (scod & 2) != 0;
  cod.may_have_eph = (scod & 4) != 0;
  const std::uint8_t order = segment.u8();
  if (order > 4) segment.refuse("progression order " + text(order) + ", expected 0–4");
  cod.progression = static_cast<Progression>(order);
  cod.layers = segment.u16();
  if (cod.layers == 0) segment.refuse("0 layers, expected 1–65535");
  cod.colour_transform = segment.u8();
  cod.blocks = read_blocks(segment, (scod & 1) != 0);
  style = cod;
}

void Coding::read_coc(ByteReader segment, std::size_t component_count) {
  const std::uint16_t component = component_count < 257 ? segment.u8() : segment.u16();
  if (component >= component_count) {
    segment.refuse("component " + text(component) + " of " + text(component_count));
  }
  const bool has_precincts = (segment.u8() & 1) != 0;
  components.insert_or_assign(component, read_blocks(segment, has_precincts));
}

void Coding::read_poc(ByteReader segment, std::size_t component_count) {
  const bool wide = component_count >= 257;
  const auto component = [&] { return wide ? segment.u16() : std::uint16_t{segment.u8()}; };
  do {
    ProgressionVolume volume;
    volume.level_begin = segment.u8();
    volume.component_begin = component();
    volume.layer_end = segment.u16();
    volume.level_end = segment.u8();
    const std::uint16_t end = component();
    // 0 stands for all there can be (Table A.32).
    volume.component_end = end != 0 ? end : static_cast<std::uint16_t>(wide ? 16384 : 256);
    const std::uint8_t order = segment.u8();
    if (order > 4) segment.refuse("progression order " + text(order) + ", expected 0–4");
    volume.progression = static_cast<Progression>(order);
    changes.push_back(volume);
  } while (segment.remaining() > 0);
}

}  // namespace mersey::codestream
