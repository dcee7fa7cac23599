#include "fuzz/target.hpp"

using namespace mersey::codestream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::rewrite(data, size, fuzz::Keeps::some_packets, [size](const PacketIndex& index, std::uint8_t argument) {
    const std::uint64_t most = size * (argument % 64 + 1U) / 64;
    Assembly cut = truncate(index, most, std::nullopt);
    fuzz::require(cut.size() <= most);
    return argument < 128 ? std::move(cut)
                          : truncate(index, std::nullopt, static_cast<std::uint16_t>(argument - 127));
  });
}
