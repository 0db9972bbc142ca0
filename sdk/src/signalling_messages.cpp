#include "signalling_messages.h"

#include <nlohmann/json.hpp>

namespace amphi::sdk::signalling {
namespace {

using Json = nlohmann::json;

/// Reads members of an object; a missing or mistyped required one turns `ok` false.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) { ok_ = object.is_object(); }
  bool ok() const { return ok_; }

  std::string text(const char* key) {
    const Json* v = find(key);
    if (v == nullptr || !v->is_string()) return ok_ = false, std::string{};
    return v->get<std::string>();
  }
  std::string optional_text(const char* key) const {
    const Json* v = find(key);
    return v != nullptr && v->is_string() ? v->get<std::string>() : std::string{};
  }
  bool optional_flag(const char* key) const {
    const Json* v = find(key);
    return v != nullptr && v->is_boolean() && v->get<bool>();
  }
  std::int64_t optional_number(const char* key, std::int64_t otherwise) const {
    const Json* v = find(key);
    return v != nullptr && v->is_number_integer() ? v->get<std::int64_t>() : otherwise;
  }
  const Json* find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }
  /// Each element of an array through `read(const Json&) -> optional<T>`; an absent array is empty.
  template <class Read>
  auto list(const char* key, Read read) {
    std::vector<typename decltype(read(std::declval<const Json&>()))::value_type> out;
    const Json* v = find(key);
    if (v == nullptr) return out;
    if (!v->is_array()) return ok_ = false, out;
    for (const Json& element : *v) {
      auto item = read(element);
      if (!item) return ok_ = false, out;
      out.push_back(std::move(*item));
    }
    return out;
  }

 private:
  const Json& object_;
  bool ok_ = true;
};

std::optional<FeedDescription> read_feed(const Json& json) {
  Reader r(json);
  FeedDescription feed{r.text("id"), r.text("kind"), r.optional_text("label"), r.text("participantId"), r.optional_text("codec"), r.optional_flag("muted")};
  if (!r.ok() || feed.id.empty() || (feed.kind != "audio" && feed.kind != "video")) return std::nullopt;
  return feed;
}

std::optional<ParticipantDescription> read_participant(const Json& json) {
  Reader r(json);
  ParticipantDescription out{r.text("id"), r.optional_text("identity"), r.list("feeds", read_feed)};
  if (!r.ok() || out.id.empty()) return std::nullopt;
  return out;
}

std::optional<MidFeed> read_mid_feed(const Json& json) {
  Reader r(json);
  MidFeed out{r.text("mid"), r.text("feedId")};
  if (!r.ok()) return std::nullopt;
  return out;
}

std::optional<MidError> read_mid_error(const Json& json) {
  Reader r(json);
  MidError out{r.text("mid"), {error_code_from_wire(r.text("code")), r.optional_text("message")}};
  if (!r.ok()) return std::nullopt;
  return out;
}

std::optional<std::string> read_text(const Json& json) {
  if (!json.is_string()) return std::nullopt;
  return json.get<std::string>();
}

template <class T>
std::optional<Message> checked(const Reader& reader, T value) {
  if (!reader.ok()) return std::nullopt;
  return Message(std::move(value));
}

std::optional<Message> read_joined(Reader& r) {
  JoinedMessage m;
  m.session_id = r.optional_text("sessionId");
  m.participant_id = r.text("participantId");
  m.identity = r.optional_text("identity");
  m.resume_token = r.optional_text("resumeToken");
  m.grants = r.list("grants", read_text);
  m.resumed = r.optional_flag("resumed");
  m.resume_window_ms = r.optional_number("resumeWindowMs", 30'000);
  m.participants = r.list("participants", read_participant);
  return checked(r, std::move(m));
}

std::optional<Message> read_subscribe_offer(Reader& r) {
  SubscribeOffer m;
  const Json* id = r.find("offerId");
  if (id == nullptr || (!id->is_string() && !id->is_number_integer())) return std::nullopt;
  m.offer_id_text = id->dump();
  m.sdp = r.text("sdp");
  m.feeds = r.list("feeds", read_mid_feed);
  return checked(r, std::move(m));
}

}  // namespace

std::optional<Message> parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  Reader r(json);
  const std::string type = r.text("type");
  if (!r.ok()) return std::nullopt;
  if (type == "joined") return read_joined(r);
  if (type == "publishAnswer") return checked(r, PublishAnswer{r.text("sdp"), r.list("feeds", read_mid_feed), r.list("refused", read_mid_error)});
  if (type == "subscribeOffer") return read_subscribe_offer(r);
  if (type == "participantJoined") {
    const Json* p = r.find("participant");
    auto participant = p != nullptr ? read_participant(*p) : std::nullopt;
    if (!participant) return std::nullopt;
    return ParticipantJoined{std::move(*participant)};
  }
  if (type == "participantLeft") return checked(r, ParticipantLeft{r.text("participantId"), r.optional_flag("mayReturn")});
  if (type == "feedAdded" || type == "feedChanged") {
    const Json* f = r.find("feed");
    auto feed = f != nullptr ? read_feed(*f) : std::nullopt;
    if (!feed) return std::nullopt;
    if (type == "feedChanged") return FeedChanged{std::move(*feed)};
    return FeedAdded{std::move(*feed)};
  }
  if (type == "feedRemoved") return checked(r, FeedRemoved{r.text("feedId"), r.optional_flag("mayReturn")});
  if (type == "feedUnsupported")
    return checked(r, FeedUnsupported{r.text("feedId"), {error_code_from_wire(r.text("code")), r.optional_text("message")}});
  if (type == "closing") return checked(r, Closing{r.optional_text("reason"), r.optional_flag("mayReturn")});
  if (type == "ping") return Ping{};
  if (type == "pong") return Pong{};
  if (type == "error") {
    ErrorMessage m;
    m.error = {error_code_from_wire(r.text("code")), r.optional_text("message")};
    m.fatal = r.optional_flag("fatal");
    m.in_reply_to = r.optional_text("inReplyTo");
    m.transport = r.optional_text("transport");
    if (!m.transport.empty() && m.transport != "publishing" && m.transport != "subscribing") return std::nullopt;
    return checked(r, std::move(m));
  }
  return UnknownMessage{};
}

namespace {
// Labels are the application's: text that is not UTF-8 must not throw.
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
}  // namespace

std::string write_join(const std::string& token, const std::string& resume_token, const std::string& client) {
  Json json{{"type", "join"}, {"version", 1}, {"token", token}};
  if (!resume_token.empty()) json["resumeToken"] = resume_token;
  if (!client.empty()) json["client"] = client;
  return dump(json);
}

std::string write_publish_offer(const std::string& sdp, const std::vector<OfferedFeed>& feeds) {
  Json list = Json::array();
  for (const OfferedFeed& feed : feeds) list.push_back({{"mid", feed.mid}, {"kind", feed.kind}, {"label", feed.label}});
  return dump({{"type", "publishOffer"}, {"sdp", sdp}, {"feeds", std::move(list)}});
}

std::string write_subscribe_answer(const std::string& offer_id_text, const std::string& sdp) {
  return dump({{"type", "subscribeAnswer"}, {"offerId", Json::parse(offer_id_text, nullptr, false)}, {"sdp", sdp}});
}

std::string write_leave(bool may_return) {
  Json json{{"type", "leave"}};
  if (may_return) json["mayReturn"] = true;
  return dump(json);
}

std::string write_bare(std::string_view type) { return dump({{"type", std::string(type)}}); }

}  // namespace amphi::sdk::signalling
