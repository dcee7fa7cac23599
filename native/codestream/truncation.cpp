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
    count_places();
    sort_rows(target.progression);
  }

  // The longest run of packets that fits, with as many layers as it needs: both only grow.
  Truncation find() const {
    Truncation found{1, std::vector<bool>(index_.rows.size(), false)};
    std::uint64_t bytes = least_bytes_;
    for (const std::uint32_t row : order_) {
      const PacketRow& packet = index_.rows[row];
      if (packet.layer >= most_layers_) continue;
      const std::uint64_t more = std::uint64_t{packet.header_length} + packet.body_length - 1;
      std::uint64_t grown = bytes + more;
      std::uint16_t layers = found.layers;
      // Every precinct has a packet in each layer, if an empty one.
      while (more > 0 && layers <= packet.layer) grown += places_with_[++layers];
      if (grown > most_bytes_) break;
      bytes = grown;
      found.layers = layers;
      found.kept[row] = true;
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

  void count_places() {
    places_with_.assign(most_layers_ + std::size_t{1}, 0);
    for (const TilePackets& packets : index_.by_tile) {
      places_with_[std::min(packets.layers, most_layers_)] +=
          (packets.end - packets.begin) / packets.layers;
    }
    for (std::size_t layer = most_layers_; layer > 0; --layer) {
      places_with_[layer - 1] += places_with_[layer];
    }
  }

  const PacketIndex& index_;
  std::uint64_t most_bytes_;
  std::uint16_t most_layers_;
  std::uint64_t least_bytes_ = 0;
  std::vector<std::uint64_t> places_with_;  // precincts of tiles that have layer n, from 1
  std::vector<std::uint32_t> order_;
};

}  // namespace

Truncation truncate_to(const PacketIndex& index, const Target& target,
                       std::uint64_t most_bytes) {
  return Truncator(index, target, most_bytes).find();
}

}  // namespace mersey::codestream
