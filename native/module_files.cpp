// The border with Python for files: names in, OSError out, the GIL released all the while.
#include <nanobind/stl/vector.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "files/durability.hpp"
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

}  // namespace

void define_files(nb::module_& m) {
  m.def("sync_files", &sync_files, nb::arg("paths"),
        "Have the bytes of all files, or the names in folders, on the disk.");
  m.def("link_files", &link_files, nb::arg("links"),
        "Give files a second name each; the numbers of those whose name was taken.");
  m.def("unlink_files", &unlink_files, nb::arg("paths"), "Remove names that may be gone.");
}

}  // namespace mersey
