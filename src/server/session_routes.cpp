#include "server/session_routes.h"

#include <nlohmann/json.hpp>

#include "recording/manifest.h"
#include "server/rest_requests.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
using Json = nlohmann::ordered_json;
using boost::beast::http::verb;
using Answer = asio::awaitable<HttpAnswer>;

HttpAnswer json_of(const Json& json, unsigned status = 200) {
  return json_answer(json.dump(-1, ' ', false, Json::error_handler_t::replace), status);
}

HttpAnswer done(const Result<void>& result) { return result ? json_answer("", 204) : error_answer(result.error()); }

Json feed_json(const sfu::FeedInfo& feed) {
  return {{"id", feed.id.value}, {"kind", rtp::text(feed.codec.kind())}, {"label", feed.label}, {"codec", rtp::text(feed.codec.name)}, {"muted", feed.muted}};
}

HttpAnswer list_sessions(const SessionDirectory& directory) {
  Json json{{"sessions", Json::array()}};
  for (const auto& session : directory.sessions())
    json["sessions"].push_back({{"id", session.id.value}, {"since", recording::iso8601(session.since)}, {"participants", session.participants},
                                {"feeds", session.feeds}, {"recording", session.recording}});
  return json_of(json);
}

HttpAnswer list_participants(const SessionDirectory& directory, const SessionId& session) {
  const auto participants = directory.participants(session);
  if (!participants) return error_answer(participants.error());
  Json json{{"sessionId", session.value}, {"participants", Json::array()}};
  for (const auto& participant : *participants) {
    Json entry{{"id", participant.id.value}, {"identity", participant.identity}, {"grants", names(participant.grants)}, {"since", recording::iso8601(participant.since)},
               {"address", participant.address.ip_text()}, {"present", participant.present}, {"feeds", Json::array()}};
    for (const auto& feed : participant.feeds) entry["feeds"].push_back(feed_json(feed));
    json["participants"].push_back(std::move(entry));
  }
  return json_of(json);
}

Answer mute(SessionDirectory& directory, const RestCall& call) {
  const auto wanted = requested_mute(call);
  if (!wanted) co_return error_answer(wanted.error());
  auto muting = directory.mute(SessionId(call.names[0]), FeedId(call.names[1]), *wanted);
  const auto muted = co_await std::move(muting);
  if (!muted) co_return error_answer(muted.error());
  co_return json_of(feed_json(*muted));
}

}  // namespace

void add_session_routes(RestRoutes& routes, SessionDirectory& directory) {
  routes.add(verb::get, "/v1/sessions", Access::admin, [&directory](const RestCall&) -> Answer { co_return list_sessions(directory); });
  routes.add(verb::delete_, "/v1/sessions/*", Access::admin, [&directory](const RestCall& call) -> Answer {
    co_return done(directory.close(SessionId(call.names[0]), call.token.identity));
  });
  routes.add(verb::get, "/v1/sessions/*/participants", Access::admin, [&directory](const RestCall& call) -> Answer {
    co_return list_participants(directory, SessionId(call.names[0]));
  });
  routes.add(verb::delete_, "/v1/sessions/*/participants/*", Access::admin, [&directory](const RestCall& call) -> Answer {
    co_return done(directory.expel({SessionId(call.names[0]), ParticipantId(call.names[1])}, call.token.identity));
  });
  routes.add(verb::post, "/v1/sessions/*/feeds/*", Access::admin, [&directory](const RestCall& call) { return mute(directory, call); });
}

}  // namespace amphi::server
