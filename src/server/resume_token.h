// Resume tokens: what a client shows to be the participant that it was. One is good for as long as the participant is waited for; and,
// being signed with the server's key, it also tells a server that has been started anew whose place the client had, so that a participant
// keeps its id over a restart. It names nothing secret and opens nothing by itself: an access token for the same session and identity must
// come with it. Thread: control.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"

namespace amphi::server {

class ResumeTokens {
 public:
  /// `random` outlives it.
  ResumeTokens(Bytes key, Random& random);

  /// A fresh one each time.
  std::string make(const SessionId& session, const std::string& identity, const ParticipantId& participant);

  struct Holder {
    ParticipantId participant;
    bool of_this_life = false;  // given since this server was started
  };
  /// nullopt: it was not made with this key for this session and identity.
  std::optional<Holder> read(std::string_view token, const SessionId& session, const std::string& identity) const;

 private:
  std::string signature(std::string_view text, const SessionId& session, const std::string& identity) const;

  const Bytes key_;
  Random& random_;
  const std::string life_;
};

}  // namespace amphi::server
