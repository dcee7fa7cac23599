// Finds the codestream inside a JP2 or JPH file (ISO/IEC 15444-1 Annex I, 15444-15 Annex D).
// Never reads any other box.
#pragma once

#include <cstdint>

#include "codestream/byte_reader.hpp"

namespace mersey::codestream {

struct Located {
  Bytes bytes;           // from SOC on; what follows EOC may still be there
  std::uint64_t offset;  // where it starts in the data; 0 for a bare codestream
};

[[nodiscard]] Located locate_codestream(Bytes data);

}  // namespace mersey::codestream
