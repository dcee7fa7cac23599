#include "fuzz/target.hpp"

using namespace mersey::codestream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool complete : {true, false}) {
    try {
      const Layout layout = scan({data, size}, complete);
      for (const std::uint64_t point : layout.cuts.points) {
        fuzz::require(!complete || point <= size);
      }
    } catch (const CodestreamError& error) {
      fuzz::require(error.offset() <= size);
    }
  }
  return 0;
}
