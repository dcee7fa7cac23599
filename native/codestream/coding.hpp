// COD and COC: how components are coded and in which order packets come
// (ISO/IEC 15444-1 A.6.1, A.6.2; 15444-15 A.4).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "codestream/byte_reader.hpp"

namespace mersey::codestream {

enum class Progression : std::uint8_t { LRCP = 0, RLCP = 1, RPCL = 2, PCRL = 3, CPRL = 4 };

// "RPCL", say.
[[nodiscard]] const char* progression_name(Progression order) noexcept;

// The part of COD that COC can replace (Table A.20).
struct BlockCoding {
  static constexpr std::uint8_t kHighThroughput = 0x40;  // 15444-15 Table A.4

  std::uint8_t decompositions = 0;  // 0–32
  std::optional<std::uint8_t> dfs;  // their style, where a DFS segment of Part 2 gives it
  std::uint8_t xcb = 6, ycb = 6;    // exponents of the code-block size, 2–10
  std::uint8_t style = 0;           // Table A.19
  std::uint8_t transform = 0;       // 1 is the reversible 5-3 filter
  std::array<std::uint8_t, 33> precincts{};  // PPx | PPy << 4, by resolution level

  [[nodiscard]] bool ht() const noexcept { return (style & kHighThroughput) != 0; }
};

struct CodingStyle {
  Progression progression = Progression::LRCP;
  std::uint16_t layers = 1;
  std::uint8_t colour_transform = 0;
  bool may_have_sop = false;
  bool may_have_eph = false;
  BlockCoding blocks;
};

// One entry of POC (A.6.6): in this order, the packets inside these limits that have not come
// yet. Ends are exclusive.
struct ProgressionVolume {
  Progression progression = Progression::LRCP;
  std::uint8_t level_begin = 0, level_end = 33;
  std::uint16_t component_begin = 0, component_end = 16384;
  std::uint16_t layer_end = 65535;
};

// COD, the COCs and the POCs of one header.
struct Coding {
  std::optional<CodingStyle> style;
  std::map<std::uint16_t, BlockCoding> components;
  std::vector<ProgressionVolume> changes;

  // Takes the number of decompositions from DFS where Part 2 puts it there; by index.
  void resolve(const std::map<std::uint8_t, std::uint8_t>& dfs, std::uint64_t place);
  void read_cod(ByteReader segment);
  void read_coc(ByteReader segment, std::size_t component_count);
  void read_poc(ByteReader segment, std::size_t component_count);
};

}  // namespace mersey::codestream
