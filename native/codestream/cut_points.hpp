// Where a prefix of a codestream is a complete smaller image.
#pragma once

#include "codestream/layout.hpp"

namespace mersey::codestream {

// Everything of `layout` but its cuts is filled in; `bytes` start at SOC.
[[nodiscard]] Cuts find_cuts(const Layout& layout, Bytes bytes);

}  // namespace mersey::codestream
