// REST requests behind a token: the route, the grants, the query and the body. The first byte gives the token's grants, the first line is
// "METHOD TARGET", the rest is the body. The routes of sessions are the server's own. Those of recordings and exports read the request as
// the server does, and then ask a catalogue of three recordings and a session that is being recorded; no disk and no process is touched.
//
// Every answer has a status of docs/protocol.md and a JSON body, a token without the grant gets no further, and pages list each recording once.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "fuzz.h"
#include "server/recording_catalogue.h"
#include "server/rest_requests.h"
#include "server/session_routes.h"
#include "server/static_files.h"
#include "services/messages.h"
#include "services/server.h"

using namespace amphi;
using namespace amphi::server;
namespace http = boost::beast::http;
using boost::beast::http::verb;
using Answer = boost::asio::awaitable<HttpAnswer>;
using Json = nlohmann::json;

namespace {

/// Three finished recordings of two sessions, the same for every input: requests only read them.
class Recorded {
 public:
  Recorded() {
    char name[] = "/tmp/fuzz-rest-XXXXXX";
    fuzz::require(::mkdtemp(name) != nullptr, "there is a temporary folder");
    root_ = name;
    add("s1", "rec_1", "2026-11-01T10:00:00.000Z");
    add("s1", "rec_2", "2026-11-01T11:00:00.000Z");
    add("s2", "rec_3", "2026-11-01T11:00:00.000Z");
    auto opened = CatalogueIndex::open(root_);
    fuzz::require(opened.has_value(), "the catalogue opens");
    index_.emplace(std::move(*opened));
  }
  ~Recorded() { std::filesystem::remove_all(root_); }

  CatalogueIndex& index() { return *index_; }
  RecordingCatalogue catalogue() const { return RecordingCatalogue(root_); }

 private:
  void add(const std::string& session, const std::string& id, const std::string& began) {
    const std::string folder = root_ + "/" + session + "/" + id;
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/manifest.json") << Json{{"version", 1}, {"recordingId", id}, {"sessionId", session}, {"requestedBy", "surgeon"},
        {"state", "complete"}, {"startedAt", began}, {"stoppedAt", "2026-11-01T12:00:00.000Z"}, {"durationMs", 5}, {"tracks", Json::array()}};
  }
  std::string root_;
  std::optional<CatalogueIndex> index_;
};

Recorded& recorded() {
  static Recorded one;
  return one;
}

/// A session that is being recorded.
struct Live {
  Live() {
    session.request_recording(true, "surgeon", now);
    drain();
  }
  void drain() {
    while (auto output = session.poll_output()) {
      if (const auto* start = std::get_if<services::StartRecording>(&*output)) session.recording_started(start->id, now, now);
      if (const auto* send = std::get_if<services::SendText>(&*output))
        fuzz::require(std::holds_alternative<services::Message>(services::decode(send->text)), "an answer is a message");
    }
  }
  SeededRandom random{1};
  Time now{1h};
  services::ServerSession session{SessionId("s1"), {}, random};
};

HttpAnswer page_of(CatalogueQuery query) {
  if (const auto first = recorded().index().list(query); !first) return error_answer(first.error());
  std::set<std::string> listed;
  for (;;) {
    const auto page = recorded().index().list(query);
    fuzz::require(page && page->entries.size() <= query.limit, "a page has no more than its limit");
    for (const auto& entry : page->entries) {
      fuzz::require(query.session.empty() || entry.session == query.session, "a page is of its session");
      fuzz::require(listed.insert(entry.id).second, "a recording is listed once");
    }
    if (page->next.empty()) break;
    query.cursor = page->next;
  }
  return json_answer("{}");
}

void add_catalogue_routes(RestRoutes& routes) {
  routes.add(verb::get, "/v1/recordings", Access::recordings, [](const RestCall& call) -> Answer {
    const auto query = catalogue_query(call);
    if (!query) co_return error_answer(query.error());
    fuzz::require(call.token.grants.admin || query->session == call.token.session.value, "a token sees its own session");
    co_return page_of(*query);
  });
  routes.add(verb::get, "/v1/sessions/*/recordings", Access::recordings, [](const RestCall& call) -> Answer {
    const auto query = session_catalogue_query(call);
    co_return query ? page_of(*query) : error_answer(query.error());
  });
  routes.add(verb::get, "/v1/sessions/*/recordings/*/*", Access::recordings, [](const RestCall& call) -> Answer {
    const auto path = recorded().catalogue().file_path(SessionId(call.names[0]), call.names[1], call.names[2]);
    fuzz::require(!path || path->ends_with("/manifest.json"), "a path leads to a file that is there");
    co_return path && recorded_type(call.names[2]) ? json_answer("{}") : error_answer({ErrorCode::not_found, "There is no such file."});
  });
}

