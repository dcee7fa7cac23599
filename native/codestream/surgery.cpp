#include "codestream/surgery.hpp"

#include <algorithm>
#include <string>

#include "codestream/header_edit.hpp"
#include "codestream/truncation.hpp"

namespace mersey::codestream {
namespace {

constexpr std::uint64_t kSopLength = 6;

// Its own, or what COD says beside POC.
Target as_it_is(const PacketIndex& index) {
  return {.progression = index.main.style().progression, .part_per_resolution = true};
}

}  // namespace

Assembly to_progressive(const PacketIndex& index, bool packet_lengths) {
  return Assembly(index, {.progression = Progression::RPCL,
                          .part_per_resolution = true,
                          .packet_lengths = packet_lengths});
}

Assembly reduce(const PacketIndex& index, std::uint8_t by) {
  Target target = as_it_is(index);
  target.reduce = by;
  return Assembly(index, target);
}

Assembly reorder(const PacketIndex& index, Progression progression) {
  return Assembly(index, {.progression = progression, .part_per_resolution = true});
}

Assembly truncate(const PacketIndex& index, std::optional<std::uint64_t> most_bytes,
                  std::optional<std::uint16_t> layers) {
  Target target = as_it_is(index);
  if (layers) target.layers = *layers;
  if (!most_bytes || Assembly(index, target).size() <= *most_bytes) {
    return Assembly(index, target);
  }
  const Truncation cut = truncate_to(index, target, *most_bytes);
  target.layers = cut.layers;
  target.kept = &cut.kept;
  return Assembly(index, target);
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> resolution_ranges(const PacketIndex& index,
                                                                       std::uint8_t reduce) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;  // begin and end, from SOC
  runs.emplace_back(0, index.main.length);
  for (const TilePart& part : index.tiles.parts) runs.emplace_back(part.offset, part.body_offset);
  for (const PacketRow& packet : index.rows) {
    const auto& levels = index.by_tile[packet.tile].first[packet.component];
    if (levels.size() <= reduce) {
      throw Impossible("reduce is " + std::to_string(reduce) + ", this codestream has 0–" +
                       std::to_string(levels.size() - 1));
    }
    if (packet.level + std::size_t{reduce} >= levels.size()) continue;
    const bool packed = (packet.flags & PacketRow::kPacked) != 0;
    const std::uint64_t begin = packed ? packet.body_offset : packet.header_offset;
    const std::uint64_t sop = (packet.flags & PacketRow::kSop) != 0 ? kSopLength : 0;
    runs.emplace_back(begin - sop, packet.body_offset + packet.body_length);
  }
  std::sort(runs.begin(), runs.end());
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [begin, end] : runs) {
    if (begin == end) continue;
    const std::uint64_t at = index.wrapper + begin;
    if (!ranges.empty() && ranges.back().first + ranges.back().second == at) {
      ranges.back().second += end - begin;
    } else {
      ranges.emplace_back(at, end - begin);
    }
  }
  return ranges;
}

}  // namespace mersey::codestream
