#include "fuzz/target.hpp"

using namespace mersey::codestream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::rewrite(data, size, fuzz::Keeps::some_packets,
                       [](const PacketIndex& index, std::uint8_t argument) {
                         return reduce(index, argument % 8);
                       });
}
