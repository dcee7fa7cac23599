#include "fuzz/target.hpp"

using namespace mersey::codestream;

namespace {

// To some 64ths of the input; for arguments above 127 to so many layers instead.
Assembly operate(const PacketIndex& index, std::uint8_t argument) {
  if (argument >= 128) {
    return truncate(index, std::nullopt, static_cast<std::uint16_t>(argument - 127));
  }
  const std::uint64_t most = index.bytes.size() * (argument % 64 + 1U) / 64;
  Assembly cut = truncate(index, most, std::nullopt);
  fuzz::require(cut.size() <= most);
  return cut;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::rewrite(data, size, fuzz::Keeps::some_packets, &operate);
}
