#include "files/pieces.hpp"

#include <cerrno>
#include <optional>

namespace mersey::files {
namespace {

constexpr std::size_t kPage = 4096;  // what every file system and disk is content with
constexpr std::size_t kLong = 64 << 10;

using Bytes = std::span<const std::uint8_t>;

// How many of `data` were written before something else than the end; `error` says what.
std::size_t write_some(int file, Bytes data, std::uint64_t offset, int& error) {
  std::size_t written = 0;
  error = 0;
  while (written < data.size()) {
    const ssize_t count = ::pwrite(file, data.data() + written, data.size() - written,
                                   static_cast<off_t>(offset + written));
    if (count > 0) {
      written += static_cast<std::size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      error = count == 0 ? ENOSPC : errno;
      break;
    }
  }
  return written;
}

#ifdef O_DIRECT

// How many of `data`, which begins with a page, went past the page cache: in whole pages, and
// none where the file system does not do that.
std::size_t write_directly(int file, Bytes data, std::uint64_t offset) {
  const int flags = ::fcntl(file, F_GETFL);
  if (flags < 0 || ::fcntl(file, F_SETFL, flags | O_DIRECT) != 0) return 0;
  int error = 0;
  const std::size_t whole = data.size() / kPage * kPage;
  const std::size_t written = write_some(file, data.first(whole), offset, error);
  if (::fcntl(file, F_SETFL, flags) != 0) fail(errno);
  if (error != 0 && error != EINVAL) fail(error);  // EINVAL: it may be opened so, not written so
  return written;
}

#else

std::size_t write_directly(int, Bytes, std::uint64_t) { return 0; }

#endif

void begin_write_back([[maybe_unused]] int file, [[maybe_unused]] std::uint64_t offset,
                      [[maybe_unused]] std::size_t length) {
#ifdef POSIX_FADV_DONTNEED
  // For dirty pages "not needed" means: begin to write them, so that a sync finds little left.
  ::posix_fadvise(file, static_cast<off_t>(offset), static_cast<off_t>(length),
                  POSIX_FADV_DONTNEED);
#endif
}

void write_through_cache(int file, Bytes data, std::uint64_t offset) {
  int error = 0;
  write_some(file, data, offset, error);
  if (error != 0) fail(error);
  if (data.size() >= kPage) begin_write_back(file, offset, data.size());
}

// How many bytes there are before the first whole page, where memory and file are cut alike.
std::optional<std::size_t> before_pages(Bytes data, std::uint64_t offset) {
  const auto address = reinterpret_cast<std::uintptr_t>(data.data());
  if (data.size() < kLong || (address - offset) % kPage != 0) return std::nullopt;
  return (kPage - offset % kPage) % kPage;
}

void write_one(Bytes data, const Piece& piece) {
  const Descriptor file(piece.path, O_WRONLY | O_CREAT);
  if (file.number() < 0) fail(errno);
  std::size_t done = 0;
  if (const auto head = before_pages(data, piece.offset); head && piece.past_cache) {
    write_through_cache(file.number(), data.first(*head), piece.offset);
    done = *head + write_directly(file.number(), data.subspan(*head), piece.offset + *head);
  }
  write_through_cache(file.number(), data.subspan(done), piece.offset + done);
}

}  // namespace

void write(Bytes data, std::span<const Piece> pieces) {
  for (const Piece& piece : pieces) {
    write_one(data.subspan(piece.start, piece.length), piece);
  }
}

}  // namespace mersey::files
