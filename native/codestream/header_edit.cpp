#include "codestream/header_edit.hpp"

#include <algorithm>
#include <string>

#include "codestream/byte_writer.hpp"

namespace mersey::codestream {
namespace {

using Payload = std::vector<std::uint8_t>;

constexpr std::uint8_t kSopAndEph = 0x06;  // of Scod

// Rsiz keeps what says that extensions are used: CAP (bit 14) and, with all that details it,
// Part 2 (bit 15). A profile of Part 1 limits progressions and tile-parts, so it goes.
std::uint16_t edit_rsiz(std::uint16_t rsiz) {
  return (rsiz & 0x8000U) != 0 ? rsiz : static_cast<std::uint16_t>(rsiz & 0x4000U);
}

void write_siz(ByteWriter& out, Bytes payload, const ImageSize& size) {
  ByteReader reader(payload);
  ByteWriter siz;
  siz.u16(edit_rsiz(reader.u16()));
  for (const std::uint64_t field : {size.xsiz, size.ysiz, size.xosiz, size.yosiz, size.xtsiz,
                                    size.ytsiz, size.xtosiz, size.ytosiz}) {
    siz.u32(field);
  }
  reader.skip(32);
  siz.u16(reader.u16());
  for (const Component& component : size.components) {
    siz.u8(reader.u8());
    reader.skip(2);
    siz.u8(component.xr);
    siz.u8(component.yr);
  }
  out.segment(marker::SIZ, siz.bytes());
}

// SPcod or SPcoc from the number of decompositions on; precinct sizes are by level, the smallest
// image first.
void edit_blocks(Payload& payload, std::size_t at, bool has_precincts, unsigned reduce) {
  payload[at] = static_cast<std::uint8_t>(payload[at] - std::min<unsigned>(payload[at], reduce));
  if (has_precincts) payload.resize(at + 5 + payload[at] + 1U);
}

void edit_cod(Payload& payload, const Target& target) {
  const bool has_precincts = (payload[0] & 1) != 0;
  payload[0] = static_cast<std::uint8_t>(payload[0] & ~kSopAndEph);
  payload[1] = static_cast<std::uint8_t>(target.progression);
  const unsigned layers = std::min(payload[2] * 256U + payload[3], unsigned{target.layers});
  payload[2] = static_cast<std::uint8_t>(layers >> 8);
  payload[3] = static_cast<std::uint8_t>(layers);
  edit_blocks(payload, 5, has_precincts, target.reduce);
}

// Drops the steps of the sub-bands that are gone; `at` is where Sqcd is. With derived steps
// (style 1) there is one for all.
void edit_quantization(Payload& payload, std::size_t at, unsigned reduce) {
  if (payload.size() <= at) return;
  const unsigned style = payload[at] & 0x1FU;
  if (style == 1) return;
  const std::size_t each = style == 0 ? 1 : 2;
  const std::size_t gone = 3 * each * reduce;
  const std::size_t least = at + 1 + each;
  if (payload.size() >= least + gone) payload.resize(payload.size() - gone);
}

// CRG: Xcrg and Ycrg count in 1/65536 of a sample's distance, which doubles with a halving.
void edit_registration(Payload& payload, unsigned reduce) {
  for (std::size_t i = 0; i + 1 < payload.size(); i += 2) {
    const unsigned value = (payload[i] * 256U + payload[i + 1]) >> reduce;
    payload[i] = static_cast<std::uint8_t>(value >> 8);
    payload[i + 1] = static_cast<std::uint8_t>(value);
  }
}

bool is_left_out(std::uint16_t code) {
  switch (code) {
    case marker::POC:
    case marker::PLM:
    case marker::PLT:
    case marker::PPM:
    case marker::PPT:
    case marker::TLM:
    case marker::PRF:
    case marker::CPF:
    case marker::SOT:
    case marker::SOD:
    case marker::EOC: return true;
    default: return false;
  }
}

class HeaderEditor {
 public:
  HeaderEditor(const PacketIndex& index, const ImageSize* size, const Target& target)
      : index_(index), size_(size), target_(target) {}

  void add(const SegmentPlace& place, ByteWriter& out) const {
    if (is_left_out(place.code)) return;
    const Bytes whole = index_.bytes.subspan(static_cast<std::size_t>(place.offset),
                                             static_cast<std::size_t>(place.length));
    if (has_no_segment(place.code)) {
      out.append(whole);
      return;
    }
    const Bytes old = whole.subspan(4);
    if (place.code == marker::SIZ) {
      write_siz(out, old, *size_);
      return;
    }
    Payload payload(old.begin(), old.end());
    edit(place.code, payload);
    out.segment(place.code, payload);
  }

 private:
  void edit(std::uint16_t code, Payload& payload) const {
    const bool wide = index_.main.size.components.size() >= 257;
    const std::size_t ccoc = wide ? 2 : 1;
    switch (code) {
      case marker::COD: edit_cod(payload, target_); break;
      case marker::COC:
        edit_blocks(payload, ccoc + 1, (payload[ccoc] & 1) != 0, target_.reduce);
        break;
      case marker::QCD: edit_quantization(payload, 0, target_.reduce); break;
      case marker::QCC: edit_quantization(payload, ccoc, target_.reduce); break;
      case marker::CRG: edit_registration(payload, target_.reduce); break;
      default: break;
    }
  }

  const PacketIndex& index_;
  const ImageSize* size_;
  const Target& target_;
};

}  // namespace

std::vector<std::uint8_t> edit_main_header(const PacketIndex& index, const ImageSize& size,
                                           const Target& target) {
  const HeaderEditor editor(index, &size, target);
  ByteWriter out;
  for (const SegmentPlace& place : index.main.segments) editor.add(place, out);
  return out.take();
}

std::vector<std::vector<std::uint8_t>> edit_tile_headers(const PacketIndex& index,
                                                         const Target& target) {
  const HeaderEditor editor(index, nullptr, target);
  std::vector<ByteWriter> writers(index.by_tile.size());
  for (const SegmentPlace& place : index.tiles.segments) {
    if (place.tile == SegmentPlace::kMainHeader) continue;
    editor.add(place, writers[static_cast<std::size_t>(place.tile)]);
  }
  std::vector<std::vector<std::uint8_t>> headers;
  headers.reserve(writers.size());
  for (ByteWriter& writer : writers) headers.push_back(writer.take());
  return headers;
}

Coding edit_coding(const Coding& coding, const Target& target, std::size_t component_count) {
  Coding edited = coding;
  edited.changes.clear();
  const auto reduce = [&](BlockCoding& blocks, bool used) {
    if (blocks.decompositions < target.reduce && used) {
      throw Impossible("reduce is " + std::to_string(target.reduce) +
                       ", this codestream has 0–" + std::to_string(blocks.decompositions));
    }
    blocks.decompositions = static_cast<std::uint8_t>(
        blocks.decompositions - std::min(blocks.decompositions, target.reduce));
  };
  if (edited.style) {
    edited.style->progression = target.progression;
    edited.style->layers = std::min(edited.style->layers, target.layers);
    // A default that every component overrides may have fewer.
    reduce(edited.style->blocks, coding.components.size() < component_count);
  }
  for (auto& [component, blocks] : edited.components) reduce(blocks, true);
  return edited;
}

}  // namespace mersey::codestream
