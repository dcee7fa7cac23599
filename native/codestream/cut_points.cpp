#include "codestream/cut_points.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "codestream/packed_headers.hpp"
#include "codestream/packets.hpp"

namespace mersey::codestream {
namespace {

// What one tile shows. Levels are resolution levels: 0 is the smallest.
struct TileCuts {
  std::vector<std::uint64_t> ends;  // by level, of the last packet; 0 where it has none
  std::size_t complete_levels = 0;  // the packets of so many are all at hand
  std::uint64_t packets = 0;        // that the tile has
  bool all_seen = false;
  bool one_part_a_level = true;     // no packet seen lies in a tile-part of another level
  std::string unreadable;           // why its packets could not be followed
};

struct OutOfOrder {
  std::string why;
};

class CutFinder {
 public:
  CutFinder(const Layout& layout, Bytes bytes)
      : layout_(layout), bytes_(bytes), budget_(Budget::for_bytes(bytes.size())) {}

  Cuts find() {
    Cuts cuts;
    try {
      look_at_tiles();
      cuts = put_together();
    } catch (const OutOfOrder& reason) {
      cuts.why_none = reason.why;
    } catch (const Unsupported& reason) {
      cuts.why_none = reason.what();
    } catch (const BadPackets& reason) {
      cuts.why_none = reason.what();
    }
    if (layout_.decompositions == 0 && layout_.tiles.ended && cuts.points.empty()) {
      cuts = Cuts{{layout_.tiles.length}, Evidence::tile_parts, "", cuts.complete_reduce};
    }
    cuts.complete_reduce = complete_reduce(cuts);
    return cuts;
  }

 private:
  void look_at_tiles() {
    if (!layout_.main.dfs.empty()) throw OutOfOrder{"Part 2 decomposition styles (DFS)"};
    for (const PartExtent& part : layout_.parts) extents_[part.tile].push_back(part);
    std::map<std::uint32_t, std::vector<const TilePart*>> seen;
    for (const TilePart& part : layout_.tiles.parts) seen[part.tile].push_back(&part);
    const PackedHeaders packed(layout_.main, layout_.tiles);
    for (const auto& [tile, parts] : extents_) {
      found_.emplace(tile, look_at(tile, seen[tile], packed));
    }
  }

  TileCuts look_at(std::uint32_t index, const std::vector<const TilePart*>& parts,
                   const PackedHeaders& packed) {
    const auto own = layout_.tiles.headers.find(index);
    const TileHeader* header = own == layout_.tiles.headers.end() ? nullptr : &own->second;
    const Tile tile = divide_tile(layout_.main, header, index, budget_);
    PacketOrder order(tile, layout_.main, budget_);
    if (!order.resolution_major()) {
      if (order.has_changes()) throw OutOfOrder{"POC changes the progression order"};
      throw OutOfOrder{std::string("the packets are not in the order of their resolutions (") +
                       progression_name(tile.style->progression) + ", " +
                       std::to_string(tile.style->layers) + " layers)"};
    }
    TileCuts cuts;
    cuts.packets = order.packets();
    cuts.ends.assign(tile.most_decompositions + std::size_t{1}, 0);
    std::vector<std::uint64_t> missing(cuts.ends.size(), 0);
    for (const PrecinctPlace& place : order.places()) missing[place.level] += tile.style->layers;
    std::vector<std::uint8_t> headers;
    PacketReader::Source source{.bytes = bytes_, .origin = layout_.wrapper};
    if (packed.has(index)) {
      headers = packed.of(index);
      source.headers = headers;
    }
    try {
      PacketReader reader(tile, parts, order, source, budget_);
      while (const std::optional<Packet> packet = reader.next()) {
        const std::uint8_t level = packet->place.level;
        cuts.ends[level] = packet->end();
        --missing[level];
        cuts.one_part_a_level = cuts.one_part_a_level && packet->part == level;
      }
      cuts.all_seen = reader.finished();
    } catch (const Unsupported& reason) {
      cuts.unreadable = reason.what();
    } catch (const BadPackets& reason) {
      cuts.unreadable = reason.what();
    }
    while (cuts.complete_levels < missing.size() && missing[cuts.complete_levels] == 0) {
      ++cuts.complete_levels;
    }
    return cuts;
  }

