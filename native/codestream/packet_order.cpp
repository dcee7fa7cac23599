#include "codestream/packet_order.hpp"

#include <algorithm>
#include <tuple>

namespace mersey::codestream {
namespace {

void add_places(const TileComponent& component, const Component& sampled, const Rect& tile,
                std::uint16_t index, unsigned level, std::vector<PrecinctPlace>& places) {
  const Resolution& resolution = component.levels[level];
  const unsigned halvings = component.blocks->decompositions - level;
  const std::uint64_t first_column = resolution.area.x0 >> resolution.ppx;
  const std::uint64_t first_row = resolution.area.y0 >> resolution.ppy;
  std::uint32_t precinct = 0;
  for (std::uint64_t row = 0; row < resolution.down; ++row) {
    // A precinct that starts before the tile is met at the tile's edge.
    const std::uint64_t y = ((first_row + row) << (resolution.ppy + halvings)) * sampled.yr;
    for (std::uint64_t column = 0; column < resolution.across; ++column) {
      const std::uint64_t x =
          ((first_column + column) << (resolution.ppx + halvings)) * sampled.xr;
      places.push_back({std::max(y, tile.y0), std::max(x, tile.x0), precinct, index,
                        static_cast<std::uint8_t>(level)});
      ++precinct;
    }
  }
}

}  // namespace

PacketOrder::PacketOrder(const Tile& tile, const MainHeader& main, Budget& budget)
    : progression_(tile.style->progression), layers_(tile.style->layers) {
  for (std::size_t i = 0; i < tile.components.size(); ++i) {
    const TileComponent& component = tile.components[i];
    for (unsigned level = 0; level < component.levels.size(); ++level) {
      Budget::spend(budget.precincts, component.levels[level].precincts());
      add_places(component, main.size.components[i], tile.area, static_cast<std::uint16_t>(i),
                 level, places_);
    }
  }
  sort_places();
}

void PacketOrder::sort_places() {
  const auto by = [this](auto key) {
    std::sort(places_.begin(), places_.end(),
              [key](const PrecinctPlace& a, const PrecinctPlace& b) { return key(a) < key(b); });
  };
  switch (progression_) {
    case Progression::LRCP:
    case Progression::RLCP:
      by([](const PrecinctPlace& p) { return std::tuple(p.level, p.component, p.precinct); });
      break;
    case Progression::RPCL:
      by([](const PrecinctPlace& p) {
        return std::tuple(p.level, p.y, p.x, p.component, p.precinct);
      });
      break;
    case Progression::PCRL:
      by([](const PrecinctPlace& p) {
        return std::tuple(p.y, p.x, p.component, p.level, p.precinct);
      });
      break;
    case Progression::CPRL:
      by([](const PrecinctPlace& p) {
        return std::tuple(p.component, p.y, p.x, p.level, p.precinct);
      });
      break;
  }
}

bool PacketOrder::resolution_major() const noexcept {
  const auto lower = [](const PrecinctPlace& a, const PrecinctPlace& b) {
    return a.level < b.level;
  };
  if (progression_ == Progression::LRCP && layers_ > 1) {
    return places_.empty() || places_.front().level == places_.back().level;
  }
  return std::is_sorted(places_.begin(), places_.end(), lower);
}

std::optional<Turn> PacketOrder::next() noexcept {
  if (taken_ == packets()) return std::nullopt;
  const std::uint64_t turn = taken_++;
  if (progression_ == Progression::LRCP) {
    return Turn{turn % places_.size(), static_cast<std::uint16_t>(turn / places_.size())};
  }
  if (progression_ != Progression::RLCP) {
    return Turn{turn / layers_, static_cast<std::uint16_t>(turn % layers_)};
  }
  if (group_taken_ == (group_end_ - group_begin_) * layers_) {
    group_begin_ = group_end_;
    while (group_end_ < places_.size() && places_[group_end_].level == places_[group_begin_].level) {
      ++group_end_;
    }
    group_taken_ = 0;
  }
  const std::size_t width = group_end_ - group_begin_;
  const std::uint64_t inside = group_taken_++;
  return Turn{group_begin_ + inside % width, static_cast<std::uint16_t>(inside / width)};
}

}  // namespace mersey::codestream
