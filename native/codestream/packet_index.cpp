#include "codestream/packet_index.hpp"

#include <limits>
#include <string>
#include <utility>

#include "codestream/boxes.hpp"
#include "codestream/packed_headers.hpp"
#include "codestream/packets.hpp"

namespace mersey::codestream {
namespace {

constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();

std::string text(std::uint64_t value) { return std::to_string(value); }

class Indexer {
 public:
  explicit Indexer(PacketIndex& index)
      : index_(index),
        budget_(Budget::for_bytes(index.bytes.size())),
        packed_(index.main, index.tiles) {}

  void add_all() {
    std::vector<std::vector<const TilePart*>> parts(index_.main.size.tiles());
    for (const TilePart& part : index_.tiles.parts) parts[part.tile].push_back(&part);
    index_.by_tile.resize(parts.size());
    for (std::uint32_t tile = 0; tile < parts.size(); ++tile) {
      if (parts[tile].empty()) {
        throw BadPackets("tile " + text(tile) + " of " + text(parts.size()) + " has no tile-part",
                         index_.tiles.length);
      }
      add(tile, parts[tile]);
    }
  }

 private:
  void add(std::uint32_t number, const std::vector<const TilePart*>& parts) {
    const auto own = index_.tiles.headers.find(number);
    const TileHeader* header = own == index_.tiles.headers.end() ? nullptr : &own->second;
    const Tile tile = divide_tile(index_.main, header, number, budget_);
    PacketOrder order(tile, index_.main, budget_);
    TilePackets& packets = index_.by_tile[number];
    packets.tile = number;
    packets.layers = tile.style->layers;
    packets.begin = index_.rows.size();
    PacketReader::Source source{
        .bytes = index_.bytes, .origin = index_.wrapper, .trust_lists = false};
    if (packed_.has(number)) {
      packets.headers = packed_.of(number);
      source.headers = packets.headers;
    }
    // A packet takes a byte at least, somewhere.
    if (order.packets() > index_.bytes.size()) {
      throw BadPackets("tile " + text(number) + " should have " + text(order.packets()) +
                           " packets, more than there are bytes",
                       parts.front()->offset);
    }
    packets.by_place.assign(static_cast<std::size_t>(order.packets()), kAbsent);
    PacketReader reader(tile, parts, order, source, budget_);
    while (const std::optional<Packet> packet = reader.next()) {
      packets.by_place[packet->place_index * packets.layers + packet->layer] =
          static_cast<std::uint32_t>(index_.rows.size() - packets.begin);
      index_.rows.push_back(row_of(*packet, number, source.headers.has_value()));
    }
    packets.end = index_.rows.size();
    if (packets.end - packets.begin != order.packets()) {
      const TilePart& last = *parts.back();
      throw BadPackets("tile " + text(number) + " has " + text(packets.end - packets.begin) +
                           " of its " + text(order.packets()) + " packets",
                       last.offset + last.length);
    }
    note_first_places(order, tile, packets);
  }

  static PacketRow row_of(const Packet& packet, std::uint32_t tile, bool packed) {
    if (packet.body_length > kAbsent) {
      throw BadPackets("a packet of " + text(packet.body_length) + " bytes", packet.offset);
    }
    const unsigned flags = (packet.sop ? PacketRow::kSop : 0U) |
                           (packet.eph ? PacketRow::kEph : 0U) |
                           (packed ? PacketRow::kPacked : 0U);
    return {.header_offset = packet.header_offset,
            .body_offset = packet.body_offset,
            .header_length = static_cast<std::uint32_t>(packet.header_length),
            .body_length = static_cast<std::uint32_t>(packet.body_length),
            .tile = tile,
            .precinct = packet.place.precinct,
            .component = packet.place.component,
            .layer = packet.layer,
            .level = packet.place.level,
            .flags = static_cast<std::uint8_t>(flags),
            .part = packet.part};
  }

  static void note_first_places(const PacketOrder& order, const Tile& tile,
                                TilePackets& packets) {
    packets.first.resize(tile.components.size());
    for (std::size_t i = 0; i < tile.components.size(); ++i) {
      for (unsigned level = 0; level < tile.components[i].levels.size(); ++level) {
        packets.first[i].push_back(order.first_place(i, level));
      }
    }
  }

  PacketIndex& index_;
  Budget budget_;
  PackedHeaders packed_;
};

}  // namespace

PacketIndex index_packets(Bytes data) {
  const Located located = locate_codestream(data);
  PacketIndex index;
  index.wrapper = located.offset;
  index.bytes = located.bytes;
  ByteReader reader(located.bytes, located.offset);
  index.main = read_main_header(reader);
  index.tiles = read_tile_parts(reader, index.main, located.offset, true);
  if (!index.main.dfs.empty()) throw Unsupported("Part 2 decomposition styles (DFS)");
  try {
    Indexer(index).add_all();
  } catch (const BadPackets& reason) {
    const std::uint64_t place = located.offset + reason.offset();
    throw CodestreamError("packets at byte " + text(place) + ": " + reason.what(), marker::SOD,
                          place);
  }
  return index;
}

}  // namespace mersey::codestream
