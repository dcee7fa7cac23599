#include "codestream/tile_parts.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace mersey::codestream {
namespace {

constexpr std::uint64_t kSotSegment = 12;         // marker and segment
constexpr std::uint64_t kLeast = kSotSegment + 2;  // and SOD

std::string text(std::uint64_t value) { return std::to_string(value); }

// 7 bits a byte, the top bit says that more follow (Table A.36). False where the bytes end
// inside a number or a number is beyond any tile-part.
bool read_numbers(ByteReader segment, std::vector<std::uint64_t>& lengths) {
  std::uint64_t value = 0;
  bool inside = false;
  while (segment.remaining() > 0) {
    const std::uint8_t byte = segment.u8();
    value = (value << 7) | (byte & 0x7FU);
    if (value > 0xFFFFFFFFU) return false;
    inside = (byte & 0x80) != 0;
    if (inside) continue;
    lengths.push_back(value);
    value = 0;
  }
  return !inside;
}

bool read_packet_lengths(ByteReader segment, std::vector<std::uint64_t>& lengths) {
  segment.skip(1);  // Zplt
  return read_numbers(segment, lengths);
}

class TilePartReader {
 public:
  TilePartReader(ByteReader& reader, const MainHeader& header, std::uint64_t soc, bool complete)
      : reader_(reader), header_(header), soc_(soc), complete_(complete) {}

  TileParts read() {
    while (!found_.ended) {
      if (!reader_.holds(2)) {
        if (complete_) finish_without_eoc();
        break;
      }
      const std::uint64_t place = reader_.offset();
      const std::uint16_t code = reader_.u16();
      if (code == marker::EOC) {
        found_.has_eoc = true;
        found_.segments.push_back({.code = code, .offset = place - soc_, .length = 2});
        finish_at(reader_.offset());
      } else if (code == marker::SOT) {
        if (!read_part(place)) break;
      } else if (only_padding_from(code)) {
        if (complete_) finish_without_eoc();
        break;
      } else {
        reader_.refuse_at("found " + marker_name(code) + ", expected SOT or EOC", place);
      }
    }
    take_packet_lengths_of_main_header();
    return std::move(found_);
  }

 private:
  // PLM: for each tile-part in turn, Nplm and so many bytes of lengths (A.7.2). Where it does
  // not come out even it is as good as absent.
  void take_packet_lengths_of_main_header() {
    std::size_t part = 0;
    for (const auto& [index, bytes] : header_.plm) {
      ByteReader reader(bytes);
      while (reader.remaining() > 0) {
        const std::uint8_t count = reader.u8();
        if (!reader.holds(count) || part == found_.parts.size()) return;
        TilePart& one = found_.parts[part++];
        if (!one.has_packet_lengths) {
          one.has_packet_lengths =
              read_numbers(ByteReader(reader.ahead(count)), one.packet_lengths);
        }
        reader.skip(count);
      }
    }
  }

  // False where a prefix ends inside this tile-part.
  bool read_part(std::uint64_t place) {
    if (!complete_ && !reader_.holds(kSotSegment - 2)) return false;
    TilePart part = read_sot(place);
    note(marker::SOT, part, place, kSotSegment);
    const std::uint64_t available = reader_.remaining() + kSotSegment;
    part.present = part.length == 0 ? available : std::min(part.length, available);
    if (!part.whole() && complete_) {
      throw Truncated("SOT at byte " + text(place) + ": tile-part " + text(part.index) +
                          " of tile " + text(part.tile) + " has " + text(part.length) +
                          " bytes (Psot), " + text(available) + " are left",
                      marker::SOT, place);
    }
    // The header is read inside the tile-part only: a lying Psot cannot borrow from the next.
    const auto room = static_cast<std::size_t>(part.present - kSotSegment);
    const bool whole = part.whole();
    ByteReader inside(reader_.ahead(room), reader_.offset());
    try {
      read_header(inside, part);
      part.body_offset = inside.offset() - soc_;
    } catch (const Truncated&) {
      if (whole) throw;
    }
    reader_.skip(room);
    found_.parts.push_back(std::move(part));
    return whole;
  }

  TilePart read_sot(std::uint64_t place) {
    ByteReader segment = reader_.segment(marker::SOT);
    if (segment.remaining() != 8) {
      segment.refuse_at("Lsot is " + text(segment.remaining() + 2) + ", expected 10", place);
    }
    TilePart part;
    part.tile = segment.u16();
    const std::uint64_t psot = segment.u32();
    part.index = segment.u8();
    const std::uint8_t count = segment.u8();  // TNsot
    part.offset = place - soc_;
    if (part.tile >= header_.size.tiles()) {
      segment.refuse_at("tile " + text(part.tile) + " of " + text(header_.size.tiles()), place);
    }
    std::uint16_t& next = next_index_.try_emplace(part.tile, std::uint16_t{0}).first->second;
    if (part.index != next) {
      segment.refuse_at("tile-part " + text(part.index) + " of tile " + text(part.tile) +
                            ", expected " + text(next),
                        place);
    }
    ++next;
    if (count != 0) declared_[part.tile] = count;
    part.length = psot != 0 ? psot : (complete_ ? length_to_end() : 0);
    if (part.length < kLeast && (psot != 0 || complete_)) {
      segment.refuse_at("Psot is " + text(part.length) + ", expected " + text(kLeast) +
                            " or more",
                        place);
    }
    return part;
  }

