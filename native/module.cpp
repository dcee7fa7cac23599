// The border with Python: buffers in, values out, exceptions mapped. Only the files
// of the module know Python.
#include "module.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "codestream/layout.hpp"

namespace nb = nanobind;
using namespace mersey::codestream;
using mersey::ReadableBuffer;

namespace {

Layout scan_buffer(nb::handle data, bool complete) {
  const ReadableBuffer buffer(data);
  const nb::gil_scoped_release released;
  return scan(buffer.bytes(), complete);
}

// Whether `test` holds for the coding of every component in every tile whose header was seen.
template <typename Test>
bool everywhere(const Layout& layout, Test test) {
  const std::size_t count = layout.main.size.components.size();
  const auto holds = [&](const Coding& coding) {
    const bool default_counts = coding.style && coding.components.size() < count;
    return (!default_counts || test(coding.style->blocks)) &&
           std::all_of(coding.components.begin(), coding.components.end(),
                       [&](const auto& own) { return test(own.second); });
  };
  return holds(layout.main.coding) &&
         std::all_of(layout.tiles.headers.begin(), layout.tiles.headers.end(),
                     [&](const auto& tile) { return holds(tile.second.coding); });
}

nb::tuple components(const Layout& layout) {
  nb::list rows;
  for (const Component& one : layout.main.size.components) {
    rows.append(nb::make_tuple(one.precision, one.is_signed, one.xr, one.yr));
  }
  return nb::tuple(rows);
}

nb::tuple tile_parts(const Layout& layout) {
  nb::list rows;
  for (const PartExtent& part : layout.parts) {
    rows.append(nb::make_tuple(part.tile, part.index, part.offset, part.length));
  }
  return nb::tuple(rows);
}

void define_layout(nb::module_& m) {
  nb::class_<Layout>(m, "Layout", "What one codestream is; offsets count from SOC.")
      .def_ro("wrapper_bytes", &Layout::wrapper)
      .def_ro("decompositions", &Layout::decompositions)
      .def_prop_ro("image_area",
                   [](const Layout& self) {
                     const ImageSize& size = self.main.size;
                     return nb::make_tuple(size.xosiz, size.yosiz, size.xsiz, size.ysiz);
                   })
      .def_prop_ro("tiles", [](const Layout& self) { return self.main.size.tiles(); })
      .def_prop_ro("components", &components)
      .def_prop_ro("layers", [](const Layout& self) { return self.main.style().layers; })
      .def_prop_ro("progression",
                   [](const Layout& self) {
                     return progression_name(self.main.style().progression);
                   })
      .def_prop_ro("colour_transform",
                   [](const Layout& self) { return self.main.style().colour_transform; })
      .def_prop_ro("reversible",
                   [](const Layout& self) {
                     return everywhere(self, [](const BlockCoding& blocks) {
                       return blocks.transform == 1;
                     });
                   })
      .def_prop_ro("ht",
                   [](const Layout& self) {
                     return !everywhere(
                         self, [](const BlockCoding& blocks) { return !blocks.ht(); });
                   })
      .def_prop_ro("has_tlm", [](const Layout& self) { return self.main.has_tlm; })
      .def_prop_ro("has_poc",
                   [](const Layout& self) {
                     return !self.main.coding.changes.empty() ||
                            std::any_of(self.tiles.headers.begin(), self.tiles.headers.end(),
                                        [](const auto& tile) {
                                          return !tile.second.coding.changes.empty();
                                        });
                   })
      .def_prop_ro("has_eoc", [](const Layout& self) { return self.tiles.has_eoc; })
      .def_prop_ro("main_header_bytes", [](const Layout& self) { return self.main.length; })
      .def_prop_ro("length_bytes",
                   [](const Layout& self) -> std::optional<std::uint64_t> {
                     if (!self.tiles.ended) return std::nullopt;
                     return self.tiles.length;
                   })
      .def_prop_ro("tile_parts", &tile_parts)
      .def_prop_ro("cut_points",
                   [](const Layout& self) -> std::optional<std::vector<std::uint64_t>> {
                     if (self.cuts.evidence == Evidence::none) return std::nullopt;
                     return self.cuts.points;
                   })
      .def_prop_ro("cut_evidence",
                   [](const Layout& self) {
                     constexpr const char* kNames[] = {"none", "packets", "tile-parts"};
                     return kNames[static_cast<std::size_t>(self.cuts.evidence)];
                   })
      .def_prop_ro("why_no_cut_points", [](const Layout& self) { return self.cuts.why_none; })
      .def_prop_ro("complete_reduce",
                   [](const Layout& self) { return self.cuts.complete_reduce; });
}

void raise(const char* name, const char* message, const nb::kwargs& fields) {
  const nb::object type = nb::module_::import_("mersey.codecs.errors").attr(name);
  const nb::object raised = type(message, **fields);
  PyErr_SetObject(type.ptr(), raised.ptr());
}

// The exceptions of this library become those of mersey.codecs.errors.
void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const CodestreamError& error) {
    nb::kwargs fields;
    fields["marker"] = error.marker() == 0 ? nb::object(nb::none()) : nb::int_(error.marker());
    fields["offset_bytes"] = error.offset();
    raise("CodestreamError", error.what(), fields);
  } catch (const Unsupported& error) {
    nb::kwargs fields;
    fields["feature"] = error.what();
    raise("UnsupportedError", (std::string("not supported: ") + error.what()).c_str(), fields);
  } catch (const Impossible& error) {
    raise("UsageError", error.what(), nb::kwargs());
  }
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Codestream surgery: bit-level work on JPEG 2000 and HTJ2K. Files made durable.";
  nb::register_exception_translator(&translate);
  define_layout(m);
  m.def("scan", &scan_buffer, nb::arg("data"), nb::kw_only(), nb::arg("complete") = true,
        "Find headers, tile-parts and cut points of a codestream, bare or inside a JP2.");
  mersey::define_surgery(m);
  mersey::define_files(m);
  mersey::define_search(m);
}
