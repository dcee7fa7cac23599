// Every packet of a whole codestream, by place: what rewriting works on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "codestream/packet_order.hpp"

namespace mersey::codestream {

// One packet. Laid out for numpy: little-endian machines, no holes. Offsets count from SOC but
// for those of packed headers, which count in TilePackets::headers.
struct PacketRow {
  static constexpr std::uint8_t kSop = 1, kEph = 2, kPacked = 4;

  std::uint64_t header_offset = 0;
  std::uint64_t body_offset = 0;
  std::uint32_t header_length = 0;  // without SOP and EPH
  std::uint32_t body_length = 0;
  std::uint32_t tile = 0;
  std::uint32_t precinct = 0;
  std::uint16_t component = 0;
  std::uint16_t layer = 0;
  std::uint8_t level = 0;
  std::uint8_t flags = 0;
  std::uint16_t part = 0;  // TPsot
};
static_assert(sizeof(PacketRow) == 40);

struct TilePackets {
  std::uint32_t tile = 0;
  std::uint16_t layers = 1;
  std::size_t begin = 0, end = 0;           // in PacketIndex::rows, in the order of the stream
  std::vector<std::vector<std::size_t>> first;  // place of precinct 0, by component and level
  std::vector<std::uint32_t> by_place;      // place * layers + layer: counts from `begin`
  std::vector<std::uint8_t> headers;        // packed ones

  // The row, counted from `begin`.
  [[nodiscard]] std::size_t at(const PrecinctPlace& place, std::uint16_t layer) const {
    const std::size_t precinct = first.at(place.component).at(place.level) + place.precinct;
    return by_place.at(precinct * layers + layer);
  }
};

struct PacketIndex {
  std::uint64_t wrapper = 0;  // bytes before SOC
  Bytes bytes;                // from SOC on
  MainHeader main;
  TileParts tiles;
  std::vector<PacketRow> rows;
  std::vector<TilePackets> by_tile;  // every tile, in order
};

// Reads all of it and walks every packet header. Throws CodestreamError where a packet is absent
// or does not fit, Unsupported for what is valid but not known here.
[[nodiscard]] PacketIndex index_packets(Bytes data);

}  // namespace mersey::codestream
