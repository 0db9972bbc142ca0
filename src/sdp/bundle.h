// BUNDLE (RFC 9143) in a description that was just parsed. Private to src/sdp.
#pragma once

#include "sdp/session_description.h"

namespace amphi::sdp {

/// RFC 9143 7.1.3: a bundled m-line may leave its transport to the one that tags the bundle.
void share_bundle_transport(SessionDescription& out);

}  // namespace amphi::sdp
