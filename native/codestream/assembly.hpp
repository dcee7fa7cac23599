// A rewritten codestream, planned: what it consists of is known to the byte before a byte is
// written. Packets are copied as they are, never decoded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codestream/packet_index.hpp"
#include "codestream/target.hpp"

namespace mersey::codestream {

class Assembly {
 public:
  // Borrows from `index`. Throws Impossible or Unsupported where the target cannot be had.
  Assembly(const PacketIndex& index, const Target& target);

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  // `out` is exactly size() long.
  void write(std::span<std::uint8_t> out) const;

 private:
  struct Part {
    std::uint32_t tile;
    std::uint8_t number;  // TPsot
    std::uint8_t count;   // TNsot
    std::vector<std::uint8_t> header;  // between SOT and SOD
    std::vector<Bytes> pieces;
    std::vector<std::uint64_t> packet_lengths;
    std::uint64_t body = 0;

    [[nodiscard]] std::uint64_t length() const noexcept;
    void add(Bytes bytes, bool joins);
  };

  [[nodiscard]] std::vector<Part> divide(const Tile& tile, PacketOrder& order,
                                         const TilePackets& packets, const Target& target) const;
  void add_packet(Part& part, const TilePackets& packets, std::size_t row,
                  const Target& target) const;
  void line_up(std::vector<std::vector<Part>>& by_tile);
  void append_tlm();

  const PacketIndex& index_;
  std::vector<std::uint8_t> main_header_;
  std::vector<Part> parts_;
  std::uint64_t size_ = 0;
};

}  // namespace mersey::codestream
