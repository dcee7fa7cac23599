#include "digest/crc32.hpp"

#include <array>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace mersey::digest {
namespace {

constexpr std::uint32_t kPolynomial = 0xedb88320;  // reflected

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}

constexpr auto kTable = make_table();

std::uint32_t by_bytes(std::uint32_t remainder, Bytes data) {
  for (const std::uint8_t byte : data) {
    remainder = (remainder >> 8) ^ kTable[(remainder ^ byte) & 0xff];
  }
  return remainder;
}

#ifdef __x86_64__

constexpr std::size_t kStride = 64;
constexpr std::size_t kLane = 16;

#define MERSEY_CLMUL __attribute__((target("pclmul,sse4.1")))

MERSEY_CLMUL __m128i load(const std::uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

// `value` moved over as many bits as `constants` stand for, and `next` after it.
MERSEY_CLMUL __m128i fold(__m128i value, __m128i constants, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(value, constants, 0x00);
  const __m128i high = _mm_clmulepi64_si128(value, constants, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction (Intel,
// 2009): the constants are those of its section for reflected data. At least 64 bytes, in lanes.
MERSEY_CLMUL std::uint32_t by_lanes(std::uint32_t remainder, Bytes data) {
  const __m128i by_four = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  const __m128i by_one = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
  const std::uint8_t* at = data.data();
  std::size_t left = data.size() - kStride;
  __m128i lanes[4] = {load(at), load(at + kLane), load(at + 2 * kLane), load(at + 3 * kLane)};
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(static_cast<int>(remainder)));
  at += kStride;
  for (; left >= kStride; left -= kStride, at += kStride) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) lanes[i] = fold(lanes[i], by_four, load(at + i * kLane));
  }
  __m128i sum = lanes[0];
  for (std::size_t i = 1; i < 4; ++i) sum = fold(sum, by_one, lanes[i]);
  for (; left >= kLane; left -= kLane, at += kLane) sum = fold(sum, by_one, load(at));
  // 128 bits to 64, then to 32 (Barrett).
  const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);
  sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, by_one, 0x10));
  const __m128i upper = _mm_srli_si128(sum, 4);
  const __m128i to_64 = _mm_set_epi64x(0, 0x0163cd6124);
  sum = _mm_xor_si128(upper, _mm_clmulepi64_si128(_mm_and_si128(sum, low_words), to_64, 0x00));
  const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(sum, low_words), barrett, 0x10);
  quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), barrett, 0x00);
  return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(sum, quotient), 1));
}

#endif

}  // namespace

std::uint32_t crc32(std::uint32_t crc, Bytes data) {
  std::uint32_t remainder = ~crc;
#ifdef __x86_64__
  if (data.size() >= kStride) {
    const Bytes lanes = data.first(data.size() - data.size() % kLane);
    remainder = by_lanes(remainder, lanes);
    data = data.subspan(lanes.size());
  }
#endif
  return ~by_bytes(remainder, data);
}

}  // namespace mersey::digest
