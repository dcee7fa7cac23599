// The border with Python for files: names in, OSError out, the GIL released all the while.
#include <nanobind/stl/vector.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "files/durability.hpp"
#include "files/pieces.hpp"
#include "module.hpp"

namespace nb = nanobind;

namespace mersey {
namespace {

files::Path path_of(nb::handle value) {
  const auto bytes = nb::cast<nb::bytes>(value);
  return {bytes.c_str(), bytes.size()};
}

std::vector<files::Path> paths_of(nb::sequence values) {
  std::vector<files::Path> paths;
  for (nb::handle value : values) paths.push_back(path_of(value));
  return paths;
}

// What `operate` gives, without the GIL; its std::system_error as OSError.
template <typename Operate>
auto released(Operate operate) {
  try {
    const nb::gil_scoped_release without;
    return operate();
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrno(PyExc_OSError);
    throw nb::python_error();
  }
}

void sync_files(nb::sequence values) {
  const auto paths = paths_of(values);
  released([&] { files::sync(paths); });
}

std::vector<std::size_t> link_files(nb::sequence values) {
  std::vector<files::Link> links;
  for (nb::handle value : values) links.emplace_back(path_of(value[0]), path_of(value[1]));
  return released([&] { return files::link(links); });
}

void unlink_files(nb::sequence values) {
  const auto paths = paths_of(values);
  released([&] { files::unlink(paths); });
}

void write_pieces(nb::handle data, nb::sequence values) {
  const ReadableBuffer buffer(data);
  std::vector<files::Piece> pieces;
  for (nb::handle value : values) {
    files::Piece piece{path_of(value[0]), nb::cast<std::size_t>(value[1]),
                       nb::cast<std::size_t>(value[2]), nb::cast<std::uint64_t>(value[3]),
                       nb::cast<bool>(value[4])};
    const std::size_t size = buffer.bytes().size();
    if (piece.start > size || piece.length > size - piece.start) {
      throw nb::index_error("a piece is beyond the end");
    }
    pieces.push_back(std::move(piece));
  }
  released([&] { files::write(buffer.bytes(), pieces); });
}

}  // namespace

void define_files(nb::module_& m) {
  m.def("sync_files", &sync_files, nb::arg("paths"),
        "Have the bytes of all files, or the names in folders, on the disk.");
  m.def("link_files", &link_files, nb::arg("links"),
        "Give files a second name each; the numbers of those whose name was taken.");
  m.def("write_pieces", &write_pieces, nb::arg("data"), nb::arg("pieces"),
        "Put pieces of a buffer into files: (name, start, length, offset, past cache).");
  m.def("unlink_files", &unlink_files, nb::arg("paths"), "Remove names that may be gone.");
}

}  // namespace mersey
