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
                           PacketOrder& order, Bytes bytes, Budget& budget)
    : tile_(tile), parts_(std::move(parts)), order_(order), bytes_(bytes), budget_(budget) {
  listed_ = packet_lengths_are_right();
  if (!listed_ && tile_.style->layers > 1) states_.resize(order_.places().size());
}

// PLT is believed where every tile-part of the tile is here and has one, the lengths fill the
// bodies, and there are as many as packets.
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

// Moves on to the tile-part that holds the next byte; false where there is none at hand.
bool PacketReader::enter_part() {
  for (; part_ < parts_.size(); ++part_, at_ = 0, listing_ = 0) {
    const TilePart& part = *parts_[part_];
    if (part.body_offset == 0) return false;
    if (at_ == 0) at_ = part.body_offset;
    if (part.length == 0 || at_ < part.offset + part.length) return true;
  }
  return false;
}

PrecinctState& PacketReader::state_of(const Turn& turn) {
  const PrecinctPlace& place = order_.places()[turn.place];
  const TileComponent& component = tile_.components[place.component];
  if (states_.empty()) {
    scratch_.reset(component, place, budget_);
    return scratch_;
  }
  std::unique_ptr<PrecinctState>& state = states_[turn.place];
  if (!state) {
    state = std::make_unique<PrecinctState>();
    state->reset(component, place, budget_);
  }
  return *state;
}

std::uint64_t PacketReader::measure(const Turn& turn, Bytes rest) {
  const CodingStyle& style = *tile_.style;
  std::size_t head = 0;
  if (style.may_have_sop && starts_with(rest, marker::SOP)) {
    if (rest.size() < kSopLength) throw Truncated("SOP", marker::SOP, 0);
    head = kSopLength;
  }
  BitReader bits(rest.subspan(head));
  std::uint64_t body = 0;
  if (bits.bit() != 0) {
    const std::uint16_t component = order_.places()[turn.place].component;
    body = state_of(turn).read(bits, *tile_.components[component].blocks, turn.layer,
                               style.layers > 1, budget_);
  }
  head += bits.finish();
  if (style.may_have_eph && starts_with(rest.subspan(head), marker::EPH)) head += kEphLength;
  return head + body;
}

std::optional<Packet> PacketReader::next() {
  if (!enter_part()) {
    finished_ = part_ == parts_.size() && !order_.next();
    return std::nullopt;
  }
  const std::optional<Turn> turn = order_.next();
  if (!turn) throw Unsupported("bytes follow the last packet of a tile");
  const TilePart& part = *parts_[part_];
  const std::uint64_t here = part.offset + part.present;
  const bool whole = part.whole();
  std::uint64_t length = 0;
  if (listed_) {
    length = part.packet_lengths[listing_++];
  } else {
    try {
      length = measure(*turn, bytes_.subspan(static_cast<std::size_t>(at_),
                                             static_cast<std::size_t>(here - at_)));
    } catch (const Truncated&) {
      if (!whole) return std::nullopt;
      throw Unsupported("the packet header at byte " + std::to_string(at_) +
                        " runs past its tile-part");
    }
  }
  if (length > here - at_) {
    if (!whole) return std::nullopt;
    throw Unsupported("the packet at byte " + std::to_string(at_) + " runs past its tile-part");
  }
  const Packet packet{order_.places()[turn->place], turn->layer, part.index, at_, length};
  at_ += length;
  return packet;
}

}  // namespace mersey::codestream
