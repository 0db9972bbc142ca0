// What an Opus packet says of itself (RFC 6716 3). Thread: any; these are pure functions.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace amphi::recording {

/// Length of an Opus packet (RFC 6716 3.1) at 48 kHz; 0: malformed.
std::uint32_t opus_samples(ByteView packet);

/// Whether a decoder accepts the packet's framing (RFC 6716 3.4).
bool is_opus_packet(ByteView packet);

}  // namespace amphi::recording
