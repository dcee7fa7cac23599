#include "fuzz/target.hpp"

using namespace mersey::codestream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::rewrite(data, size, fuzz::Keeps::every_packet,
                       [](const PacketIndex& index, std::uint8_t argument) {
                         return to_progressive(index, argument % 2 == 1);
                       });
}
