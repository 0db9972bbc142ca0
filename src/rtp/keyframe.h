// Whether a payload is one at which a decoder can start.
#pragma once

#include "base/bytes.h"
#include "rtp/codec.h"

namespace amphi::rtp {

/// Opus: always, for every packet decodes by itself. False for an empty or malformed video payload.
bool starts_keyframe(CodecName codec, ByteView payload);

}  // namespace amphi::rtp
