// Tag trees (ISO/IEC 15444-1 B.10.2): minima of a grid of small numbers, decoded as needed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codestream/bit_reader.hpp"

namespace mersey::codestream {

class TagTree {
 public:
  // Forgets everything; keeps its memory.
  void reset(std::uint32_t across, std::uint32_t down) {
    across_ = across;
    down_ = down;
    std::size_t nodes = 0;
    for (;;) {
      const std::size_t level = std::size_t{across} * down;
      nodes += level;
      if (level <= 1) break;
      across = (across + 1) / 2;
      down = (down + 1) / 2;
    }
    nodes_.assign(nodes, Node{});
  }

  // Reads until it is known whether the number at (x, y) is less than `threshold`.
  bool less_than(BitReader& bits, std::uint32_t x, std::uint32_t y, std::uint16_t threshold) {
    std::array<std::size_t, kMostLevels> path;  // from the leaf to the root
    unsigned depth = 0;
    std::size_t first = 0;
    for (std::uint32_t across = across_, down = down_;;) {
      path[depth] = first + std::size_t{y >> depth} * across + (x >> depth);
      ++depth;
      if ((across == 1 && down == 1) || depth == kMostLevels) break;
      first += std::size_t{across} * down;
      across = (across + 1) / 2;
      down = (down + 1) / 2;
    }
    std::uint16_t low = 0;
    for (unsigned level = depth; level-- > 0;) {
      Node& node = nodes_[path[level]];
      low = std::max(low, node.low);
      while (low < threshold && low < node.value) {
        if (bits.bit() != 0) {
          node.value = low;
        } else {
          ++low;
        }
      }
      node.low = low;
    }
    return nodes_[path[0]].value < threshold;
  }

 private:
  struct Node {
    std::uint16_t value = 0xFFFF;  // not known
    std::uint16_t low = 0;         // it is not less than this
  };

  static constexpr unsigned kMostLevels = 33;  // of a grid whose sides are 32-bit

  std::uint32_t across_ = 0, down_ = 0;
  std::vector<Node> nodes_;
};

}  // namespace mersey::codestream
