// BUNDLE (RFC 9143): which transport a bundled m-line uses when it names none.
#include "sdp/bundle.h"

#include <algorithm>

namespace amphi::sdp {

void share_bundle_transport(SessionDescription& out) {
  if (out.bundle.empty()) return;
  const auto is_bundled = [&](const Media& media) {
    return !media.mid.empty() && std::find(out.bundle.begin(), out.bundle.end(), media.mid) != out.bundle.end();
  };
  // Not simply the first of the group: an answer may reject that m-line, and the transport is then the next one's.
  const auto tagged = std::find_if(out.media.begin(), out.media.end(), [&](const Media& media) {
    return is_bundled(media) && !media.rejected() && !media.ice_ufrag.empty();
  });
  if (tagged == out.media.end()) return;
  for (Media& media : out.media) {
    if (!is_bundled(media) || media.rejected() || &media == &*tagged) continue;
    if (media.ice_ufrag.empty() && media.ice_pwd.empty()) {
      media.ice_ufrag = tagged->ice_ufrag;
      media.ice_pwd = tagged->ice_pwd;
    }
    if (media.fingerprint_algorithm.empty()) {
      media.fingerprint_algorithm = tagged->fingerprint_algorithm;
      media.fingerprint_values = tagged->fingerprint_values;
    }
    if (media.setup == Setup::unset) media.setup = tagged->setup;
  }
}

}  // namespace amphi::sdp
