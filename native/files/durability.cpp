#include "files/durability.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

namespace mersey::files {
namespace {

constexpr std::size_t kThreads = 8;  // a disk's queue has room for more than gain by it

// 0 or the errno.
int sync_one(const Path& path) {
  const Descriptor file(path);
  if (file.number() < 0) return errno;
  int result = 0;
  do {
    result = ::fsync(file.number());
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

void begin_write_back([[maybe_unused]] const Path& path) {
#ifdef POSIX_FADV_DONTNEED
  // For dirty pages "not needed" means: begin to write them. No page of them is dropped yet.
  const Descriptor file(path);
  if (file.number() >= 0) ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
#endif
}

}  // namespace

void sync(std::span<const Path> paths) {
  if (paths.size() > 1) std::for_each(paths.begin(), paths.end(), begin_write_back);
  std::atomic<std::size_t> next{0};
  std::atomic<int> failed{0};
  const auto work = [&] {
    for (std::size_t at = next++; at < paths.size(); at = next++) {
      int none = 0;
      if (const int error = sync_one(paths[at])) failed.compare_exchange_strong(none, error);
    }
  };
  std::vector<std::thread> threads;
  try {
    for (std::size_t count = 1; count < std::min(kThreads, paths.size()); ++count) {
      threads.emplace_back(work);
    }
  } catch (const std::system_error&) {
    // With fewer threads it takes longer.
  }
  work();
  for (std::thread& thread : threads) thread.join();
  if (failed != 0) fail(failed);
}

std::vector<std::size_t> link(std::span<const Link> links) {
  std::vector<std::size_t> taken;
  for (std::size_t at = 0; at < links.size(); ++at) {
    if (::link(links[at].first.c_str(), links[at].second.c_str()) == 0) continue;
    if (errno != EEXIST) fail(errno);
    taken.push_back(at);
  }
  return taken;
}

void unlink(std::span<const Path> paths) {
  for (const Path& path : paths) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail(errno);
  }
}

}  // namespace mersey::files
