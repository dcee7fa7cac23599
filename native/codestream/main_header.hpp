// The main header: everything from SOC to the first SOT (ISO/IEC 15444-1 A.4.1).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "codestream/coding.hpp"
#include "codestream/image_size.hpp"
#include "codestream/segment_place.hpp"

namespace mersey::codestream {

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
  std::vector<SegmentPlace> segments;        // SOC and what follows it, in order
  std::map<std::uint8_t, Bytes> ppm;         // packed packet headers, by Zppm
  std::map<std::uint8_t, Bytes> plm;         // packet lengths, by Zplm
  std::uint64_t length = 0;                  // from SOC to the first SOT

  [[nodiscard]] const CodingStyle& style() const { return *coding.style; }
  [[nodiscard]] bool has_packed_headers() const noexcept { return !ppm.empty(); }
};

// Reads from SOC to the first SOT; `reader` is left there.
[[nodiscard]] MainHeader read_main_header(ByteReader& reader);

}  // namespace mersey::codestream
