#include "codestream/boxes.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace mersey::codestream {
namespace {

constexpr std::array<std::uint8_t, 12> kSignatureBox = {0, 0, 0, 12, 'j', 'P', ' ', ' ',
                                                        0x0D, 0x0A, 0x87, 0x0A};
constexpr std::uint32_t kContiguousCodestream = 0x6A703263;  // 'jp2c'

std::uint64_t content_length(ByteReader& reader, std::uint32_t box_length) {
  if (box_length == 0) return reader.remaining();  // to the end of the file
  std::uint64_t length = box_length;
  std::uint64_t head = 8;
  if (box_length == 1) {  // XLBox
    length = reader.u64();
    head = 16;
  }
  if (length < head) {
    reader.refuse("a box length of " + std::to_string(length) + " is less than its own header");
  }
  return length - head;
}

}  // namespace

Located locate_codestream(Bytes data) {
  const bool bare = data.size() >= 2 && data[0] == 0xFF && data[1] == 0x4F;
  if (bare) return {data, 0};
  ByteReader reader(data);
  if (data.size() < kSignatureBox.size() ||
      !std::equal(kSignatureBox.begin(), kSignatureBox.end(), data.begin())) {
    reader.refuse("starts with neither SOC (FF4F) nor a JP2 signature box");
  }
  while (reader.holds(8)) {  // every box moves on by 8 bytes or more
    const std::uint32_t box_length = reader.u32();
    const std::uint32_t type = reader.u32();
    const std::uint64_t content = content_length(reader, box_length);
    // Writers get the length of the last box wrong; the tile-parts say where the end is.
    const auto available =
        static_cast<std::size_t>(std::min<std::uint64_t>(content, reader.remaining()));
    if (type == kContiguousCodestream) {
      const auto start = static_cast<std::size_t>(reader.offset());
      return {data.subspan(start, available), start};
    }
    reader.skip(available);
  }
  reader.refuse("no contiguous codestream box (jp2c) in this JP2 file");
}

}  // namespace mersey::codestream
