// What the main header and the first tile-part headers say (ISO/IEC 15444-1 Annex A.5, A.6).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "codestream/byte_reader.hpp"

namespace mersey::codestream {

struct Component {
  std::uint8_t precision;  // bits, 1–38
  bool is_signed;
  std::uint8_t xr;  // XRsiz
  std::uint8_t yr;  // YRsiz
};

// SIZ. All 32-bit fields, kept as 64 bits so that sums cannot overflow.
struct ImageSize {
  std::uint64_t xsiz = 0, ysiz = 0, xosiz = 0, yosiz = 0;
  std::uint64_t xtsiz = 0, ytsiz = 0, xtosiz = 0, ytosiz = 0;
  std::vector<Component> components;

  [[nodiscard]] std::uint64_t tiles_across() const noexcept {
    return (xsiz - xtosiz + xtsiz - 1) / xtsiz;
  }
  [[nodiscard]] std::uint64_t tiles_down() const noexcept {
    return (ysiz - ytosiz + ytsiz - 1) / ytsiz;
  }
  [[nodiscard]] std::uint64_t tiles() const noexcept { return tiles_across() * tiles_down(); }
};

enum class Progression : std::uint8_t { LRCP = 0, RLCP = 1, RPCL = 2, PCRL = 3, CPRL = 4 };

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

// COD and the COCs of one header.
struct Coding {
  std::optional<CodingStyle> style;
  std::map<std::uint16_t, BlockCoding> components;

  // Takes the number of decompositions from DFS where Part 2 puts it there; by index.
  void resolve(const std::map<std::uint8_t, std::uint8_t>& dfs, std::uint64_t place);
  void read_cod(ByteReader segment);
  void read_coc(ByteReader segment, std::size_t component_count);
};

struct TilePartLength {
  std::uint32_t tile;
  std::uint32_t length;
};

struct MainHeader {
  ImageSize size;
  Coding coding;
  std::vector<TilePartLength> tile_part_lengths;  // TLM, in order
  bool has_tlm = false;
  std::map<std::uint8_t, std::uint8_t> dfs;  // decompositions by index of DFS
  bool has_poc = false;
  bool has_packed_headers = false;  // PPM
  std::uint64_t length = 0;         // from SOC to the first SOT

  [[nodiscard]] const CodingStyle& style() const { return *coding.style; }
};

// Reads from SOC to the first SOT; `reader` is left there.
[[nodiscard]] MainHeader read_main_header(ByteReader& reader);

}  // namespace mersey::codestream
