// The packets of one tile, one after the other, with where they lie. Their lengths come from
// PLT or PLM where these are right, else from their headers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "codestream/packet_header.hpp"

namespace mersey::codestream {

// Offsets count from SOC. SOP and EPH belong to neither header nor body.
struct Packet {
  PrecinctPlace place;
  std::size_t place_index;  // into PacketOrder::places()
  std::uint16_t layer;
  std::uint8_t part;  // index of the tile-part it lies in
  bool sop = false;
  bool eph = false;
  std::uint64_t offset = 0;         // of SOP, header or body, whichever is first in the body
  std::uint64_t length = 0;         // of all of it that lies there
  std::uint64_t header_offset = 0;  // in the packed headers of the tile where these are packed
  std::uint64_t header_length = 0;  // 0 where PLT gave the length: then body holds it all
  std::uint64_t body_offset = 0;
  std::uint64_t body_length = 0;

  [[nodiscard]] std::uint64_t end() const noexcept { return offset + length; }
};

class PacketReader {
 public:
  struct Source {
    Bytes bytes;                       // start at SOC and may end anywhere
    std::uint64_t origin = 0;          // where SOC lies in the caller's data, for messages
    std::optional<Bytes> headers = {};  // packed, where they are
    bool trust_lists = true;           // whether PLT and PLM may stand for a walk
  };

  // `parts` are those of the tile, in order.
  PacketReader(const Tile& tile, std::vector<const TilePart*> parts, PacketOrder& order,
               const Source& source, Budget& budget);

  // The next packet whose bytes are all at hand; nothing where the data end, or after the
  // last packet of the tile. Throws BadPackets where the bytes contradict the headers,
  // Unsupported for what is not known here.
  [[nodiscard]] std::optional<Packet> next();

  // Whether the last packet of the tile has been read and nothing follows it.
  [[nodiscard]] bool finished() const noexcept { return finished_; }

  // Where the next byte would be, from SOC.
  [[nodiscard]] std::uint64_t at() const noexcept { return at_; }

 private:
  [[nodiscard]] bool packet_lengths_are_right() const;
  [[nodiscard]] bool enter_part();
  [[nodiscard]] bool more_packed_headers() const noexcept;
  void measure(Packet& packet, Bytes rest);
  PrecinctState& state_of(const Packet& packet);

  const Tile& tile_;
  std::vector<const TilePart*> parts_;
  PacketOrder& order_;
  Source source_;
  Budget& budget_;
  bool listed_ = false;      // by PLT or PLM
  std::size_t part_ = 0;     // index into parts_
  std::size_t listing_ = 0;  // index into its PLT
  std::uint64_t at_ = 0;     // 0 before a part is entered
  std::uint64_t packed_at_ = 0;
  bool finished_ = false;
  PrecinctState scratch_;    // one layer: nothing to remember
  std::vector<std::unique_ptr<PrecinctState>> states_;
};

}  // namespace mersey::codestream
