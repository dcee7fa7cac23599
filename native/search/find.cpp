#include "search/find.hpp"

#include <bit>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace mersey::search {
namespace {

bool is_at(Bytes data, std::size_t at, Bytes wanted) {
  return std::memcmp(data.data() + at, wanted.data(), wanted.size()) == 0;
}

}  // namespace

std::size_t find(Bytes data, Bytes wanted) {
  const std::size_t length = wanted.size();
  if (length == 0) return 0;
  if (length > data.size()) return data.size();
  const std::size_t places = data.size() - length + 1;
  std::size_t at = 0;
#ifdef __SSE2__
  // Sixteen places at a time: only where first and last byte are right is the rest looked at.
  constexpr std::size_t kLanes = 16;
  const __m128i first = _mm_set1_epi8(static_cast<char>(wanted.front()));
  const __m128i last = _mm_set1_epi8(static_cast<char>(wanted.back()));
  const auto load = [&](std::size_t offset) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data.data() + offset));
  };
  for (; at + kLanes <= places; at += kLanes) {
    const __m128i both = _mm_and_si128(_mm_cmpeq_epi8(load(at), first),
                                       _mm_cmpeq_epi8(load(at + length - 1), last));
    auto hits = static_cast<unsigned>(_mm_movemask_epi8(both));
    for (; hits != 0; hits &= hits - 1) {
      const std::size_t place = at + static_cast<std::size_t>(std::countr_zero(hits));
      if (is_at(data, place, wanted)) return place;
    }
  }
#endif
  while (at < places) {
    const void* found = std::memchr(data.data() + at, wanted.front(), places - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - data.data());
    if (is_at(data, at, wanted)) return at;
    ++at;
  }
  return data.size();
}

}  // namespace mersey::search
