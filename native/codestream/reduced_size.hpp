// SIZ of the image at a reduction (ISO/IEC 15444-1 B.5): a grid on which every tile-component is
// what its lower resolution level was.
#pragma once

#include "codestream/image_size.hpp"

namespace mersey::codestream {

// The reference grid is divided where that keeps every tile; else it stays and the sub-sampling
// factors grow, which is exact always but allows factors up to 255 only. Throws Impossible where
// nothing is left of the image, Unsupported where neither will do.
[[nodiscard]] ImageSize reduce_size(const ImageSize& size, unsigned reduce);

}  // namespace mersey::codestream
