#include "codestream/headers.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace mersey::codestream {
namespace {

constexpr std::uint64_t kMostTiles = 65535;  // Isot is 16 bits; A.5.1
constexpr std::size_t kMostComponents = 16384;

std::string text(std::uint64_t value) { return std::to_string(value); }

ImageSize read_siz(ByteReader segment) {
  const std::uint64_t place = segment.offset();
  const std::size_t room = segment.remaining();
  ImageSize size;
  segment.skip(2);  // Rsiz
  size.xsiz = segment.u32();
  size.ysiz = segment.u32();
  size.xosiz = segment.u32();
  size.yosiz = segment.u32();
  size.xtsiz = segment.u32();
  size.ytsiz = segment.u32();
  size.xtosiz = segment.u32();
  size.ytosiz = segment.u32();
  const std::size_t count = segment.u16();
  if (count == 0 || count > kMostComponents) {
    segment.refuse_at("Csiz is " + text(count) + ", expected 1–16384", place);
  }
  if (room != 36 + 3 * count) {
    segment.refuse_at("Lsiz is " + text(room + 2) + ", expected " + text(38 + 3 * count) +
                          " for " + text(count) + " components",
                      place);
  }
  if (size.xsiz <= size.xosiz || size.ysiz <= size.yosiz) {
    segment.refuse_at("the image area is empty: size " + text(size.xsiz) + " x " +
                          text(size.ysiz) + ", offset " + text(size.xosiz) + ", " +
                          text(size.yosiz),
                      place);
  }
  if (size.xtsiz == 0 || size.ytsiz == 0 || size.xtosiz > size.xosiz ||
      size.ytosiz > size.yosiz || size.xtosiz + size.xtsiz <= size.xosiz ||
      size.ytosiz + size.ytsiz <= size.yosiz) {
    segment.refuse_at("the first tile (" + text(size.xtsiz) + " x " + text(size.ytsiz) + " at " +
                          text(size.xtosiz) + ", " + text(size.ytosiz) +
                          ") does not meet the image area",
                      place);
  }
  if (size.tiles_across() > kMostTiles || size.tiles_down() > kMostTiles ||
      size.tiles() > kMostTiles) {
    segment.refuse_at(text(size.tiles_across()) + " x " + text(size.tiles_down()) +
                          " tiles, expected 65535 at most",
                      place);
  }
  size.components.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t ssiz = segment.u8();
    const std::uint8_t xr = segment.u8();
    const std::uint8_t yr = segment.u8();
    const auto precision = static_cast<std::uint8_t>((ssiz & 0x7F) + 1);
    if (precision > 38 || xr == 0 || yr == 0) {
      segment.refuse("component " + text(i) + " has " + text(precision) +
                     " bits and a sub-sampling of " + text(xr) + " x " + text(yr) +
                     ", expected 1–38 bits and 1–255");
    }
    size.components.push_back({precision, (ssiz & 0x80) != 0, xr, yr});
  }
  return size;
}

BlockCoding read_blocks(ByteReader& segment, bool has_precincts) {
  BlockCoding blocks;
  const std::uint8_t levels = segment.u8();
  if (levels > 0x80) {
    blocks.dfs = static_cast<std::uint8_t>(levels & 0x7F);
  } else if (levels > 32) {
    segment.refuse(text(levels) + " decomposition levels, expected 0–32");
  } else {
    blocks.decompositions = levels;
  }
  const unsigned xcb = segment.u8();
  const unsigned ycb = segment.u8();
  if (xcb > 8 || ycb > 8 || xcb + ycb > 8) {
    segment.refuse("code-block exponents " + text(xcb) + " and " + text(ycb) +
                   ", expected a sum of 8 at most");
  }
  blocks.xcb = static_cast<std::uint8_t>(xcb + 2);
  blocks.ycb = static_cast<std::uint8_t>(ycb + 2);
  blocks.style = segment.u8();
  blocks.transform = segment.u8();
  blocks.precincts.fill(0xFF);  // PPx = PPy = 15 where none are given
  if (has_precincts && !blocks.dfs) {
    for (std::size_t level = 0; level <= blocks.decompositions; ++level) {
      const std::uint8_t packed = segment.u8();
      if (level > 0 && ((packed & 0x0F) == 0 || (packed >> 4) == 0)) {
        segment.refuse("a precinct of exponent 0 at resolution level " + text(level) +
                       ", allowed at level 0 only");
      }
      blocks.precincts[level] = packed;
    }
  }
  return blocks;
}

void read_tlm(ByteReader segment, std::map<std::uint8_t, std::vector<TilePartLength>>& parts) {
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
    constexpr std::uint32_t kNext = 0xFFFFFFFF;  // no index: one tile-part a tile, in order
    const std::uint32_t tile =
        tile_bytes == 0 ? kNext : (tile_bytes == 1 ? segment.u8() : segment.u16());
    entries.push_back({tile, length_bytes == 2 ? segment.u16() : segment.u32()});
  }
}

