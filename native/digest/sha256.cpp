#include "digest/sha256.hpp"

#include <algorithm>
#include <cstring>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace mersey::digest {
namespace {

constexpr std::size_t kBlock = 64;

#ifdef __x86_64__

alignas(16) constexpr std::array<std::uint32_t, 64> kConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The instructions have the state as ABEF and CDGH (FIPS 180-4 §6.2.2; Intel SDM, SHA256RNDS2).
__attribute__((target("sha,sse4.1"))) void compress(std::array<std::uint32_t, 8>& state,
                                                     const std::uint8_t* data, std::size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  auto* words = reinterpret_cast<__m128i*>(state.data());
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; blocks != 0; --blocks, data += kBlock) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i message[4];
#pragma GCC unroll 16
    for (int group = 0; group < 16; ++group) {
      __m128i& next = message[group % 4];
      if (group < 4) {
        const auto* from = reinterpret_cast<const __m128i*>(data) + group;
        next = _mm_shuffle_epi8(_mm_loadu_si128(from), big_endian);
      } else {
        const __m128i last = message[(group + 3) % 4];
        const __m128i older = _mm_alignr_epi8(last, message[(group + 2) % 4], 4);
        const __m128i oldest = _mm_sha256msg1_epu32(next, message[(group + 1) % 4]);
        next = _mm_sha256msg2_epu32(_mm_add_epi32(oldest, older), last);
      }
      const auto* constants = reinterpret_cast<const __m128i*>(kConstants.data()) + group;
      const __m128i sum = _mm_add_epi32(next, _mm_load_si128(constants));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#else

void compress(std::array<std::uint32_t, 8>&, const std::uint8_t*, std::size_t) {}

#endif

}  // namespace

bool has_instructions() {
#ifdef __x86_64__
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kSha = 1U << 29;  // Intel SDM, CPUID leaf 07H
  return (b & kSha) != 0 && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("pclmul");
#else
  return false;
#endif
}

void Sha256::update(Bytes data) {
  const std::size_t filled = length_ % kBlock;
  length_ += data.size();
  if (filled != 0) {
    const std::size_t taken = std::min(kBlock - filled, data.size());
    std::copy_n(data.begin(), taken, kept_.begin() + static_cast<std::ptrdiff_t>(filled));
    data = data.subspan(taken);
    if (filled + taken < kBlock) return;
    compress(state_, kept_.data(), 1);
  }
  compress(state_, data.data(), data.size() / kBlock);
  const Bytes rest = data.last(data.size() % kBlock);
  std::copy(rest.begin(), rest.end(), kept_.begin());
}

std::array<std::uint8_t, 32> Sha256::digest() const {
  // One bit, zeros, and the length in bits fill the last blocks (FIPS 180-4 §5.1.1).
  std::array<std::uint8_t, 2 * kBlock> tail{};
  const std::size_t filled = length_ % kBlock;
  std::copy_n(kept_.begin(), filled, tail.begin());
  tail[filled] = 0x80;
  const std::size_t blocks = filled + 9 > kBlock ? 2 : 1;
  for (std::size_t i = 0; i < 8; ++i) {
    tail[blocks * kBlock - 1 - i] = static_cast<std::uint8_t>((length_ * 8) >> (8 * i));
  }
  auto state = state_;
  compress(state, tail.data(), blocks);
  std::array<std::uint8_t, 32> found{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  }
  return found;
}

}  // namespace mersey::digest
