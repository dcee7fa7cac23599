// The order in which the packets of a tile come (ISO/IEC 15444-1 B.12).
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
  PacketOrder(const Tile& tile, const MainHeader& main, Budget& budget);

  [[nodiscard]] const std::vector<PrecinctPlace>& places() const noexcept { return places_; }
  [[nodiscard]] std::uint64_t packets() const noexcept { return places_.size() * layers_; }

  // Whether no packet of a resolution level comes after one of a higher level.
  [[nodiscard]] bool resolution_major() const noexcept;

  // The next packet; nothing after the last.
  [[nodiscard]] std::optional<Turn> next() noexcept;

 private:
  void sort_places();

  std::vector<PrecinctPlace> places_;
  Progression progression_;
  std::uint64_t layers_;
  std::uint64_t taken_ = 0;
  std::size_t group_begin_ = 0;  // RLCP: the places of one level
  std::size_t group_end_ = 0;
  std::uint64_t group_taken_ = 0;
};

}  // namespace mersey::codestream
