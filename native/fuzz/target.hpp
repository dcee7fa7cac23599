// What the fuzz targets share. A target may be refused in any way that the library refuses; it
// must not crash, hang, take memory beyond its bytes, or give a codestream that it would not take
// itself.
//
// The last byte of the input is the argument of the operation: what follows EOC is no part of
// a codestream, so one corpus serves all targets.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codestream/layout.hpp"
#include "codestream/surgery.hpp"

namespace mersey::codestream::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

enum class Keeps { every_packet, some_packets };

// `operate` makes an Assembly of an index and the argument; what it makes is read back.
template <typename Operate>
int rewrite(const std::uint8_t* data, std::size_t size, Keeps keeps, Operate operate) {
  if (size == 0) return 0;
  const std::uint8_t argument = data[size - 1];
  std::vector<std::uint8_t> out;
  std::size_t packets = 0;
  try {
    const PacketIndex index = index_packets({data, size - 1});
    packets = index.rows.size();
    const Assembly assembly = operate(index, argument);
    out.resize(static_cast<std::size_t>(assembly.size()));
    assembly.write(out);
  } catch (const CodestreamError&) {
    return 0;
  } catch (const Unsupported&) {
    return 0;
  } catch (const Impossible&) {
    return 0;
  }
  try {
    const std::size_t found = index_packets(out).rows.size();
    require(keeps == Keeps::every_packet ? found == packets : found <= packets);
  } catch (const Unsupported&) {
    return 0;  // the budget goes by the bytes, which are fewer now
  }
  return 0;
}

}  // namespace mersey::codestream::fuzz
