// Files made durable, many at a time. Errors are std::system_error with the errno.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "files/descriptor.hpp"

namespace mersey::files {

using Link = std::pair<Path, Path>;

// Have the bytes of all on the disk: their write-back is begun first, then several threads wait
// for it, so that the disk has all that is to be flushed at once. Of folders, their names.
void sync(std::span<const Path> paths);

// Give each file its second name; which of them were taken already.
std::vector<std::size_t> link(std::span<const Link> links);

// Remove names that may be gone.
void unlink(std::span<const Path> paths);

}  // namespace mersey::files
