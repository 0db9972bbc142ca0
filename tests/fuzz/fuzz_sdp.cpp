// Session descriptions: what any text parses to is written, and what is written parses to the same again.
#include "fuzz.h"
#include "sdp/session_description.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::Input(data, size).text();
  if (const auto candidate = sdp::parse_candidate(text)) {
    const auto again = sdp::parse_candidate(sdp::write_candidate(*candidate));
    fuzz::require(again == candidate, "a candidate is the same after it was written");
  }
  const auto description = sdp::parse(text);
  if (!description) {
    fuzz::require(!description.error().message.empty(), "an error says what it is");
    return 0;
  }
  for (const auto& media : description->media)
    for (const auto& format : media.formats) format.fmtp_value("apt");
  const auto again = sdp::parse(sdp::write(*description));
  fuzz::require(again && again->media.size() == description->media.size(), "what was written can be parsed");
  for (std::size_t i = 0; i < again->media.size(); ++i) {
    const sdp::Media &before = description->media[i], &after = again->media[i];
    fuzz::require(after.kind == before.kind && after.mid == before.mid && after.direction == before.direction &&
                      after.rejected() == before.rejected() && after.ice_ufrag == before.ice_ufrag && after.ice_pwd == before.ice_pwd &&
                      after.fingerprint_values == before.fingerprint_values && after.setup == before.setup && after.ssrcs == before.ssrcs,
                  "an m-line keeps what it is and how it connects");
  }
  // A first writing may leave out what means nothing (RTCP options of a data channel); from then on nothing changes.
  const auto third = sdp::parse(sdp::write(*again));
  fuzz::require(third && *third == *again, "and our own writing is the same");
  return 0;
}
