#include "server/signalling_messages.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace amphi::server::signalling {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kOfferPrefix = "off_";
constexpr std::size_t kMaxSdp = 200'000;
constexpr std::size_t kMaxMid = 64;  // room for a UUID

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// The member's text if it is one within its bounds.
std::optional<std::string> text_of(const Json& object, const char* name, std::size_t least, std::size_t most) {
  const auto found = object.find(name);
  if (found == object.end()) return std::nullopt;
  const auto* text = found->get_ptr<const std::string*>();
  if (!text || text->size() < least || (text->size() > most && characters(*text) > most)) return std::nullopt;
  return *text;
}

using Decoded = tl::expected<Message, std::string>;  // the error: what is wrong

tl::unexpected<std::string> wrong(std::string what) { return tl::unexpected<std::string>(std::move(what)); }

Decoded join(const Json& object) {
  Join message;
  const auto token = text_of(object, "token", 1, 8192);
  if (!token) return wrong("`token` must be a text of 1 to 8192 characters");
  message.token = *token;
  if (object.contains("resumeToken")) {
    const auto resume = text_of(object, "resumeToken", 1, 256);
    if (!resume) return wrong("`resumeToken` must be a text of 1 to 256 characters");
    message.resume_token = *resume;
  }
  if (object.contains("client")) {
    const auto client = text_of(object, "client", 0, 128);
    if (!client) return wrong("`client` must be a text of at most 128 characters");
    if (!is_plain_text(*client)) return wrong("`client` " + std::string(kPlainTextRule));
    message.client = *client;
  }
  return message;
}

Decoded publish_offer_from(const Json& object) {
  PublishOffer message;
  const auto sdp = text_of(object, "sdp", 1, kMaxSdp);
  if (!sdp) return wrong("`sdp` must be a text of 1 to 200000 characters");
  message.sdp = *sdp;
  const auto feeds = object.find("feeds");
  if (feeds == object.end() || !feeds->is_array() || feeds->size() > 64)
    return wrong("`feeds` must be an array of at most 64");
  for (const auto& feed : *feeds) {
    if (!feed.is_object()) return wrong("each of `feeds` must be an object");
    const auto mid = text_of(feed, "mid", 1, kMaxMid);
    const auto kind = text_of(feed, "kind", 1, 16);
    const auto label = text_of(feed, "label", 0, 128);
    if (!mid || !kind || !label || (*kind != "audio" && *kind != "video"))
      return wrong("each of `feeds` needs `mid` (1 to 64 characters), `kind` (audio or video) and `label` (at most 128)");
    if (!is_printable_ascii(*mid)) return wrong("a feed's `mid` must be printable ASCII without blanks");
    if (!is_plain_text(*label)) return wrong("a feed's `label` " + std::string(kPlainTextRule));
    message.feeds.push_back({*mid, *kind == "audio" ? rtp::Kind::audio : rtp::Kind::video, *label});
  }
  return message;
}

Decoded subscribe_answer(const Json& object) {
  SubscribeAnswer message;
  const auto offer = text_of(object, "offerId", 1, 128);
  const auto sdp = text_of(object, "sdp", 1, kMaxSdp);
  if (!offer || !sdp) return wrong("`offerId` and `sdp` must be texts");
  message.sdp = *sdp;
  // An id that was never given parses to 0, which is never outstanding: the session says so.
  if (offer->rfind(kOfferPrefix, 0) == 0)
    std::from_chars(offer->data() + kOfferPrefix.size(), offer->data() + offer->size(), message.offer_id);
  return message;
}

Decoded leave(const Json& object) {
  const auto may_return = object.find("mayReturn");
  if (may_return == object.end()) return Leave{};
  if (!may_return->is_boolean()) return wrong("`mayReturn` must be true or false");
  return Leave{may_return->get<bool>()};
}

/// Of something that is over; `may_return`: lost rather than ended.
std::string dump_end(Json json, bool may_return) {
  if (may_return) json["mayReturn"] = true;
  return dump(json);
}

Json json_of(const sfu::FeedInfo& feed) {
  Json json{{"id", feed.id.value},
            {"kind", rtp::text(feed.codec.kind())},
            {"label", feed.label},
            {"participantId", feed.participant.value},
            {"codec", rtp::text(feed.codec.name)}};
  if (feed.muted) json["muted"] = true;
  return json;
}

Json json_of(const ParticipantView& participant) {
  Json feeds = Json::array();
  for (const auto& feed : participant.feeds) feeds.push_back(json_of(feed));
  return {{"id", participant.id.value}, {"identity", participant.identity}, {"feeds", std::move(feeds)}};
}

Json json_of(const std::vector<sfu::PublishedFeed>& feeds) {
  Json all = Json::array();
  for (const auto& feed : feeds) all.push_back({{"mid", feed.mid}, {"feedId", feed.id.value}});
  return all;
}

