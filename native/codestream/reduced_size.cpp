#include "codestream/reduced_size.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace mersey::codestream {
namespace {

struct Axis {
  std::uint64_t size, offset, tile, tile_offset;

  [[nodiscard]] std::uint64_t tiles() const noexcept {
    return (size - tile_offset + tile - 1) / tile;
  }
};

std::uint64_t halve_up(std::uint64_t value, unsigned times) {
  return (value + (std::uint64_t{1} << times) - 1) >> times;
}

// Nothing where a tile would vanish or its edge fall between two samples.
std::optional<Axis> divided(const Axis& axis, unsigned reduce) {
  const std::uint64_t start = halve_up(axis.tile_offset, reduce);
  Axis small{halve_up(axis.size, reduce), halve_up(axis.offset, reduce), 0, start};
  if (axis.tiles() == 1) {
    small.tile = halve_up(axis.tile_offset + axis.tile, reduce) - start;
    return small;
  }
  if (axis.tile % (std::uint64_t{1} << reduce) != 0) return std::nullopt;
  small.tile = axis.tile >> reduce;
  if (start + small.tile <= small.offset || small.tiles() != axis.tiles()) return std::nullopt;
  return small;
}

}  // namespace

ImageSize reduce_size(const ImageSize& size, unsigned reduce) {
  const Axis across{size.xsiz, size.xosiz, size.xtsiz, size.xtosiz};
  const Axis down{size.ysiz, size.yosiz, size.ytsiz, size.ytosiz};
  const std::string by = std::to_string(reduce);
  if (halve_up(across.size, reduce) == halve_up(across.offset, reduce) ||
      halve_up(down.size, reduce) == halve_up(down.offset, reduce)) {
    throw Impossible("reduce is " + by + ", which leaves no sample of the image");
  }
  ImageSize small = size;
  const std::optional<Axis> x = divided(across, reduce);
  const std::optional<Axis> y = divided(down, reduce);
  if (x && y) {
    small.xsiz = x->size, small.xosiz = x->offset;
    small.xtsiz = x->tile, small.xtosiz = x->tile_offset;
    small.ysiz = y->size, small.yosiz = y->offset;
    small.ytsiz = y->tile, small.ytosiz = y->tile_offset;
    return small;
  }
  for (Component& component : small.components) {
    const std::uint64_t xr = std::uint64_t{component.xr} << reduce;
    const std::uint64_t yr = std::uint64_t{component.yr} << reduce;
    if (xr > 255 || yr > 255) {
      throw Unsupported("tiles whose edges a reduction by " + by + " does not divide");
    }
    component.xr = static_cast<std::uint8_t>(xr);
    component.yr = static_cast<std::uint8_t>(yr);
  }
  return small;
}

}  // namespace mersey::codestream
