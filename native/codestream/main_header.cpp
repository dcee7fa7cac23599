#include "codestream/main_header.hpp"

#include <string>
#include <utility>

namespace mersey::codestream {
namespace {

constexpr std::uint32_t kNextTile = 0xFFFFFFFF;  // TLM without indices: a tile-part a tile

using TlmSegments = std::map<std::uint8_t, std::vector<TilePartLength>>;  // by Ztlm

std::string text(std::uint64_t value) { return std::to_string(value); }

void read_tlm(ByteReader segment, TlmSegments& parts) {
  const std::uint8_t index = segment.u8();
  const std::uint8_t stlm = segment.u8();
  const unsigned tile_bytes = (stlm >> 4) & 3;
  const unsigned length_bytes = (stlm & 0x40) != 0 ? 4 : 2;
  if (tile_bytes == 3) segment.refuse("Stlm gives a tile index of 3 bytes, expected 0–2");
  const unsigned entry = tile_bytes + length_bytes;
  if (segment.remaining() % entry != 0) {
    segment.refuse(text(segment.remaining()) + " bytes of entries, expected a multiple of " +
                   text(entry));
  }
  if (parts.contains(index)) segment.refuse("a second segment has Ztlm " + text(index));
  std::vector<TilePartLength>& entries = parts[index];
  entries.reserve(segment.remaining() / entry);
  while (segment.remaining() > 0) {
    const std::uint32_t tile =
        tile_bytes == 0 ? kNextTile : (tile_bytes == 1 ? segment.u8() : segment.u16());
    entries.push_back({tile, length_bytes == 2 ? segment.u16() : segment.u32()});
  }
}

std::vector<TilePartLength> in_order(
    const TlmSegments& parts) {
  std::vector<TilePartLength> all;
  for (const auto& [index, entries] : parts) all.insert(all.end(), entries.begin(), entries.end());
  std::uint32_t next = 0;
  for (TilePartLength& entry : all) {
    if (entry.tile == kNextTile) entry.tile = next;
    ++next;
  }
  return all;
}

bool belongs_elsewhere(std::uint16_t code) {
  return code == marker::SOC || code == marker::SOD || code == marker::EOC ||
         code == marker::SOP || code == marker::EPH;
}

class MainHeaderReader {
 public:
  explicit MainHeaderReader(ByteReader& reader) : reader_(reader) {}

  MainHeader read() {
    const std::uint64_t start = reader_.offset();
    if (reader_.u16() != marker::SOC) reader_.refuse_at("expected SOC (FF4F)", start);
    header_.segments.push_back({.code = marker::SOC, .offset = 0, .length = 2});
    for (;;) {
      const ByteReader before = reader_;
      const std::uint64_t place = reader_.offset();
      const std::uint16_t code = reader_.u16();
      if (!has_siz_ && code != marker::SIZ) {
        reader_.refuse_at("found " + marker_name(code) + " after SOC, expected SIZ", place);
      }
      if (code < 0xFF00) {
        reader_.refuse_at("found " + marker_name(code) + ", expected a marker of the main header",
                          place);
      }
      if (code == marker::SOT) {
        finish(place);
        header_.length = place - start;
        reader_ = before;
        return std::move(header_);
      }
      if (belongs_elsewhere(code)) {
        ByteReader(Bytes{}, place, code).refuse("not allowed in the main header");
      }
      if (!has_no_segment(code)) read_segment(code, reader_.segment(code));
      header_.segments.push_back(
          {.code = code, .offset = place - start, .length = reader_.offset() - place});
    }
  }

 private:
  void read_segment(std::uint16_t code, ByteReader segment) {
    switch (code) {
      case marker::SIZ:
        if (has_siz_) segment.refuse("a second SIZ");
        has_siz_ = true;
        header_.size = read_siz(segment);
        break;
      case marker::COD: header_.coding.read_cod(segment); break;
      case marker::COC:
        header_.coding.read_coc(segment, header_.size.components.size());
        break;
      case marker::QCD: has_qcd_ = true; break;
      case marker::TLM:
        header_.has_tlm = true;
        read_tlm(segment, tlm_);
        break;
      case marker::DFS: {
        segment.skip(1);  // Sdfs, whose lower byte is the index
        const std::uint8_t index = segment.u8();
        header_.dfs[index] = segment.u8();
        break;
      }
      case marker::POC:
        header_.coding.read_poc(segment, header_.size.components.size());
        break;
      case marker::PPM: keep_indexed(segment, "Zppm", header_.ppm); break;
      case marker::PLM: keep_indexed(segment, "Zplm", header_.plm); break;
      default: break;  // not needed here, or unknown: skipped by its length
    }
  }

  static void keep_indexed(ByteReader segment, const char* name,
                           std::map<std::uint8_t, Bytes>& all) {
    const std::uint8_t index = segment.u8();
    if (!all.emplace(index, segment.ahead(segment.remaining())).second) {
      segment.refuse("a second segment has " + std::string(name) + " " + text(index));
    }
  }

  void finish(std::uint64_t place) {
    const ByteReader blame(Bytes{}, place, marker::SOT);
    if (!header_.coding.style) blame.refuse("the main header ended without COD");
    if (!has_qcd_) blame.refuse("the main header ended without QCD");
    header_.coding.resolve(header_.dfs, place);
    header_.tile_part_lengths = in_order(tlm_);
  }

  ByteReader& reader_;
  MainHeader header_;
  TlmSegments tlm_;
  bool has_siz_ = false;
  bool has_qcd_ = false;
};

}  // namespace

MainHeader read_main_header(ByteReader& reader) { return MainHeaderReader(reader).read(); }

}  // namespace mersey::codestream
