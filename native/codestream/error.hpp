// The one exception of this library: what was found, what was expected, where.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace mersey::codestream {

class CodestreamError : public std::runtime_error {
 public:
  // `marker` is the code of the marker that was being read, 0 where none was; `offset` counts
  // from the first byte the caller handed in, wrapper included.
  CodestreamError(const std::string& message, std::uint16_t marker, std::uint64_t offset)
      : std::runtime_error(message), marker_(marker), offset_(offset) {}

  [[nodiscard]] std::uint16_t marker() const noexcept { return marker_; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

 private:
  std::uint16_t marker_;
  std::uint64_t offset_;
};

// The data ended where more of a valid codestream could follow; expected of a prefix.
class Truncated : public CodestreamError {
 public:
  using CodestreamError::CodestreamError;
};

// Packets that contradict the headers. Who knows the place makes a CodestreamError of it; a
// scan, which can do without packets, keeps the message.
class BadPackets : public std::runtime_error {
 public:
  // `offset` counts from SOC.
  explicit BadPackets(const std::string& message, std::uint64_t offset = 0)
      : std::runtime_error(message), offset_(offset) {}

  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

 private:
  std::uint64_t offset_;
};

// A valid codestream that a later step cannot follow; the message is the feature.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller asked for what this codestream cannot give.
class Impossible : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mersey::codestream