std::vector<TilePartLength> in_order(
    const std::map<std::uint8_t, std::vector<TilePartLength>>& parts) {
  std::vector<TilePartLength> all;
  for (const auto& [index, entries] : parts) all.insert(all.end(), entries.begin(), entries.end());
  std::uint32_t next = 0;
  for (TilePartLength& entry : all) {
    if (entry.tile == 0xFFFFFFFF) entry.tile = next;
    ++next;
  }
  return all;
}

}  // namespace

void Coding::resolve(const std::map<std::uint8_t, std::uint8_t>& dfs, std::uint64_t place) {
  const auto take = [&](BlockCoding& blocks, std::uint16_t code) {
    if (!blocks.dfs) return;
    const auto found = dfs.find(*blocks.dfs);
    if (found == dfs.end() || found->second > 32) {
      throw CodestreamError(marker_name(code) + " before byte " + text(place) + ": " +
                                text(0x80U | *blocks.dfs) +
                                " decomposition levels, expected 0–32 or a style that DFS gives",
                            code, place);
    }
    blocks.decompositions = found->second;
  };
  if (style) take(style->blocks, marker::COD);
  for (auto& [component, blocks] : components) take(blocks, marker::COC);
}

void Coding::read_cod(ByteReader segment) {
  CodingStyle cod;
  const std::uint8_t scod = segment.u8();
  cod.may_have_sop = (scod & 2) != 0;
  cod.may_have_eph = (scod & 4) != 0;
  const std::uint8_t order = segment.u8();
  if (order > 4) segment.refuse("progression order " + text(order) + ", expected 0–4");
  cod.progression = static_cast<Progression>(order);
  cod.layers = segment.u16();
  if (cod.layers == 0) segment.refuse("0 layers, expected 1–65535");
  cod.colour_transform = segment.u8();
  cod.blocks = read_blocks(segment, (scod & 1) != 0);
  style = cod;
}

void Coding::read_coc(ByteReader segment, std::size_t component_count) {
  const std::uint16_t component = component_count < 257 ? segment.u8() : segment.u16();
  if (component >= component_count) {
    segment.refuse("component " + text(component) + " of " + text(component_count));
  }
  const bool has_precincts = (segment.u8() & 1) != 0;
  components.insert_or_assign(component, read_blocks(segment, has_precincts));
}

MainHeader read_main_header(ByteReader& reader) {
  MainHeader header;
  std::map<std::uint8_t, std::vector<TilePartLength>> tlm;
  bool has_qcd = false;
  const std::uint64_t start = reader.offset();
  if (reader.u16() != marker::SOC) reader.refuse_at("expected SOC (FF4F)", start);
  for (bool first = true;; first = false) {
    const ByteReader before = reader;
    const std::uint64_t place = reader.offset();
    const std::uint16_t code = reader.u16();
    const ByteReader blame(Bytes{}, place, code);
    if (first && code != marker::SIZ) {
      reader.refuse_at("found " + marker_name(code) + " after SOC, expected SIZ", place);
    }
    if (code < 0xFF00) {
      reader.refuse_at("found " + marker_name(code) + ", expected a marker of the main header",
                       place);
    }
    if (code == marker::SOT) {
      header.length = place - start;
      if (!header.coding.style) blame.refuse("the main header ended without COD");
      if (!has_qcd) blame.refuse("the main header ended without QCD");
      header.coding.resolve(header.dfs, place);
      header.tile_part_lengths = in_order(tlm);
      reader = before;
      return header;
    }
    if (code == marker::SOC || code == marker::SOD || code == marker::EOC ||
        code == marker::SOP || code == marker::EPH) {
      blame.refuse("not allowed in the main header");
    }
    if (has_no_segment(code)) continue;
    ByteReader segment = reader.segment(code);
    switch (code) {
      case marker::SIZ:
        if (!first) segment.refuse_at("a second SIZ", place);
        header.size = read_siz(segment);
        break;
      case marker::COD: header.coding.read_cod(segment); break;
      case marker::COC: header.coding.read_coc(segment, header.size.components.size()); break;
      case marker::QCD: has_qcd = true; break;
      case marker::TLM:
        header.has_tlm = true;
        read_tlm(segment, tlm);
        break;
      case marker::DFS: {
        segment.skip(1);  // Sdfs, whose lower byte is the index
        const std::uint8_t index = segment.u8();
        header.dfs[index] = segment.u8();
        break;
      }
      case marker::POC: header.has_poc = true; break;
      case marker::PPM: header.has_packed_headers = true; break;
      default: break;  // not needed here, or unknown: skipped by its length
    }
  }
}

}  // namespace mersey::codestream
