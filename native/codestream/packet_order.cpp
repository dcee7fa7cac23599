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
    : budget_(budget), layers_(tile.style->layers) {
  first_.resize(tile.components.size());
  for (std::size_t i = 0; i < tile.components.size(); ++i) {
    const TileComponent& component = tile.components[i];
    first_[i].reserve(component.levels.size());
    for (unsigned level = 0; level < component.levels.size(); ++level) {
      Budget::spend(budget.precincts, component.levels[level].precincts());
      first_[i].push_back(places_.size());
      add_places(component, main.size.components[i], tile.area, static_cast<std::uint16_t>(i),
                 level, places_);
    }
  }
  next_layer_.assign(places_.size(), 0);
  limited_ = !tile.changes->empty();
  if (limited_) {
    volumes_ = *tile.changes;
  } else {
    volumes_ = {{.progression = tile.style->progression, .layer_end = tile.style->layers}};
  }
}

std::vector<std::uint32_t> PacketOrder::sorted(const ProgressionVolume& volume) {
  std::vector<std::uint32_t> inside;
  inside.reserve(places_.size());
  if (limited_) Budget::spend(budget_.visits, places_.size());
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    const PrecinctPlace& place = places_[i];
    if (place.level >= volume.level_begin && place.level < volume.level_end &&
        place.component >= volume.component_begin && place.component < volume.component_end) {
      inside.push_back(i);
    }
  }
  const auto by = [&](auto key) {
    std::sort(inside.begin(), inside.end(), [&](std::uint32_t a, std::uint32_t b) {
      return key(places_[a]) < key(places_[b]);
    });
  };
  switch (volume.progression) {
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
  return inside;
}

bool PacketOrder::resolution_major() {
  unsigned reached = 0;
  for (const ProgressionVolume& volume : volumes_) {
    const std::vector<std::uint32_t> inside = sorted(volume);
    if (inside.empty()) continue;
    const unsigned first = places_[inside.front()].level;
    for (const std::uint32_t index : inside) {
      if (places_[index].level < reached) return false;
      reached = places_[index].level;
    }
    const bool by_layer = volume.progression == Progression::LRCP;
    if (by_layer && std::min<std::uint64_t>(layers_, volume.layer_end) > 1 && first != reached) {
      return false;
    }
  }
  return true;
}

bool PacketOrder::enter_volume() {
  if (volume_ == volumes_.size()) return false;
  inside_ = sorted(volumes_[volume_++]);
  group_end_ = 0;
  return true;
}

// LRCP: all places take turns; RLCP: those of a level; else each goes through its layers alone.
bool PacketOrder::enter_group() {
  if (group_end_ == inside_.size()) return false;
  const ProgressionVolume& volume = volumes_[volume_ - 1];
  group_begin_ = group_end_;
  const auto level = [this](std::size_t i) { return places_[inside_[i]].level; };
  switch (volume.progression) {
    case Progression::LRCP: group_end_ = inside_.size(); break;
    case Progression::RLCP:
      while (group_end_ < inside_.size() && level(group_end_) == level(group_begin_)) ++group_end_;
      break;
    default: ++group_end_;
  }
  at_ = group_begin_;
  layer_end_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(layers_, volume.layer_end));
  layer_ = group_end_ - group_begin_ == 1 ? next_layer_[inside_[group_begin_]] : 0;
  return true;
}

std::optional<Turn> PacketOrder::next() {
  for (;;) {
    while (layer_ < layer_end_) {
      const std::uint32_t place = inside_[at_];
      const auto layer = static_cast<std::uint16_t>(layer_);
      const bool due = next_layer_[place] == layer;
      if (++at_ == group_end_) {
        at_ = group_begin_;
        ++layer_;
      }
      if (due) {
        ++next_layer_[place];
        return Turn{place, layer};
      }
      Budget::spend(budget_.visits, 1);
    }
    layer_ = layer_end_ = 0;
    while (!enter_group()) {
      if (!enter_volume()) return std::nullopt;
    }
  }
}

}  // namespace mersey::codestream
