#include <nanobind/nanobind.h>

NB_MODULE(_native, m) {
  m.doc() = "Codestream surgery: bit-level work on JPEG 2000 and HTJ2K.";
}
