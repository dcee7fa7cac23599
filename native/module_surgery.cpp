// The border with Python for rewriting codestreams: bytes in, new bytes out.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "codestream/boxes.hpp"
#include "codestream/surgery.hpp"
#include "module.hpp"

namespace nb = nanobind;
using namespace mersey::codestream;

namespace mersey {
namespace {

// `operate` makes an Assembly of a PacketIndex. The bytes of the result are written once, into
// their place; the GIL is held only to make that place.
template <typename Operate>
nb::bytes rewrite(nb::handle data, Operate operate) {
  const ReadableBuffer buffer(data);
  std::optional<PacketIndex> index;
  std::optional<Assembly> assembly;
  {
    const nb::gil_scoped_release released;
    index.emplace(index_packets(buffer.bytes()));
    assembly.emplace(operate(*index));
  }
  PyObject* made =
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(assembly->size()));
  if (made == nullptr) throw nb::python_error();
  auto result = nb::steal<nb::bytes>(made);
  {
    auto* out = reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(made));
    const nb::gil_scoped_release released;
    assembly->write({out, static_cast<std::size_t>(assembly->size())});
    assembly.reset();
    index.reset();
  }
  return result;
}

nb::bytes progressive_of(nb::handle data, bool plt) {
  return rewrite(data, [&](const PacketIndex& index) { return to_progressive(index, plt); });
}

nb::bytes reduced_of(nb::handle data, std::uint8_t by) {
  return rewrite(data, [&](const PacketIndex& index) { return reduce(index, by); });
}

nb::bytes reordered_of(nb::handle data, std::uint8_t order) {
  if (order > 4) throw Impossible("a progression is 0–4");
  return rewrite(data, [&](const PacketIndex& index) {
    return reorder(index, static_cast<Progression>(order));
  });
}

nb::bytes truncated_of(nb::handle data, std::optional<std::uint64_t> max_bytes,
                       std::optional<std::uint16_t> layers) {
  return rewrite(data, [&](const PacketIndex& index) {
    return truncate(index, max_bytes, layers);
  });
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_of(nb::handle data,
                                                               std::uint8_t reduce) {
  const ReadableBuffer buffer(data);
  const nb::gil_scoped_release released;
  return resolution_ranges(index_packets(buffer.bytes()), reduce);
}

// The rows of PacketRow as they lie in memory, for numpy.
nb::bytes packets_of(nb::handle data) {
  const ReadableBuffer buffer(data);
  std::vector<PacketRow> rows;
  {
    const nb::gil_scoped_release released;
    rows = index_packets(buffer.bytes()).rows;
  }
  return nb::bytes(rows.data(), rows.size() * sizeof(PacketRow));
}

nb::list markers_of(nb::handle data) {
  const ReadableBuffer buffer(data);
  const Located located = locate_codestream(buffer.bytes());
  ByteReader reader(located.bytes, located.offset);
  const MainHeader main = read_main_header(reader);
  const TileParts tiles = read_tile_parts(reader, main, located.offset, true);
  nb::list rows;
  for (const auto* places : {&main.segments, &tiles.segments}) {
    for (const SegmentPlace& place : *places) {
      nb::object tile = nb::none();
      if (place.tile != SegmentPlace::kMainHeader) tile = nb::int_(place.tile);
      rows.append(nb::make_tuple(place.code, marker_name(place.code).c_str(), tile, place.part,
                                 place.offset, place.length));
    }
  }
  return rows;
}

}  // namespace

void define_surgery(nb::module_& m) {
  m.def("to_progressive", &progressive_of, nb::arg("data"), nb::kw_only(), nb::arg("plt"),
        "RPCL, a tile-part for each resolution, TLM.");
  m.def("reduce", &reduced_of, nb::arg("data"), nb::kw_only(), nb::arg("by"),
        "A codestream of the image at a reduction.");
  m.def("reorder", &reordered_of, nb::arg("data"), nb::kw_only(), nb::arg("progression"),
        "The same packets in the progression of this number (Table A.16).");
  m.def("truncate", &truncated_of, nb::arg("data"), nb::kw_only(), nb::arg("max_bytes").none(),
        nb::arg("layers").none(), "At most so many bytes and layers.");
  m.def("resolution_ranges", &ranges_of, nb::arg("data"), nb::kw_only(), nb::arg("reduce"),
        "Offset and length of what an image at a reduction needs.");
  m.def("packets", &packets_of, nb::arg("data"), "Every packet, 40 bytes each.");
  m.def("markers", &markers_of, nb::arg("data"),
        "(code, name, tile, tile-part, offset from SOC, length) of every marker.");
}

}  // namespace mersey
