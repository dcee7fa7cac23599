// What the files here share: a descriptor that is closed, and errors as exceptions.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <system_error>

namespace mersey::files {

using Path = std::string;

class Descriptor {
 public:
  explicit Descriptor(const Path& path, int flags = O_RDONLY)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

[[noreturn]] inline void fail(int error) {
  throw std::system_error(error, std::generic_category());
}

}  // namespace mersey::files
