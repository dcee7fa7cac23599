// Where a marker, with its segment where it has one, lies in a codestream.
#pragma once

#include <cstdint>

namespace mersey::codestream {

struct SegmentPlace {
  static constexpr std::int32_t kMainHeader = -1;

  std::uint16_t code = 0;
  std::int32_t tile = kMainHeader;
  std::uint8_t part = 0;     // TPsot
  std::uint64_t offset = 0;  // of the marker, from SOC
  std::uint64_t length = 0;  // marker and segment
};

}  // namespace mersey::codestream
