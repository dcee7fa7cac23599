// What the files of the module share.
#pragma once

#include <nanobind/nanobind.h>

#include "codestream/byte_reader.hpp"

namespace mersey {

// Holds a contiguous buffer for reading; needs the GIL to be made and to end.
class ReadableBuffer {
 public:
  explicit ReadableBuffer(nanobind::handle source) {
    if (PyObject_GetBuffer(source.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nanobind::python_error();
  }
  ReadableBuffer(const ReadableBuffer&) = delete;
  ReadableBuffer& operator=(const ReadableBuffer&) = delete;
  ~ReadableBuffer() { PyBuffer_Release(&view_); }

  [[nodiscard]] codestream::Bytes bytes() const noexcept {
    return {static_cast<const std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

// Rewriting, and the tables of markers and packets.
void define_surgery(nanobind::module_& m);

// Files made durable.
void define_files(nanobind::module_& m);

// Bytes found in others.
void define_search(nanobind::module_& m);

}  // namespace mersey
