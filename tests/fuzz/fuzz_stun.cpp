// STUN: hostile bytes, and our own writing of whatever they meant.
#include "fuzz.h"
#include "stun/message.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes datagram = fuzz::Input(data, size).all();
  const auto ufrag = stun::local_ufrag_of(datagram);
  fuzz::require(!ufrag || ufrag->size() <= datagram.size(), "a ufrag is a part of its datagram");
  stun::verify(datagram, "a password of the peer's");
  const auto message = stun::parse(datagram);
  if (!message) return 0;

  const Bytes out = stun::write(*message, "another password");
  const auto again = stun::parse(out);
  fuzz::require(again.has_value(), "what was written can be parsed");
  fuzz::require(stun::verify(out, "another password"), "its integrity is right");
  fuzz::require(!stun::verify(out, "a wrong password"), "for this password alone");
  fuzz::require(again->transaction == message->transaction && again->username == message->username &&
                    again->mapped == message->mapped && again->priority == message->priority &&
                    again->use_candidate == message->use_candidate && again->ice_controlling == message->ice_controlling &&
                    again->ice_controlled == message->ice_controlled && again->error_code == message->error_code,
                "every value is the same");
  return 0;
}