void add_live_routes(RestRoutes& routes, Live& live) {
  routes.add(verb::post, "/v1/sessions/*/recording", Access::record, [&live](const RestCall& call) -> Answer {
    const auto on = requested_recording(call);
    if (!on) co_return error_answer(on.error());
    live.session.request_recording(*on, call.token.identity, live.now);
    live.drain();
    co_return json_answer(services::encode(services::RecordingStateMessage{live.session.snapshot(live.now), {}}), 202);
  });
  routes.add(verb::post, "/v1/sessions/*/recording/markers", Access::record, [&live](const RestCall& call) -> Answer {
    const auto label = requested_marker(call);
    if (!label) co_return error_answer(label.error());
    const auto marker = live.session.add_marker(*label, call.token.identity, live.now);
    live.drain();
    co_return marker ? json_answer(services::encode(services::MarkerMessage{*marker}), 201) : error_answer(marker.error());
  });
}

void add_export_routes(RestRoutes& routes) {
  for (const char* pattern : {"/v1/sessions/*/recordings/*/exports", "/v1/sessions/*/exports"})
    routes.add(verb::post, pattern, Access::record, [](const RestCall& call) -> Answer {
      const auto request = requested_export(call);
      if (!request) co_return error_answer(request.error());
      fuzz::require(request->from_ms >= 0 && request->to_ms.value_or(0) >= 0 && request->session == call.names[0], "an export has a range and a session");
      co_return json_answer("{}", 202);
    });
}

/// Of the session s1; the lowest five bits of `bits` are its grants, the sixth leaves the token out.
Result<AccessToken> token_of(std::uint8_t bits) {
  if (bits & 32) return fail(ErrorCode::unauthorized, "A token is needed.");
  return AccessToken{SessionId("s1"), "nurse", {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0}, 0, "", 0, {}};
}

void check(const HttpAnswer& answer, std::uint8_t bits) {
  static const std::set<unsigned> kKnown{200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 429};
  fuzz::require(kKnown.contains(answer.status), "an answer has a status of the protocol");
  fuzz::require(answer.status == 204 || Json::accept(answer.body), "an answer is JSON");
  if (answer.status >= 400) fuzz::require(!Json::parse(answer.body).at("message").get<std::string>().empty(), "an error says what is wrong");
  if (bits & 32) fuzz::require(answer.status >= 400, "without a token there is an error only");
  if (!(bits & 0b11100)) fuzz::require(answer.status >= 400, "a token without grants for REST gets an error only");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t bits = in.u8();
  const std::string_view line = in.line();
  HttpRequest request;
  const verb method = http::string_to_verb(line.substr(0, line.find(' ')));
  if (method == verb::unknown || line.find(' ') == line.npos) return 0;
  const std::string target(line.substr(line.find(' ') + 1));
  request.method(method);
  request.target(target);
  request.body() = std::string(in.text());
  auto path = safe_path(target);
  if (!path) return 0;

  boost::asio::io_context control;
  Counters<Drop> drops;
  std::vector<std::unique_ptr<MediaWorker>> workers;
  Live live;
  SessionDirectory directory(control, workers, Bytes(32), live.random, drops, {});
  RestRoutes routes([bits](std::string_view) { return token_of(bits); }, drops);
  add_session_routes(routes, directory);
  add_catalogue_routes(routes);
  add_live_routes(routes, live);
  add_export_routes(routes);

  std::optional<HttpAnswer> answer;
  auto ask = [](const RestRoutes& there, const HttpRequest& asked, std::vector<std::string> parts, std::optional<HttpAnswer>& out) -> boost::asio::awaitable<void> {
    out = co_await there.answer(asked, std::move(parts));
  };
  boost::asio::co_spawn(control, ask(routes, request, std::move(*path), answer), [](std::exception_ptr thrown) { fuzz::require(!thrown, "nothing throws"); });
  control.run();
  fuzz::require(answer.has_value(), "every request is answered");
  check(*answer, bits);
  return 0;
}
