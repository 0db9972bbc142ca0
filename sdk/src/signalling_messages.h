// The signalling messages (docs/protocol.md, version 1) that a client reads and writes. Reading is for hostile text: nullopt, never
// an exception. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace amphi::sdk::signalling {

struct FeedDescription {
  std::string id, kind, label, participant_id, codec;
  bool operator==(const FeedDescription&) const = default;
  bool muted = false;  // by an administrator
};
struct ParticipantDescription {
  std::string id, identity;
  std::vector<FeedDescription> feeds;
};
/// One m-line of a publish offer.
struct OfferedFeed {
  std::string mid, kind, label;
};
/// Which feed an m-line carries.
struct MidFeed {
  std::string mid, feed_id;
};

// --- from the server
struct JoinedMessage {
  std::string session_id, participant_id, identity, resume_token;
  std::vector<std::string> grants;
  bool resumed = false;
  std::int64_t resume_window_ms = 30'000;
  std::vector<ParticipantDescription> participants;
};
struct MidError {
  std::string mid;
  Error error;
};
struct PublishAnswer {
  std::string sdp;
  std::vector<MidFeed> feeds;
  std::vector<MidError> refused{};
};
struct SubscribeOffer {
  std::string offer_id_text;  // as the server wrote it, to be sent back unchanged (a JSON value)
  std::string sdp;
  std::vector<MidFeed> feeds;
};
struct ParticipantJoined { ParticipantDescription participant; };
/// `may_return`, here and below: lost rather than ended. The same identity may come back as another participant.
struct ParticipantLeft { std::string participant_id; bool may_return = false; };
struct FeedAdded { FeedDescription feed; };
struct FeedChanged { FeedDescription feed; };
struct FeedRemoved { std::string feed_id; bool may_return = false; };
/// Our answer to a subscribeOffer takes none of the feed's codecs.
struct FeedUnsupported { std::string feed_id; Error error; };
struct Closing { std::string reason; bool may_return = false; };
struct Ping {};
struct Pong {};
struct ErrorMessage {
  Error error;
  bool fatal = false;
  std::string in_reply_to;
  std::string transport;  // "publishing" or "subscribing": that one has failed at the server
};
struct UnknownMessage {};
using Message = std::variant<JoinedMessage, PublishAnswer, SubscribeOffer, ParticipantJoined, ParticipantLeft, FeedAdded, FeedChanged, FeedRemoved,
                             FeedUnsupported, Closing, Ping, Pong, ErrorMessage, UnknownMessage>;

/// nullopt: not a well-formed message of a known type. An unknown type is UnknownMessage.
std::optional<Message> parse(std::string_view text);

// --- from the client
std::string write_join(const std::string& token, const std::string& resume_token, const std::string& client);
std::string write_publish_offer(const std::string& sdp, const std::vector<OfferedFeed>& feeds);
std::string write_subscribe_answer(const std::string& offer_id_text, const std::string& sdp);
/// `may_return`: the client joins again at once.
std::string write_leave(bool may_return);
std::string write_bare(std::string_view type);  // ping, pong, restartSubscribe

}  // namespace amphi::sdk::signalling
