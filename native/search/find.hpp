// A short sequence of bytes in a long one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mersey::search {

using Bytes = std::span<const std::uint8_t>;

// Where `wanted` is first found in `data`; data.size() where it is not. Each place is compared at
// most once, to the first byte that differs.
std::size_t find(Bytes data, Bytes wanted);

}  // namespace mersey::search
