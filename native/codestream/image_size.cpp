#include "codestream/image_size.hpp"

#include <string>

namespace mersey::codestream {
namespace {

constexpr std::uint64_t kMostTiles = 65535;  // Isot is 16 bits; A.5.1
constexpr std::size_t kMostComponents = 16384;

std::string text(std::uint64_t value) { return std::to_string(value); }

void check_areas(const ByteReader& segment, const ImageSize& size, std::uint64_t place) {
  if (size.xsiz <= size.xosiz || size.ysiz <= size.yosiz) {
    segment.refuse_at("the image area is empty: size " + text(size.xsiz) + " x " +
                          text(size.ysiz) + ", offset " + text(size.xosiz) + ", " +
                          text(size.yosiz),
                      place);
  }
  if (size.xtsiz == 0 || size.ytsiz == 0 || size.xtosiz > size.xosiz ||
      size.ytosiz > size.yosiz || size.xtosiz + size.xtsiz <= size.xosiz ||
      size.ytosiz + size.ytsiz <= size.yosiz) {
    segment.refuse_at("the first tile (" + text(size.xtsiz) + " x " + text(size.ytsiz) + " at " +
                          text(size.xtosiz) + ", " + text(size.ytosiz) +
                          ") does not meet the image area",
                      place);
  }
  if (size.tiles_across() > kMostTiles || size.tiles_down() > kMostTiles ||
      size.tiles() > kMostTiles) {
    segment.refuse_at(text(size.tiles_across()) + " x " + text(size.tiles_down()) +
                          " tiles, expected 65535 at most",
                      place);
  }
}

}  // namespace

ImageSize read_siz(ByteReader segment) {
  const std::uint64_t place = segment.offset();
  const std::size_t room = segment.remaining();
  ImageSize size;
  segment.skip(2);  // Rsiz
  size.xsiz = segment.u32();
  size.ysiz = segment.u32();
  size.xosiz = segment.u32();
  size.yosiz = segment.u32();
  size.xtsiz = segment.u32();
  size.ytsiz = segment.u32();
  size.xtosiz = segment.u32();
  size.ytosiz = segment.u32();
  const std::size_t count = segment.u16();
  if (count == 0 || count > kMostComponents) {
    segment.refuse_at("Csiz is " + text(count) + ", expected 1–16384", place);
  }
  if (room != 36 + 3 * count) {
    segment.refuse_at("Lsiz is " + text(room + 2) + ", expected " + text(38 + 3 * count) +
                          " for " + text(count) + " components",
                      place);
  }
  check_areas(segment, size, place);
  size.components.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t ssiz = segment.u8();
    const std::uint8_t xr = segment.u8();
    const std::uint8_t yr = segment.u8();
    const auto precision = static_cast<std::uint8_t>((ssiz & 0x7F) + 1);
    if (precision > 38 || xr == 0 || yr == 0) {
      segment.refuse("component " + text(i) + " has " + text(precision) +
                     " bits and a sub-sampling of " + text(xr) + " x " + text(yr) +
                     ", expected 1–38 bits and 1–255");
    }
    size.components.push_back({precision, (ssiz & 0x80) != 0, xr, yr});
  }
  return size;
}

}  // namespace mersey::codestream
