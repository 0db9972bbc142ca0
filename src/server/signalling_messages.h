// The messages of the signalling protocol, version 1 (docs/protocol.md, protocol/signalling/*.schema.json), as values.
// Contract: `decode` takes any bytes at all and never throws. Thread: any; pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "server/access_token.h"
#include "sfu/session.h"

namespace amphi::server::signalling {

inline constexpr std::size_t kMaxMessageSize = 256 * 1024;
inline constexpr int kResumeWindowMs = 30'000;

// --- from the client -------------------------------------------------------------------------------------------------
struct Join {
  std::string token;
  std::string resume_token;  // empty: none
  std::string client;
};
struct PublishOffer {
  std::string sdp;
  std::vector<sfu::FeedDeclaration> feeds;
};
struct SubscribeAnswer {
  std::uint64_t offer_id = 0;
  std::string sdp;
};
struct RestartSubscribe {};
struct Leave {
  bool may_return = false;  // the client joins again at once, as another participant
};
struct Ping {};
struct Pong {};
using Message = std::variant<Join, PublishOffer, SubscribeAnswer, RestartSubscribe, Leave, Ping, Pong>;

struct Refused {
  Error error;            // malformed; unsupported for another version or an unknown type
  std::string type;       // as far as it has one: for inReplyTo
  bool unknown_type = false;
};
tl::expected<Message, Refused> decode(std::string_view text);

// --- from the server -------------------------------------------------------------------------------------------------
struct ParticipantView {
  ParticipantId id;
  std::string identity;
  std::vector<sfu::FeedInfo> feeds;
};
struct Joined {
  SessionId session;
  ParticipantId participant;
  std::string identity;
  Grants grants;
  std::string resume_token;
  bool resumed = false;
  std::vector<ParticipantView> participants;
};
std::string encode(const Joined& joined);
std::string publish_answer(const sfu::PublishAnswer& answer);
std::string subscribe_offer(const sfu::SubscribeOffer& offer);
std::string feed_unsupported(const sfu::FeedUnsupported& told);
std::string participant_joined(const ParticipantView& participant);
/// `may_return`: lost rather than ended; the same identity may come back as another participant.
std::string participant_left(const ParticipantId& participant, bool may_return);
std::string feed_added(const sfu::FeedInfo& feed);
std::string feed_changed(const sfu::FeedInfo& feed);
std::string feed_removed(const FeedId& feed, bool may_return);
std::string closing(std::string_view reason);  // the same in the services protocol
/// The server ends, and may be started again: clients try to join again for as long as they would to resume.
std::string closing_for_now(std::string_view reason);
std::string ping();
std::string pong();
/// The same in the services protocol. `in_reply_to` may be empty.
std::string error(const Error& error, bool fatal, std::string_view in_reply_to);
std::string transport_error(const Error& error, bool fatal, sfu::Which transport);

}  // namespace amphi::server::signalling
