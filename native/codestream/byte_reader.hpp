// Reads big-endian integers from a span; every read is checked, none goes past the end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "codestream/error.hpp"
#include "codestream/markers.hpp"

namespace mersey::codestream {

using Bytes = std::span<const std::uint8_t>;

class ByteReader {
 public:
  // `origin` is where `bytes` starts in the caller's data, `context` the marker in whose
  // segment it lies: both go into errors.
  explicit ByteReader(Bytes bytes, std::uint64_t origin = 0, std::uint16_t context = 0) noexcept
      : bytes_(bytes), origin_(origin), context_(context) {}

  [[nodiscard]] std::uint64_t offset() const noexcept { return origin_ + at_; }
  [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size() - at_; }
  [[nodiscard]] bool holds(std::size_t count) const noexcept { return remaining() >= count; }

  std::uint8_t u8() { return static_cast<std::uint8_t>(big_endian(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(big_endian(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(big_endian(4)); }
  std::uint64_t u64() { return big_endian(8); }

  // The marker segment whose marker `code` was just read: its length is behind it, its
  // parameters are ahead, and this reader is past it.
  ByteReader segment(std::uint16_t code) {
    const std::uint64_t place = offset() - 2;
    const std::string where = marker_name(code) + " at byte " + std::to_string(place) + ": ";
    if (!holds(2)) throw Truncated(where + "the data end before its length", code, place);
    const std::size_t length = u16();
    if (length < 2) {
      throw CodestreamError(where + "its length is " + std::to_string(length) +
                                ", expected 2 or more",
                            code, place);
    }
    if (!holds(length - 2)) {
      throw Truncated(where + "its length is " + std::to_string(length) + ", " +
                          std::to_string(remaining() + 2) + " bytes are left",
                      code, place);
    }
    ByteReader inner(bytes_.subspan(at_, length - 2), offset(), code);
    at_ += length - 2;
    return inner;
  }

  // What is ahead, up to `count` bytes.
  [[nodiscard]] Bytes ahead(std::size_t count) const noexcept {
    return bytes_.subspan(at_, std::min(count, remaining()));
  }

  void skip(std::size_t count) {
    need(count);
    at_ += count;
  }

  // Refuse what is being read: the message opens with the marker's name and the place.
  [[noreturn]] void refuse(const std::string& why) const { refuse_at(why, offset()); }

  [[noreturn]] void refuse_at(const std::string& why, std::uint64_t where) const {
    const std::string what = context_ == 0 ? std::string("codestream") : marker_name(context_);
    throw CodestreamError(what + " at byte " + std::to_string(where) + ": " + why, context_, where);
  }

 private:
  void need(std::size_t count) const {
    if (holds(count)) return;
    const std::string why =
        "needs " + std::to_string(count) + " bytes, " + std::to_string(remaining()) + " are left";
    if (context_ != 0) refuse(why);  // a segment too short for its own fields
    throw Truncated("codestream at byte " + std::to_string(offset()) + ": " + why, 0, offset());
  }

  std::uint64_t big_endian(std::size_t count) {
    need(count);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value = (value << 8) | bytes_[at_ + i];
    at_ += count;
    return value;
  }

  Bytes bytes_;
  std::uint64_t origin_;
  std::size_t at_ = 0;
  std::uint16_t context_;
};

}  // namespace mersey::codestream
