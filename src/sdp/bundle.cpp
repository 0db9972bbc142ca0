// BUNDLE (RFC 9143): which transport a bundled m-line uses when it names none.
#include "sdp/bundle.h"

namespace amphi::sdp {

void share_bundle_transport(SessionDescription& out) {
  if (out.bundle.empty()) return;
  const Media* tagged = nullptr;
  for (const Media& media : out.media) {
    if (!tagged && media.mid == out.bundle.front()) tagged = &media;
  }
  if (!tagged) return;
  for (Media& media : out.media) {
    bool bundled = false;
    for (const std::string& mid : out.bundle) bundled = bundled || mid == media.mid;
    if (!bundled || media.rejected() || &media == tagged) continue;
    if (media.ice_ufrag.empty() && media.ice_pwd.empty()) {
      media.ice_ufrag = tagged->ice_ufrag;
      media.ice_pwd = tagged->ice_pwd;
    }
    if (media.fingerprint_algorithm.empty()) {
      media.fingerprint_algorithm = tagged->fingerprint_algorithm;
      media.fingerprint_value = tagged->fingerprint_value;
    }
    if (media.setup == Setup::unset) media.setup = tagged->setup;
  }
}

}  // namespace amphi::sdp
