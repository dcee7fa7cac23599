// The packets of one tile, one after the other, with where they lie. Their lengths come from
// PLT where it is right, else from their headers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "codestream/packet_header.hpp"

namespace mersey::codestream {

// Offsets count from SOC. The header holds SOP and EPH where there are any; of packets known
// from PLT only `length` is known.
struct Packet {
  PrecinctPlace place;
  std::uint16_t layer;
  std::uint8_t part;  // index of the tile-part it lies in
  std::uint64_t offset;
  std::uint64_t length;

  [[nodiscard]] std::uint64_t end() const noexcept { return offset + length; }
};

class PacketReader {
 public:
  // `parts` are those of the tile, in order; `bytes` start at SOC and may end anywhere.
  PacketReader(const Tile& tile, std::vector<const TilePart*> parts, PacketOrder& order,
               Bytes bytes, Budget& budget);

  // The next packet whose bytes are all at hand; nothing where the data end, or after the
  // last packet of the tile. Throws Unsupported where the bytes contradict the headers.
  [[nodiscard]] std::optional<Packet> next();

  // Whether the last packet of the tile has been read and nothing follows it.
  [[nodiscard]] bool finished() const noexcept { return finished_; }

 private:
  [[nodiscard]] bool packet_lengths_are_right() const;
  [[nodiscard]] bool enter_part();
  [[nodiscard]] std::uint64_t measure(const Turn& turn, Bytes rest);
  PrecinctState& state_of(const Turn& turn);

  const Tile& tile_;
  std::vector<const TilePart*> parts_;
  PacketOrder& order_;
  Bytes bytes_;
  Budget& budget_;
  bool listed_ = false;     // by PLT
  std::size_t part_ = 0;    // index into parts_
  std::size_t listing_ = 0;  // index into its PLT
  std::uint64_t at_ = 0;    // 0 before a part is entered
  bool finished_ = false;
  PrecinctState scratch_;   // one layer: nothing to remember
  std::vector<std::unique_ptr<PrecinctState>> states_;
};

}  // namespace mersey::codestream
