// BUNDLE (RFC 9143): which transport a bundled m-line uses when it names none.
#include "sdp/bundle.h"

#include <algorithm>

namespace amphi::sdp {

void share_bundle_transport(SessionDescription& out) {
  if (out.bundle.empty()) return;
  const auto is_bundled = [&](const Media& media) {
    return !media.mid.empty() && std::find(out.bundle.begin(), out.bundle.end(), media.mid) != out.bundle.end();
  };
  // The first that has the value, and not simply the first of the group: an answer may reject that m-line, and the transport is then the next one's.
  const auto first_with = [&](auto has) {
    const auto found = std::find_if(out.media.begin(), out.media.end(), [&](const Media& media) { return is_bundled(media) && !media.rejected() && has(media); });
    return found == out.media.end() ? Media{} : *found;
  };
  const Media ice = first_with([](const Media& media) { return !media.ice_ufrag.empty(); });
  const Media print = first_with([](const Media& media) { return !media.fingerprint_algorithm.empty(); });
  const Media setup = first_with([](const Media& media) { return media.setup != Setup::unset; });
  for (Media& media : out.media) {
    if (!is_bundled(media) || media.rejected()) continue;
    if (media.ice_ufrag.empty() && media.ice_pwd.empty()) {
      media.ice_ufrag = ice.ice_ufrag;
      media.ice_pwd = ice.ice_pwd;
    }
    if (media.fingerprint_algorithm.empty()) {
      media.fingerprint_algorithm = print.fingerprint_algorithm;
      media.fingerprint_values = print.fingerprint_values;
    }
    if (media.setup == Setup::unset) media.setup = setup.setup;
  }
}

}  // namespace amphi::sdp
