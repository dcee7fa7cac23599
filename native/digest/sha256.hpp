// SHA-256 (FIPS 180-4) by the instructions that x86-64 has for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mersey::digest {

using Bytes = std::span<const std::uint8_t>;

// Whether this processor has the instructions; without them nothing here may be called.
bool has_instructions();

class Sha256 {
 public:
  void update(Bytes data);
  // The digest of all that came; more may follow.
  [[nodiscard]] std::array<std::uint8_t, 32> digest() const;

 private:
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> kept_{};  // what does not fill a block yet
  std::uint64_t length_ = 0;
};

}  // namespace mersey::digest