Decoded decode_known(const std::string& type, const Json& object, bool& known) {
  if (type == "join") return join(object);
  if (type == "publishOffer") return publish_offer_from(object);
  if (type == "subscribeAnswer") return subscribe_answer(object);
  if (type == "restartSubscribe") return RestartSubscribe{};
  if (type == "leave") return leave(object);
  if (type == "ping") return Ping{};
  if (type == "pong") return Pong{};
  known = false;
  return wrong("unknown message type");
}

}  // namespace

tl::expected<Message, Refused> decode(std::string_view text) {
  const Json object = Json::parse(text, nullptr, false);
  const auto type = object.is_object() ? text_of(object, "type", 1, 64) : std::nullopt;
  if (!type)
    return tl::unexpected(Refused{{ErrorCode::malformed, "A message is a JSON object with a `type`."}, "", false});
  if (*type == "join") {
    const auto version = object.find("version");
    if (version == object.end() || !version->is_number_integer())
      return tl::unexpected(Refused{{ErrorCode::malformed, "`version` must be a number."}, *type, false});
    if (*version != 1)
      return tl::unexpected(Refused{{ErrorCode::unsupported, "This server speaks version 1."}, *type, false});
  }
  bool known = true;
  auto decoded = decode_known(*type, object, known);
  if (decoded) return std::move(*decoded);
  const ErrorCode code = known ? ErrorCode::malformed : ErrorCode::unsupported;
  return tl::unexpected(Refused{{code, decoded.error()}, *type, !known});
}

std::string encode(const Joined& joined) {
  Json participants = Json::array();
  for (const auto& participant : joined.participants) participants.push_back(json_of(participant));
  return dump({{"type", "joined"},
               {"version", 1},
               {"sessionId", joined.session.value},
               {"participantId", joined.participant.value},
               {"identity", joined.identity},
               {"grants", names({joined.grants.publish, joined.grants.subscribe, joined.grants.record})},
               {"resumeToken", joined.resume_token},
               {"resumed", joined.resumed},
               {"resumeWindowMs", kResumeWindowMs},
               {"participants", std::move(participants)}});
}

std::string publish_answer(const sfu::PublishAnswer& answer) {
  Json json{{"type", "publishAnswer"}, {"sdp", answer.sdp}, {"feeds", json_of(answer.feeds)}};
  for (const auto& refused : answer.refused)
    json["refused"].push_back({{"mid", refused.mid}, {"code", wire_name(refused.error.code)}, {"message", refused.error.message.substr(0, 1024)}});
  return dump(json);
}

std::string subscribe_offer(const sfu::SubscribeOffer& offer) {
  return dump({{"type", "subscribeOffer"},
               {"offerId", std::string(kOfferPrefix) + std::to_string(offer.offer_id)},
               {"sdp", offer.sdp},
               {"feeds", json_of(offer.feeds)}});
}

std::string feed_unsupported(const sfu::FeedUnsupported& told) {
  return dump({{"type", "feedUnsupported"}, {"feedId", told.feed.value}, {"code", wire_name(told.error.code)}, {"message", told.error.message}});
}

std::string participant_joined(const ParticipantView& participant) {
  return dump({{"type", "participantJoined"}, {"participant", json_of(participant)}});
}
std::string participant_left(const ParticipantId& participant, bool may_return) {
  return dump_end({{"type", "participantLeft"}, {"participantId", participant.value}}, may_return);
}
std::string feed_added(const sfu::FeedInfo& feed) { return dump({{"type", "feedAdded"}, {"feed", json_of(feed)}}); }
std::string feed_changed(const sfu::FeedInfo& feed) {
  Json json = json_of(feed);
  json["muted"] = feed.muted;
  return dump({{"type", "feedChanged"}, {"feed", std::move(json)}});
}
std::string feed_removed(const FeedId& feed, bool may_return) { return dump_end({{"type", "feedRemoved"}, {"feedId", feed.value}}, may_return); }
std::string closing(std::string_view reason) { return dump({{"type", "closing"}, {"reason", reason}}); }
std::string closing_for_now(std::string_view reason) { return dump({{"type", "closing"}, {"reason", reason}, {"mayReturn", true}}); }
std::string ping() { return R"({"type":"ping"})"; }
std::string pong() { return R"({"type":"pong"})"; }

std::string error(const Error& what, bool fatal, std::string_view in_reply_to) {
  Json json{{"type", "error"}, {"code", wire_name(what.code)}, {"message", what.message.substr(0, 1024)}, {"fatal", fatal}};
  if (!in_reply_to.empty()) json["inReplyTo"] = in_reply_to;
  return dump(json);
}

std::string transport_error(const Error& what, bool fatal, sfu::Which transport) {
  const std::string_view name = transport == sfu::Which::publishing ? "publishing" : "subscribing";
  const std::string text = "The " + std::string(name) + " transport failed: " + what.message;
  return dump({{"type", "error"}, {"code", wire_name(what.code)}, {"message", text.substr(0, 1024)}, {"fatal", fatal}, {"transport", name}});
}

}  // namespace amphi::server::signalling
