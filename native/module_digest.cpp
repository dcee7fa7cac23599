// The border with Python for bytes that are digested as they are written, the GIL released.
#include <nanobind/stl/string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <string>
#include <system_error>

#include "digest/crc32.hpp"
#include "digest/sha256.hpp"
#include "module.hpp"

namespace nb = nanobind;

namespace mersey {
namespace {

using digest::Bytes;

void write_all(int descriptor, Bytes data) {
  while (!data.empty()) {
    const ssize_t count = ::write(descriptor, data.data(), data.size());
    if (count >= 0) {
      data = data.subspan(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      throw std::system_error(errno, std::generic_category());
    }
  }
}

class WritingDigest {
 public:
  void write(int descriptor, nb::sequence pieces) {
    std::deque<ReadableBuffer> buffers;
    for (nb::handle piece : pieces) buffers.emplace_back(piece);
    try {
      const nb::gil_scoped_release without;
      for (const ReadableBuffer& buffer : buffers) {
        write_all(descriptor, buffer.bytes());
        add(buffer.bytes());
      }
    } catch (const std::system_error& error) {
      errno = error.code().value();
      PyErr_SetFromErrno(PyExc_OSError);
      throw nb::python_error();
    }
  }

  void update(nb::handle data) {
    const ReadableBuffer buffer(data);
    const nb::gil_scoped_release without;
    add(buffer.bytes());
  }

  [[nodiscard]] std::string sha256() const {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string found;
    for (const std::uint8_t byte : sha256_.digest()) {
      found += kDigits[byte >> 4];
      found += kDigits[byte & 15];
    }
    return found;
  }

  [[nodiscard]] std::uint32_t crc32() const { return crc32_; }

 private:
  // Both look at bytes while they are in the cache.
  void add(Bytes data) {
    constexpr std::size_t kTogether = 32 << 10;
    while (!data.empty()) {
      const Bytes next = data.first(std::min(kTogether, data.size()));
      sha256_.update(next);
      crc32_ = digest::crc32(crc32_, next);
      data = data.subspan(next.size());
    }
  }

  digest::Sha256 sha256_;
  std::uint32_t crc32_ = 0;
};

}  // namespace

void define_digest(nb::module_& m) {
  m.def("has_digest_instructions", &digest::has_instructions,
        "Whether this processor has what `WritingDigest` needs.");
  nb::class_<WritingDigest>(m, "WritingDigest",
                            "SHA-256 and CRC-32 of what is written to a file. For one thread.")
      .def(nb::init<>())
      .def("write", &WritingDigest::write, nb::arg("descriptor"), nb::arg("pieces"),
           "Write pieces where the file stands, one after the other. OSError where it fails.")
      .def("update", &WritingDigest::update, nb::arg("data"), "Digest bytes that are written.")
      .def_prop_ro("sha256", &WritingDigest::sha256, "Hexadecimal.")
      .def_prop_ro("crc32", &WritingDigest::crc32, "As zlib.crc32.");
}

}  // namespace mersey
