// The order in which the packets of a tile come (ISO/IEC 15444-1 B.12), POC included.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codestream/budget.hpp"
#include "codestream/geometry.hpp"

namespace mersey::codestream {

// One precinct of one resolution level of one component: a packet for every layer.
struct PrecinctPlace {
  std::uint64_t y, x;  // on the reference grid, where position-based orders meet it
  std::uint32_t precinct;
  std::uint16_t component;
  std::uint8_t level;
};

struct Turn {
  std::size_t place;  // index into places()
  std::uint16_t layer;
};

class PacketOrder {
 public:
  // The progression is that of POC where there is any, else that of COD.
  PacketOrder(const Tile& tile, const MainHeader& main, Budget& budget);

  // By component, then level, then precinct.
  [[nodiscard]] const std::vector<PrecinctPlace>& places() const noexcept { return places_; }
  [[nodiscard]] std::uint64_t packets() const noexcept { return places_.size() * layers_; }
  // Index of the first precinct of a level of a component, which must exist.
  [[nodiscard]] std::size_t first_place(std::size_t component, unsigned level) const {
    return first_[component][level];
  }

  // Whether no packet of a resolution level comes after one of a higher level.
  [[nodiscard]] bool resolution_major();
  [[nodiscard]] bool has_changes() const noexcept { return volumes_.size() > 1 || limited_; }

  // The next packet; nothing after the last. Throws Unsupported where the budget is spent.
  [[nodiscard]] std::optional<Turn> next();

 private:
  bool enter_volume();
  bool enter_group();
  [[nodiscard]] std::vector<std::uint32_t> sorted(const ProgressionVolume& volume);

  Budget& budget_;
  std::vector<PrecinctPlace> places_;
  std::vector<std::vector<std::size_t>> first_;  // by component, then level
  std::vector<ProgressionVolume> volumes_;
  bool limited_ = false;  // a POC, even of one entry
  std::uint64_t layers_;

  std::vector<std::uint16_t> next_layer_;  // by place: the first that has not come
  std::size_t volume_ = 0;                 // index of the one after the current
  std::vector<std::uint32_t> inside_;      // places of the current volume, sorted
  std::size_t group_begin_ = 0, group_end_ = 0;  // places that take turns, layer by layer
  std::size_t at_ = 0;
  std::uint32_t layer_ = 0, layer_end_ = 0;
};

}  // namespace mersey::codestream
