// Numbers of H.264's NAL unit header (ITU-T H.264 7.3.1) and of its payload structures (RFC 6184 5.2 to 5.8).
#pragma once

namespace amphi::rtp::h264 {

inline constexpr unsigned kForbiddenBit = 0x80;
inline constexpr unsigned kReferenceMask = 0x60;  // nal_ref_idc
inline constexpr unsigned kTypeMask = 0x1f;

inline constexpr unsigned kSlice = 1;
inline constexpr unsigned kIdr = 5;
inline constexpr unsigned kSei = 6;
inline constexpr unsigned kSps = 7;
inline constexpr unsigned kPps = 8;
inline constexpr unsigned kDelimiter = 9;
inline constexpr unsigned kFiller = 12;
inline constexpr unsigned kStapA = 24;
inline constexpr unsigned kFuA = 28;
inline constexpr unsigned kFuB = 29;

inline constexpr unsigned kFuStart = 0x80;
inline constexpr unsigned kFuEnd = 0x40;

}  // namespace amphi::rtp::h264
