#include "codestream/packed_headers.hpp"

#include <algorithm>

namespace mersey::codestream {

PackedHeaders::PackedHeaders(const MainHeader& main, const TileParts& tiles)
    : header_(main), tiles_(tiles) {

  for (const auto& [index, piece] : main.ppm) main_.insert(main_.end(), piece.begin(), piece.end());
  ByteReader reader(main_);
  while (reader.holds(4)) {  // Nppm, then so many bytes; both may straddle segments
    const std::uint32_t length = reader.u32();
    if (!reader.holds(length)) throw BadPackets("PPM ends inside the headers of a tile-part");
    runs_.push_back({reader.offset(), reader.offset() + length});
    reader.skip(length);
  }
  if (reader.remaining() != 0) throw BadPackets("PPM ends inside Nppm");
}

bool PackedHeaders::has(std::uint32_t tile) const noexcept {
  if (header_.has_packed_headers()) return true;
  const auto own = tiles_.headers.find(tile);
  return own != tiles_.headers.end() && own->second.has_packed_headers();
}

std::vector<std::uint8_t> PackedHeaders::of(std::uint32_t tile) const {
  std::vector<std::uint8_t> all;
  if (!header_.has_packed_headers()) {
    for (const Bytes piece : tiles_.headers.at(tile).ppt) {
      all.insert(all.end(), piece.begin(), piece.end());
    }
    return all;
  }
  const std::size_t count = std::min(runs_.size(), tiles_.parts.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (tiles_.parts[i].tile != tile) continue;
    all.insert(all.end(), main_.begin() + static_cast<std::ptrdiff_t>(runs_[i].begin),
               main_.begin() + static_cast<std::ptrdiff_t>(runs_[i].end));
  }
  return all;
}

}  // namespace mersey::codestream
