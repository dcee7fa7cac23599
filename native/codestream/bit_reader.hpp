// Reads the bits of a packet header (ISO/IEC 15444-1 B.10.1): a byte after FF holds 7 bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codestream/byte_reader.hpp"

namespace mersey::codestream {

class BitReader {
 public:
  explicit BitReader(Bytes bytes) noexcept : bytes_(bytes) {}

  unsigned bit() {
    if (left_ == 0) load();
    --left_;
    return (byte_ >> left_) & 1U;
  }

  // `count` is 32 at most.
  std::uint32_t bits(unsigned count) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < count; ++i) value = (value << 1) | bit();
    return value;
  }

  // How many bytes the header took, with the byte that is stuffed after a last FF.
  std::size_t finish() {
    if (byte_ == 0xFF) load();
    left_ = 0;
    return at_;
  }

 private:
  void load() {
    if (at_ == bytes_.size()) throw Truncated("packet header runs past its tile-part", 0, at_);
    left_ = byte_ == 0xFF ? 7 : 8;
    byte_ = bytes_[at_++];
  }

  Bytes bytes_;
  std::size_t at_ = 0;
  unsigned byte_ = 0;
  unsigned left_ = 0;
};

}  // namespace mersey::codestream
