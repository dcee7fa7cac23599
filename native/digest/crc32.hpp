// CRC-32 as of zip and gzip (ISO 3309, RFC 1952 §8), by carry-less multiplication.
#pragma once

#include <cstdint>

#include "digest/sha256.hpp"

namespace mersey::digest {

// The CRC-32 of what has `crc` and of `data` after it; 0 begins. Only where `has_instructions`.
std::uint32_t crc32(std::uint32_t crc, Bytes data);

}  // namespace mersey::digest
