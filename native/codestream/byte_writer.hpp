// Appends big-endian integers to a vector.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "codestream/byte_reader.hpp"

namespace mersey::codestream {

class ByteWriter {
 public:
  void u8(std::uint64_t value) { bytes_.push_back(static_cast<std::uint8_t>(value)); }
  void u16(std::uint64_t value) { put(value, 2); }
  void u32(std::uint64_t value) { put(value, 4); }
  void append(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  // A marker with its segment; `payload` is what follows the length.
  void segment(std::uint16_t code, Bytes payload) {
    u16(code);
    u16(payload.size() + 2);
    append(payload);
  }

  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::vector<std::uint8_t> take() noexcept { return std::move(bytes_); }

 private:
  void put(std::uint64_t value, unsigned count) {
    for (unsigned i = count; i-- > 0;) u8(value >> (8 * i) & 0xFF);
  }

  std::vector<std::uint8_t> bytes_;
};

}  // namespace mersey::codestream
