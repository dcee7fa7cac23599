// Bytes put into files, past the page cache where that is allowed. Errors are std::system_error
// with the errno.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "files/descriptor.hpp"

namespace mersey::files {

// What of a buffer goes where.
struct Piece {
  Path path;
  std::size_t start;
  std::size_t length;
  std::uint64_t offset;  // in the file
  bool past_cache;       // nobody reads it soon
};

// Put pieces of `data` into their files, which are made where they are not there.
//
// Through the page cache each 4 KiB costs a copy, a page to find and its write-back: several times
// what the disk takes. What nobody reads soon goes to the disk straight (O_DIRECT, open(2)): the
// whole pages of a long piece that lies in memory as in the pages of its file. The rest of it, and
// all of it where a file system knows no such thing, goes the ordinary way. Nothing is synced.
void write(std::span<const std::uint8_t> data, std::span<const Piece> pieces);

}  // namespace mersey::files
