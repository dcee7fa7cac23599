// The tile-parts of a codestream: where they lie and what their headers say
// (ISO/IEC 15444-1 A.4.2, A.7).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "codestream/main_header.hpp"

namespace mersey::codestream {

// Offsets count from SOC.
struct TilePart {
  std::uint32_t tile = 0;
  std::uint8_t index = 0;         // TPsot
  std::uint64_t offset = 0;       // of SOT
  std::uint64_t length = 0;       // SOT to the end of the body; 0 where a prefix cannot tell
  std::uint64_t present = 0;      // so many of these bytes are in the data
  std::uint64_t body_offset = 0;  // after SOD; 0 where a prefix ends before it
  bool has_packet_lengths = false;               // PLT, readable
  std::vector<std::uint64_t> packet_lengths{};   // PLT or PLM

  [[nodiscard]] bool whole() const noexcept { return length != 0 && present == length; }
};

struct TileHeader {
  Coding coding;
  std::vector<Bytes> ppt;  // packed packet headers, in order

  [[nodiscard]] bool has_packed_headers() const noexcept { return !ppt.empty(); }
};

struct TileParts {
  std::vector<TilePart> parts;
  std::map<std::uint32_t, TileHeader> headers;  // of tiles whose headers hold COD, COC, POC, PPT
  std::vector<SegmentPlace> segments;           // from the first SOT to EOC, in order
  bool has_eoc = false;
  bool ended = false;        // the end of the codestream was seen
  std::uint64_t length = 0;  // from SOC, EOC included; where `ended`
};

// Reads from the first SOT on; `reader` starts there and `soc` is the offset of SOC in its
// data. With `complete` false the data may end anywhere.
[[nodiscard]] TileParts read_tile_parts(ByteReader& reader, const MainHeader& header,
                                        std::uint64_t soc, bool complete);

}  // namespace mersey::codestream
