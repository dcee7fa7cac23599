// The markers of ISO/IEC 15444-1 Annex A and 15444-15 Annex A.
#pragma once

#include <cstdint>
#include <string>

namespace mersey::codestream {

namespace marker {
inline constexpr std::uint16_t SOC = 0xFF4F;  // start of codestream
inline constexpr std::uint16_t CAP = 0xFF50;  // extended capabilities
inline constexpr std::uint16_t SIZ = 0xFF51;  // image and tile size
inline constexpr std::uint16_t COD = 0xFF52;  // coding style default
inline constexpr std::uint16_t COC = 0xFF53;  // coding style component
inline constexpr std::uint16_t TLM = 0xFF55;  // tile-part lengths
inline constexpr std::uint16_t PRF = 0xFF56;  // profile
inline constexpr std::uint16_t PLM = 0xFF57;  // packet lengths, main header
inline constexpr std::uint16_t PLT = 0xFF58;  // packet lengths, tile-part header
inline constexpr std::uint16_t CPF = 0xFF59;  // corresponding profile
inline constexpr std::uint16_t QCD = 0xFF5C;  // quantization default
inline constexpr std::uint16_t QCC = 0xFF5D;  // quantization component
inline constexpr std::uint16_t RGN = 0xFF5E;  // region of interest
inline constexpr std::uint16_t POC = 0xFF5F;  // progression order change
inline constexpr std::uint16_t PPM = 0xFF60;  // packed packet headers, main header
inline constexpr std::uint16_t PPT = 0xFF61;  // packed packet headers, tile-part header
inline constexpr std::uint16_t CRG = 0xFF63;  // component registration
inline constexpr std::uint16_t COM = 0xFF64;  // comment
inline constexpr std::uint16_t DFS = 0xFF72;  // decomposition style, 15444-2 A.3.9
inline constexpr std::uint16_t SOT = 0xFF90;  // start of tile-part
inline constexpr std::uint16_t SOP = 0xFF91;  // start of packet
inline constexpr std::uint16_t EPH = 0xFF92;  // end of packet header
inline constexpr std::uint16_t SOD = 0xFF93;  // start of data
inline constexpr std::uint16_t EOC = 0xFFD9;  // end of codestream
}  // namespace marker

// FF30–FF3F are reserved for markers without a segment (Table A.1).
[[nodiscard]] constexpr bool has_no_segment(std::uint16_t code) noexcept {
  return (code >= 0xFF30 && code <= 0xFF3F) || code == marker::SOC || code == marker::EPH ||
         code == marker::SOD || code == marker::EOC;
}

// "SIZ" for a marker of the table above, "FF30" for any other.
[[nodiscard]] std::string marker_name(std::uint16_t code);

}  // namespace mersey::codestream
