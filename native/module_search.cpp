// The border with Python for searching. The GIL is kept: to get it back takes longer.
#include "module.hpp"
#include "search/find.hpp"

namespace nb = nanobind;

namespace mersey {
namespace {

Py_ssize_t find_in(nb::handle data, nb::handle wanted, std::size_t start) {
  const ReadableBuffer buffer(data);
  const ReadableBuffer needle(wanted);
  const auto bytes = buffer.bytes();
  if (start > bytes.size()) return -1;
  const auto rest = bytes.subspan(start);
  const std::size_t found = search::find(rest, needle.bytes());
  return found == rest.size() ? -1 : static_cast<Py_ssize_t>(start + found);
}

}  // namespace

void define_search(nb::module_& m) {
  m.def("find", &find_in, nb::arg("data"), nb::arg("wanted"), nb::arg("start") = 0,
        "Where bytes are first found, from `start` on; -1 where they are not.");
}

}  // namespace mersey
