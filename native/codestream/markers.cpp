#include "codestream/markers.hpp"

#include <cstdio>

namespace mersey::codestream {

std::string marker_name(std::uint16_t code) {
  switch (code) {
    case marker::SOC: return "SOC";
    case marker::CAP: return "CAP";
    case marker::SIZ: return "SIZ";
    case marker::COD: return "COD";
    case marker::COC: return "COC";
    case marker::TLM: return "TLM";
    case marker::PRF: return "PRF";
    case marker::PLM: return "PLM";
    case marker::PLT: return "PLT";
    case marker::CPF: return "CPF";
    case marker::QCD: return "QCD";
    case marker::QCC: return "QCC";
    case marker::RGN: return "RGN";
    case marker::POC: return "POC";
    case marker::PPM: return "PPM";
    case marker::PPT: return "PPT";
    case marker::CRG: return "CRG";
    case marker::COM: return "COM";
    case marker::DFS: return "DFS";
    case marker::SOT: return "SOT";
    case marker::SOP: return "SOP";
    case marker::EPH: return "EPH";
    case marker::SOD: return "SOD";
    case marker::EOC: return "EOC";
    default: break;
  }
  char text[8];
  std::snprintf(text, sizeof text, "%04X", static_cast<unsigned>(code));
  return text;
}

}  // namespace mersey::codestream
