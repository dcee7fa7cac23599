#include "codestream/truncation.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <tuple>

#include "codestream/assembly.hpp"

namespace mersey::codestream {
namespace {

class Truncator {
 public:
  Truncator(const PacketIndex& index, const Target& target, std::uint64_t most_bytes)
      : index_(index), most_bytes_(most_bytes), most_layers_(1) {
    for (const TilePackets& packets : index.by_tile) {
      most_layers_ = std::max(most_layers_, packets.layers);
    }
    most_layers_ = std::min(most_layers_, target.layers);
    Target least = target;
    least.layers = 1;
    const std::vector<bool> none(index.rows.size(), false);
    least.kept = &none;
    least_bytes_ = Assembly(index, least).size();
    if (least_bytes_ > most_bytes) {
      throw Impossible("the smallest valid codestream has " + std::to_string(least_bytes_) +
                       " bytes, asked for are " + std::to_string(most_bytes));
    }
    sort_rows(target.progression);
  }

  Truncation find() {
    Truncation found = keep(most_layers_that_fit());
    // Layers of empty packets are not worth their bytes.
    const std::uint16_t used = layers_used(found);
    if (used < found.layers) {
      found = keep(std::min<std::uint16_t>(found.layers, static_cast<std::uint16_t>(used + 1)));
      found.layers = layers_used(found);
    }
    return found;
  }

 private:
  // Within a tile the order of the stream; across tiles what comes first in all of them. The
  // outer loops of the progression say what that is.
  void sort_rows(Progression progression) {
    const auto key = [&](std::uint32_t row) {
      const PacketRow& packet = index_.rows[row];
      switch (progression) {
        case Progression::LRCP: return std::tuple(packet.layer, std::uint16_t{packet.level});
        case Progression::RLCP: return std::tuple(std::uint16_t{packet.level}, packet.layer);
        case Progression::RPCL: return std::tuple(std::uint16_t{packet.level}, std::uint16_t{0});
        default: return std::tuple(std::uint16_t{0}, std::uint16_t{0});
      }
    };
    order_.resize(index_.rows.size());
    std::iota(order_.begin(), order_.end(), 0U);
    const bool changed = !index_.main.coding.changes.empty() ||
                         std::any_of(index_.tiles.headers.begin(), index_.tiles.headers.end(),
                                     [](const auto& own) {
                                       return !own.second.coding.changes.empty();
                                     });
    if (changed) return;  // POC: as the packets came, tile after tile
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
  }

  // Of a codestream of so many layers, all packets empty.
  std::uint64_t empty_bytes(std::uint16_t layers) const {
    std::uint64_t bytes = least_bytes_;
    for (const TilePackets& packets : index_.by_tile) {
      const std::uint64_t places = (packets.end - packets.begin) / packets.layers;
      bytes += places * (std::min(layers, packets.layers) - 1U);
    }
    return bytes;
  }

  std::uint16_t most_layers_that_fit() const {
    std::uint16_t low = 1;
    std::uint16_t high = most_layers_;
    while (low < high) {
      const auto middle = static_cast<std::uint16_t>((low + high + 1U) / 2);
      if (empty_bytes(middle) <= most_bytes_) {
        low = middle;
      } else {
        high = static_cast<std::uint16_t>(middle - 1U);
      }
    }
    return low;
  }

  Truncation keep(std::uint16_t layers) const {
    Truncation found{layers, std::vector<bool>(index_.rows.size(), false)};
    std::uint64_t left = most_bytes_ - empty_bytes(layers);
    for (const std::uint32_t row : order_) {
      const PacketRow& packet = index_.rows[row];
      if (packet.layer >= layers) continue;
      const std::uint64_t more = std::uint64_t{packet.header_length} + packet.body_length - 1;
      if (more > left) break;
      left -= more;
      found.kept[row] = true;
    }
    return found;
  }

  // Up to the last one with something in a packet.
  std::uint16_t layers_used(const Truncation& found) const {
    std::uint16_t used = 1;
    for (std::size_t row = 0; row < found.kept.size(); ++row) {
      const PacketRow& packet = index_.rows[row];
      if (!found.kept[row] || packet.body_length == 0) continue;
      used = std::max(used, static_cast<std::uint16_t>(packet.layer + 1U));
    }
    return used;
  }

  const PacketIndex& index_;
  std::uint64_t most_bytes_;
  std::uint16_t most_layers_;
  std::uint64_t least_bytes_ = 0;
  std::vector<std::uint32_t> order_;
};

}  // namespace

Truncation truncate_to(const PacketIndex& index, const Target& target,
                       std::uint64_t most_bytes) {
  return Truncator(index, target, most_bytes).find();
}

}  // namespace mersey::codestream