  Cuts put_together() const {
    Cuts cuts;
    if (!layout_.all_parts_known) {
      cuts.why_none = layout_.main.has_tlm ? "TLM does not fit the tile-parts"
                                           : "this prefix has no TLM";
      return cuts;
    }
    if (found_.size() < layout_.main.size.tiles()) {
      cuts.why_none = "some tiles have no tile-part";
      return cuts;
    }
    cuts.points.assign(layout_.decompositions + std::size_t{1}, layout_.main.length);
    cuts.evidence = Evidence::packets;
    for (const auto& [index, tile] : found_) {
      const std::vector<PartExtent>& parts = extents_.at(index);
      if (!tile.all_seen) {
        cuts.evidence = Evidence::tile_parts;
        cuts.why_none = why_not_by_parts(index, tile, parts);
        if (!cuts.why_none.empty()) {
          return Cuts{{}, Evidence::none, cuts.why_none, std::nullopt};
        }
      }
      for (std::size_t reduce = 1; reduce < cuts.points.size(); ++reduce) {
        const std::size_t level = tile.ends.size() - 1 - reduce;
        std::uint64_t end = 0;
        for (std::size_t i = 0; i <= level; ++i) {
          end = std::max(end, tile.all_seen ? tile.ends[i] : parts[i].end());
        }
        cuts.points[reduce] = std::max(cuts.points[reduce], end);
      }
    }
    constexpr std::uint64_t kEocLength = 2;
    cuts.points[0] = layout_.tiles.ended ? layout_.tiles.length
                                         : layout_.parts.back().end() + kEocLength;
    return cuts;
  }

  // "" where the tile-parts of a tile, not all of whose packets were seen, prove its cuts.
  std::string why_not_by_parts(std::uint32_t index, const TileCuts& tile,
                               const std::vector<PartExtent>& parts) const {
    const std::string of_tile = " of tile " + std::to_string(index);
    if (layout_.tiles.ended && tile.unreadable.empty()) {
      return "packets of resolution level " + std::to_string(tile.complete_levels) + of_tile +
             " are absent";
    }
    if (parts.size() != tile.ends.size() || !tile.one_part_a_level) {
      if (!tile.unreadable.empty()) return tile.unreadable;
      return "the tile-parts" + of_tile + " are not one a resolution level";
    }
    if (tile.unreadable.empty()) return "";  // what is at hand agrees; the rest is announced
    // As many packets as tile-parts, and none is empty: a tile-part is a packet.
    constexpr std::uint64_t kEmptyPart = 14;
    const bool every_part_has_one =
        tile.packets == parts.size() &&
        std::all_of(parts.begin(), parts.end(),
                    [](const PartExtent& part) { return part.length > kEmptyPart; });
    return every_part_has_one ? "" : tile.unreadable;
  }

  std::optional<std::uint8_t> complete_reduce(const Cuts& cuts) const {
    bool followed = found_.size() == layout_.main.size.tiles();
    bool absent = false;
    std::size_t worst = 0;
    for (const auto& [index, tile] : found_) {
      if (!tile.unreadable.empty()) followed = false;
      if (tile.unreadable.empty() && !tile.all_seen) absent = true;
      worst = std::max(worst, tile.ends.size() - tile.complete_levels);
    }
    if (layout_.tiles.ended && !absent) return std::uint8_t{0};
    if (followed) {
      if (worst > layout_.decompositions) return std::nullopt;
      return static_cast<std::uint8_t>(worst);
    }
    for (std::size_t reduce = 0; reduce < cuts.points.size(); ++reduce) {
      if (bytes_.size() >= cuts.points[reduce]) return static_cast<std::uint8_t>(reduce);
    }
    return std::nullopt;
  }

  const Layout& layout_;
  Bytes bytes_;
  Budget budget_;
  std::map<std::uint32_t, std::vector<PartExtent>> extents_;
  std::map<std::uint32_t, TileCuts> found_;
};

}  // namespace

Cuts find_cuts(const Layout& layout, Bytes bytes) { return CutFinder(layout, bytes).find(); }

}  // namespace mersey::codestream
