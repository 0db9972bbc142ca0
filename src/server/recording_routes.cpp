#include "server/recording_routes.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "recording/manifest.h"
#include "server/rest_requests.h"
#include "server/static_files.h"

// See export_routes.cpp.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using boost::beast::http::verb;
using Answer = asio::awaitable<HttpAnswer>;

Json entry_json(const CatalogueEntry& entry) {
  Json json{{"sessionId", entry.session}, {"recordingId", entry.id}, {"state", entry.state}, {"requestedBy", entry.requested_by},
            {"startedAt", recording::iso8601({entry.started_ms})}, {"durationMs", entry.duration_ms}, {"tracks", entry.tracks}};
  if (entry.stopped_ms > 0) json["stoppedAt"] = recording::iso8601({entry.stopped_ms});
  return json;
}

Answer list(RecordingParts parts, const RestCall& call) {
  auto query = catalogue_query(call);
  if (!query) co_return error_answer(query.error());
  auto task = [query = std::move(*query)](CatalogueIndex& index) { return index.list(query); };
  const auto page = co_await parts.index.call(std::move(task));
  if (!page) co_return error_answer(page.error());
  Json json{{"recordings", Json::array()}};
  for (const auto& entry : page->entries) json["recordings"].push_back(entry_json(entry));
  if (!page->next.empty()) json["next"] = page->next;
  co_return json_answer(text_of(json));
}

Answer list_session(RecordingParts parts, const RestCall& call) {
  auto query = session_catalogue_query(call);
  if (!query) co_return error_answer(query.error());
  auto look = [query = std::move(*query)](CatalogueIndex& index) { return index.list(query); };
  const auto page = co_await parts.index.call(std::move(look));
  if (!page) co_return error_answer(page.error());
  auto read = [&catalogue = parts.catalogue, session = SessionId(call.names[0]), page = *page] { return catalogue.page_json(session, page); };
  co_return json_answer(co_await parts.reader.call(std::move(read)));
}

struct FoundFile {
  std::string path;
  std::shared_ptr<const SealedFile> sealed;
};
Result<FoundFile> find_file(RecordingParts parts, const std::vector<std::string>& names) {
  const auto path = parts.catalogue.file_path(SessionId(names[0]), names[1], names[2]);
  if (!path) return tl::unexpected(path.error());
  const std::string folder = fs::path(*path).parent_path().string();
  if (auto placed = parts.sealed_files.check_place(folder, SessionId(names[0]), RecordingId(names[1])); !placed) return tl::unexpected(placed.error());
  auto sealed = parts.sealed_files.open(folder, names[2]);
  if (!sealed) return fail(ErrorCode::forbidden, sealed.error().message);
  return FoundFile{*path, std::move(*sealed)};
}

Answer file_of(RecordingParts parts, const RestCall& call) {
  if (!recorded_type(call.names[2])) co_return error_answer({ErrorCode::not_found, "There is no such file."});
  auto task = [parts, names = call.names] { return find_file(parts, names); };
  const auto found = co_await parts.reader.call(std::move(task));
  if (!found) {
    if (found.error().code != ErrorCode::not_found) co_return error_answer(found.error());
    auto gone = gone_or(parts, call.names[0], call.names[1], found.error());
    co_return co_await std::move(gone);
  }
  HttpAnswer answer;
  answer.sealed = found->sealed;
  answer.content_type = *recorded_type(call.names[2]);
  answer.file = found->path;
  answer.root = parts.catalogue.root();
  co_return answer;
}

Answer remove(RecordingParts parts, const RestCall& call) {
  const std::string session = call.names[0], id = call.names[1];
  if (parts.services.recordings().is_running(RecordingId(id))) co_return error_answer({ErrorCode::invalid_state, "The recording runs: stop it first."});
  if (parts.services.recordings().is_mending(RecordingId(id)))
    co_return error_answer({ErrorCode::invalid_state, "The recording waits for its disk, to be completed: it can be deleted then, or after the server's next start."});
  auto removing = parts.index.remove(session, id, call.token.identity);
  const auto removed = co_await std::move(removing);
  if (removed) co_return json_answer("", 204);
  if (removed.error().code != ErrorCode::not_found) co_return error_answer(removed.error());
  auto gone = gone_or(parts, session, id, removed.error());
  co_return co_await std::move(gone);
}

Answer state_of(RecordingParts parts, const RestCall& call, unsigned status) {
  const auto state = co_await parts.services.state(SessionId(call.names[0]));
  if (!state) co_return error_answer(state.error());
  co_return json_answer(services::encode(services::RecordingStateMessage{*state, {}}), status);
}

Answer ask(RecordingParts parts, const RestCall& call) {
  const auto on = requested_recording(call);
  if (!on) co_return error_answer(on.error());
  const auto asked = co_await parts.services.request_recording(SessionId(call.names[0]), *on, call.token.identity);
  if (!asked) co_return error_answer(asked.error());
  auto answer = state_of(parts, call, 202);
  co_return co_await std::move(answer);
}

Answer mark(RecordingParts parts, const RestCall& call) {
  auto label = requested_marker(call);
  if (!label) co_return error_answer(label.error());
  const auto marker = co_await parts.services.add_marker(SessionId(call.names[0]), std::move(*label), call.token.identity);
  if (!marker) co_return error_answer(marker.error());
  co_return json_answer(services::encode(services::MarkerMessage{*marker}), 201);
}

}  // namespace

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

asio::awaitable<HttpAnswer> gone_or(RecordingParts parts, std::string session, std::string id, Error otherwise) {
  auto task = [session = std::move(session), id = std::move(id)](CatalogueIndex& index) { return index.deletion_of(session, id); };
  const auto deletion = co_await parts.index.call(std::move(task));
  if (!deletion) co_return error_answer(otherwise);
  co_return error_answer({ErrorCode::not_found, "Deleted by " + deletion->by + " at " + recording::iso8601({deletion->at_ms}) + "."}, 410);
}

void add_recording_routes(RestRoutes& routes, RecordingParts parts) {
  routes.add(verb::get, "/v1/recordings", Access::recordings, [parts](const RestCall& call) { return list(parts, call); });
  routes.add(verb::get, "/v1/sessions/*/recordings", Access::recordings, [parts](const RestCall& call) { return list_session(parts, call); });
  routes.add(verb::get, "/v1/sessions/*/recordings/*/*", Access::recordings, [parts](const RestCall& call) { return file_of(parts, call); });
  routes.add(verb::delete_, "/v1/sessions/*/recordings/*", Access::admin, [parts](const RestCall& call) { return remove(parts, call); });
}

void add_live_routes(RestRoutes& routes, RecordingParts parts) {
  routes.add(verb::get, "/v1/sessions/*/recording", Access::member, [parts](const RestCall& call) { return state_of(parts, call, 200); });
  routes.add(verb::post, "/v1/sessions/*/recording", Access::record, [parts](const RestCall& call) { return ask(parts, call); });
  routes.add(verb::post, "/v1/sessions/*/recording/markers", Access::record, [parts](const RestCall& call) { return mark(parts, call); });
}

}  // namespace amphi::server