  // Psot = 0: the last tile-part, which ends at EOC.
  std::uint64_t length_to_end() {
    const Bytes rest = reader_.ahead(reader_.remaining());
    std::size_t end = rest.size();
    while (end > 0 && rest[end - 1] == 0) --end;
    const bool eoc = end >= 2 && rest[end - 2] == 0xFF && rest[end - 1] == 0xD9;
    return kSotSegment + (eoc ? end - 2 : rest.size());
  }

  void read_header(ByteReader& inside, TilePart& part) {
    bool readable = true;
    std::map<std::uint8_t, Bytes> ppt;
    for (;;) {
      const std::uint64_t place = inside.offset();
      const std::uint16_t code = inside.u16();
      if (code == marker::SOD) {
        note(code, part, place, 2);
        break;
      }
      if (code < 0xFF00 || code == marker::SOT || code == marker::SOC || code == marker::EOC ||
          code == marker::SIZ) {
        inside.refuse_at("found " + marker_name(code) + " in a tile-part header", place);
      }
      if (has_no_segment(code)) {
        note(code, part, place, 2);
        continue;
      }
      ByteReader segment = inside.segment(code);
      note(code, part, place, inside.offset() - place);
      switch (code) {
        case marker::COD: found_.headers[part.tile].coding.read_cod(segment); break;
        case marker::COC:
          found_.headers[part.tile].coding.read_coc(segment, header_.size.components.size());
          break;
        case marker::POC:
          found_.headers[part.tile].coding.read_poc(segment, header_.size.components.size());
          break;
        case marker::PPT: {
          const std::uint8_t index = segment.u8();
          if (!ppt.emplace(index, segment.ahead(segment.remaining())).second) {
            segment.refuse("a second segment has Zppt " + text(index));
          }
          break;
        }
        case marker::PLT:
          part.has_packet_lengths = true;
          readable = readable && read_packet_lengths(segment, part.packet_lengths);
          break;
        default: break;
      }
    }
    for (const auto& [index, bytes] : ppt) found_.headers[part.tile].ppt.push_back(bytes);
    part.has_packet_lengths = part.has_packet_lengths && readable;
    const auto own = found_.headers.find(part.tile);
    if (own != found_.headers.end()) own->second.coding.resolve(header_.dfs, inside.offset());
  }

  void note(std::uint16_t code, const TilePart& part, std::uint64_t place, std::uint64_t length) {
    found_.segments.push_back({.code = code,
                               .tile = static_cast<std::int32_t>(part.tile),
                               .part = part.index,
                               .offset = place - soc_,
                               .length = length});
  }

  bool only_padding_from(std::uint16_t code) const {
    if (found_.parts.empty() || code != 0) return false;
    const Bytes rest = reader_.ahead(reader_.remaining());
    return std::all_of(rest.begin(), rest.end(), [](std::uint8_t byte) { return byte == 0; });
  }

  void finish_at(std::uint64_t end) {
    found_.ended = true;
    found_.length = end - soc_;
  }

  // EOC is missing; fine where every tile-part that was announced is here.
  void finish_without_eoc() {
    std::uint64_t end = 0;
    if (!found_.parts.empty()) end = soc_ + found_.parts.back().offset + found_.parts.back().length;
    if (next_index_.size() < header_.size.tiles()) {
      throw Truncated("codestream at byte " + text(end) + ": ended without EOC after " +
                          text(next_index_.size()) + " of " + text(header_.size.tiles()) +
                          " tiles",
                      marker::EOC, end);
    }
    for (const auto& [tile, count] : declared_) {
      if (next_index_[tile] < count) {
        throw Truncated("codestream at byte " + text(end) + ": ended without EOC after " +
                            text(next_index_[tile]) + " of " + text(count) +
                            " tile-parts of tile " + text(tile),
                        marker::EOC, end);
      }
    }
    finish_at(end);
  }

  ByteReader& reader_;
  const MainHeader& header_;
  std::uint64_t soc_;
  bool complete_;
  TileParts found_;
  std::map<std::uint32_t, std::uint16_t> next_index_;
  std::map<std::uint32_t, std::uint8_t> declared_;  // TNsot, where given
};

}  // namespace

TileParts read_tile_parts(ByteReader& reader, const MainHeader& header, std::uint64_t soc,
                          bool complete) {
  return TilePartReader(reader, header, soc, complete).read();
}

}  // namespace mersey::codestream
