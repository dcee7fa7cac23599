#include "codestream/packets.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace mersey::codestream {
namespace {

constexpr std::size_t kSopLength = 6;
constexpr std::size_t kEphLength = 2;

bool starts_with(Bytes bytes, std::uint16_t code) {
  return bytes.size() >= 2 && bytes[0] == (code >> 8) && bytes[1] == (code & 0xFF);
}

}  // namespace

PacketReader::PacketReader(const Tile& tile, std::vector<const TilePart*> parts,
                           PacketOrder& order, const Source& source, Budget& budget)
    : tile_(tile), parts_(std::move(parts)), order_(order), source_(source), budget_(budget) {
  listed_ = source_.trust_lists && !source_.headers && packet_lengths_are_right();
  if (!listed_ && tile_.style->layers > 1) states_.resize(order_.places().size());
}

// A list is believed where every tile-part of the tile is here and has one, the lengths fill
// the bodies, and there are as many as packets.
bool PacketReader::packet_lengths_are_right() const {
  std::uint64_t count = 0;
  for (const TilePart* part : parts_) {
    if (!part->has_packet_lengths || part->body_offset == 0 || part->length == 0) return false;
    const std::uint64_t body = part->offset + part->length - part->body_offset;
    const auto& lengths = part->packet_lengths;
    if (std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}) != body) return false;
    if (std::find(lengths.begin(), lengths.end(), 0U) != lengths.end()) return false;
    count += lengths.size();
  }
  return count == order_.packets();
}

bool PacketReader::more_packed_headers() const noexcept {
  return source_.headers && packed_at_ < source_.headers->size();
}

// Moves on to the tile-part that holds the next byte; false where there is none at hand. Of
// packets without a body nothing lies in a tile-part whose headers are packed.
bool PacketReader::enter_part() {
  for (; part_ < parts_.size(); ++part_, at_ = 0, listing_ = 0) {
    const TilePart& part = *parts_[part_];
    if (part.body_offset == 0) return false;
    if (at_ == 0) at_ = part.body_offset;
    if (part.length == 0 || at_ < part.offset + part.length) return true;
    if (part_ + 1 == parts_.size() && more_packed_headers()) return true;
  }
  return false;
}

PrecinctState& PacketReader::state_of(const Packet& packet) {
  const TileComponent& component = tile_.components[packet.place.component];
  if (states_.empty()) {
    scratch_.reset(component, packet.place, budget_);
    return scratch_;
  }
  std::unique_ptr<PrecinctState>& state = states_[packet.place_index];
  if (!state) {
    state = std::make_unique<PrecinctState>();
    state->reset(component, packet.place, budget_);
  }
  return *state;
}

// Reads SOP, header and EPH from `rest` or, packed, the latter two from elsewhere.
void PacketReader::measure(Packet& packet, Bytes rest) {
  const CodingStyle& style = *tile_.style;
  std::size_t taken = 0;
  if (style.may_have_sop && starts_with(rest, marker::SOP)) {
    if (rest.size() < kSopLength) throw Truncated("SOP", marker::SOP, 0);
    packet.sop = true;
    taken = kSopLength;
  }
  Bytes headers = rest.subspan(taken);
  if (source_.headers) headers = source_.headers->subspan(static_cast<std::size_t>(packed_at_));
  BitReader bits(headers);
  if (bits.bit() != 0) {
    packet.body_length = state_of(packet).read(
        bits, *tile_.components[packet.place.component].blocks, packet.layer, budget_);
  }
  // What the layers have said is needed no longer.
  if (!states_.empty() && packet.layer + 1 == style.layers) states_[packet.place_index].reset();
  const std::size_t length = bits.finish();
  packet.eph = style.may_have_eph && starts_with(headers.subspan(length), marker::EPH);
  packet.header_length = length;
  packet.header_offset = source_.headers ? packed_at_ : at_ + taken;
  const std::size_t head = length + (packet.eph ? kEphLength : 0);
  if (source_.headers) {
    packed_at_ += head;
  } else {
    taken += head;
  }
  packet.body_offset = at_ + taken;
  packet.length = taken + packet.body_length;
}

std::optional<Packet> PacketReader::next() {
  if (!enter_part()) {
    finished_ = part_ == parts_.size() && !order_.next();
    return std::nullopt;
  }
  const auto place = [this] { return std::to_string(source_.origin + at_); };
  const std::optional<Turn> turn = order_.next();
  if (!turn) throw BadPackets("bytes follow the last packet of a tile", at_);
  const TilePart& part = *parts_[part_];
  const std::uint64_t here = part.offset + part.present;
  const bool whole = part.whole();
  Packet packet{.place = order_.places()[turn->place],
                .place_index = turn->place,
                .layer = turn->layer,
                .part = part.index,
                .offset = at_};
  if (listed_) {
    packet.length = packet.body_length = part.packet_lengths[listing_++];
    packet.header_offset = packet.body_offset = at_;
  } else {
    try {
      measure(packet, source_.bytes.subspan(static_cast<std::size_t>(at_),
                                            static_cast<std::size_t>(here - at_)));
    } catch (const BadPackets& reason) {
      throw BadPackets(reason.what(), at_);
    } catch (const Truncated&) {
      if (!whole) return std::nullopt;
      throw BadPackets("the packet header at byte " + place() + " runs past its tile-part", at_);
    }
  }
  if (packet.length > here - at_) {
    if (!whole) return std::nullopt;
    throw BadPackets("the packet at byte " + place() + " runs past its tile-part", at_);
  }
  at_ += packet.length;
  return packet;
}

}  // namespace mersey::codestream
