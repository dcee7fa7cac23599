#include "codestream/assembly.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "codestream/byte_writer.hpp"
#include "codestream/header_edit.hpp"
#include "codestream/reduced_size.hpp"

namespace mersey::codestream {
namespace {

constexpr std::uint64_t kSotAndSod = 14;
constexpr std::uint64_t kLongestPart = 0xFFFFFFFF;  // Psot
constexpr std::size_t kLongestPayload = 65533;      // of a segment, behind its length
constexpr std::size_t kMostSegments = 256;          // Ztlm, Zplt
constexpr std::array<std::uint8_t, 1> kEmptyPacket = {0};

// PLT: Zplt, then 7 bits a byte; a number does not straddle segments.
void append_plt(const std::vector<std::uint64_t>& lengths, std::vector<std::uint8_t>& header) {
  ByteWriter out;
  std::vector<std::uint8_t> payload;
  std::size_t segments = 0;
  const auto flush = [&] {
    if (segments == kMostSegments) throw Unsupported("PLT of more than 256 segments");
    payload.insert(payload.begin(), static_cast<std::uint8_t>(segments++));
    out.segment(marker::PLT, payload);
    payload.clear();
  };
  for (const std::uint64_t length : lengths) {
    std::array<std::uint8_t, 10> digits{};
    std::size_t count = 0;
    for (std::uint64_t rest = length; count == 0 || rest != 0; rest >>= 7) {
      digits[count] = static_cast<std::uint8_t>((rest & 0x7F) | (count == 0 ? 0U : 0x80U));
      ++count;
    }
    if (payload.size() + count + 1 > kLongestPayload) flush();
    while (count > 0) payload.push_back(digits[--count]);
  }
  if (!payload.empty()) flush();
  header.insert(header.end(), out.bytes().begin(), out.bytes().end());
}

bool by_resolution(const Tile& tile, Progression order) {
  return order == Progression::RPCL || order == Progression::RLCP ||
         (order == Progression::LRCP && tile.style->layers == 1);
}

}  // namespace

std::uint64_t Assembly::Part::length() const noexcept {
  return kSotAndSod + header.size() + body;
}

// Packets that lie side by side and stay so are one piece.
void Assembly::Part::add(Bytes bytes, bool joins) {
  if (bytes.empty()) return;
  body += bytes.size();
  if (joins && !pieces.empty() && pieces.back().data() + pieces.back().size() == bytes.data()) {
    pieces.back() = {pieces.back().data(), pieces.back().size() + bytes.size()};
  } else {
    pieces.push_back(bytes);
  }
}

Assembly::Assembly(const PacketIndex& index, const Target& target) : index_(index) {
  const std::size_t components = index.main.size.components.size();
  MainHeader main;  // of the result, as far as its geometry needs it
  main.size = target.reduce == 0 ? index.main.size : reduce_size(index.main.size, target.reduce);
  main.coding = edit_coding(index.main.coding, target, components);
  Budget budget = Budget::for_bytes(index.bytes.size());
  std::vector<std::vector<std::uint8_t>> headers = edit_tile_headers(index, target);
  std::vector<std::vector<Part>> by_tile;
  by_tile.reserve(index.by_tile.size());
  for (const TilePackets& packets : index.by_tile) {
    TileHeader own;
    const auto found = index.tiles.headers.find(packets.tile);
    const bool has_own = found != index.tiles.headers.end();
    if (has_own) own.coding = edit_coding(found->second.coding, target, components);
    const Tile tile = divide_tile(main, has_own ? &own : nullptr, packets.tile, budget);
    PacketOrder order(tile, main, budget);
    std::vector<Part> parts = divide(tile, order, packets, target);
    parts.front().header = std::move(headers[packets.tile]);
    for (Part& part : parts) {
      if (target.packet_lengths) append_plt(part.packet_lengths, part.header);
      if (part.length() > kLongestPart) throw Unsupported("a tile-part of 4 GiB or more");
    }
    by_tile.push_back(std::move(parts));
  }
  line_up(by_tile);
  main_header_ = edit_main_header(index, main.size, target);
  append_tlm();
  size_ = main_header_.size() + 2;  // EOC
  for (const Part& part : parts_) size_ += part.length();
}

std::vector<Assembly::Part> Assembly::divide(const Tile& tile, PacketOrder& order,
                                             const TilePackets& packets,
                                             const Target& target) const {
  const bool split = target.part_per_resolution && by_resolution(tile, target.progression);
  const std::size_t count = split ? tile.most_decompositions + std::size_t{1} : 1;
  std::vector<Part> parts(count);
  for (std::size_t i = 0; i < count; ++i) {
    parts[i].tile = packets.tile;
    parts[i].number = static_cast<std::uint8_t>(i);
    parts[i].count = static_cast<std::uint8_t>(count);
  }
  while (const std::optional<Turn> turn = order.next()) {
    const PrecinctPlace& place = order.places()[turn->place];
    const std::size_t row = packets.begin + packets.at(place, turn->layer);
    add_packet(parts[split ? place.level : 0], packets, row, target);
  }
  return parts;
}

void Assembly::add_packet(Part& part, const TilePackets& packets, std::size_t row,
                          const Target& target) const {
  const std::uint64_t before = part.body;
  if (target.kept != nullptr && !(*target.kept)[row]) {
    part.add(kEmptyPacket, false);
  } else {
    const PacketRow& packet = index_.rows[row];
    const bool packed = (packet.flags & PacketRow::kPacked) != 0;
    const Bytes source = packed ? Bytes(packets.headers) : index_.bytes;
    part.add(source.subspan(static_cast<std::size_t>(packet.header_offset), packet.header_length),
             !packed);
    part.add(index_.bytes.subspan(static_cast<std::size_t>(packet.body_offset),
                                  packet.body_length),
             !packed);
  }
  if (target.packet_lengths) part.packet_lengths.push_back(part.body - before);
}

// Tile-parts of the same reduction stand together, the smallest images first, so that a prefix
// of the codestream is a whole smaller image.
void Assembly::line_up(std::vector<std::vector<Part>>& by_tile) {
  std::size_t most = 0;
  for (const auto& parts : by_tile) most = std::max(most, parts.size());
  for (std::size_t left = most; left > 0; --left) {
    for (auto& parts : by_tile) {
      if (parts.size() >= left) parts_.push_back(std::move(parts[parts.size() - left]));
    }
  }
}

// Stlm 0x60: tile indices of 2 bytes, lengths of 4.
void Assembly::append_tlm() {
  constexpr std::size_t kEntry = 6;
  constexpr std::size_t kMost = (kLongestPayload - 2) / kEntry;
  ByteWriter out;
  for (std::size_t begin = 0, index = 0; begin < parts_.size(); begin += kMost, ++index) {
    if (index == kMostSegments) throw Unsupported("TLM of more than 256 segments");
    const std::size_t end = std::min(parts_.size(), begin + kMost);
    ByteWriter tlm;
    tlm.u8(index);
    tlm.u8(0x60);
    for (std::size_t i = begin; i < end; ++i) {
      tlm.u16(parts_[i].tile);
      tlm.u32(parts_[i].length());
    }
    out.segment(marker::TLM, tlm.bytes());
  }
  main_header_.insert(main_header_.end(), out.bytes().begin(), out.bytes().end());
}

void Assembly::write(std::span<std::uint8_t> out) const {
  const auto put = [&out](Bytes bytes) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
    out = out.subspan(bytes.size());
  };
  put(main_header_);
  for (const Part& part : parts_) {
    ByteWriter head;
    head.u16(marker::SOT);
    head.u16(10);
    head.u16(part.tile);
    head.u32(part.length());
    head.u8(part.number);
    head.u8(part.count);
    head.append(part.header);
    head.u16(marker::SOD);
    put(head.bytes());
    for (const Bytes piece : part.pieces) put(piece);
  }
  ByteWriter end;
  end.u16(marker::EOC);
  put(end.bytes());
}

}  // namespace mersey::codestream
