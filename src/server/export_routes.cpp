// REST for exports: asked for, listed, looked at, fetched, cancelled, removed.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "server/export_files.h"
#include "server/export_job.h"
#include "server/recording_routes.h"
#include "server/rest_requests.h"
#include "server/static_files.h"

// GCC 12 inlines the allocation of a coroutine's frame here and not its deallocation, and takes Asio's two for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using boost::beast::http::verb;
using Answer = asio::awaitable<HttpAnswer>;

Json status_json(const ExportStatus& status) {
  Json json{{"exportId", status.id}, {"state", status.state}, {"form", status.tracks ? "tracks" : "composite"}, {"progress", status.progress}};
  if (status.error) {
    json["code"] = wire_name(status.error->code);
    json["error"] = status.error->message;
  }
  if (status.state != "done") return json;
  json["fromMs"] = status.from_ms;
  json["durationMs"] = status.duration_ms;
  json["file"] = "/v1/sessions/" + status.session + "/exports/" + status.id + "/file";
  return json;
}

struct Looked {
  std::string folder;    // of what is to be exported
  std::size_t made = 0;  // so many files lie with the session
};
/// Whether it can be made, as the disk is now.
Result<Looked> look_at_disk(const RecordingCatalogue& catalogue, const ExportRequest& request, std::uint64_t reserve) {
  const std::string session_folder = catalogue.session_folder(SessionId(request.session));
  ExportOrder order{{}, request.tracks, {request.from_ms, request.to_ms}, request.session, "", reserve};
  Looked looked{session_folder, 0};
  if (request.recording.empty()) {
    auto all = finished_recordings(session_folder);
    if (!all) return fail(ErrorCode::not_found, "The session has no finished recording.");
    order.folders = std::move(*all);
  } else {
    const auto manifest = catalogue.file_path(SessionId(request.session), request.recording, "manifest.json");
    if (!manifest) return tl::unexpected(manifest.error());
    looked.folder = fs::path(*manifest).parent_path().string();
    order.folders = {looked.folder};
  }
  if (auto checked = check_export(order); !checked) return tl::unexpected(checked.error());
  looked.made = export_files(session_folder).size();
  return looked;
}

HttpAnswer added(ExportJobs& exports, ExportRequest request, const Looked& looked) {
  request.folder = looked.folder;
  const auto status = exports.add(request, looked.made);
  return status ? json_answer(text_of(status_json(*status)), 202) : error_answer(status.error());
}

Answer add_export(RecordingParts parts, const RestCall& call) {
  const auto request = requested_export(call);
  if (!request) co_return error_answer(request.error());
  auto task = [&catalogue = parts.catalogue, request = *request, reserve = parts.exports.reserve()] { return look_at_disk(catalogue, request, reserve); };
  const auto looked = co_await parts.reader.call(std::move(task));
  if (looked) co_return added(parts.exports, *request, *looked);
  if (looked.error().code != ErrorCode::not_found || request->recording.empty()) co_return error_answer(looked.error());
  auto gone = gone_or(parts, request->session, request->recording, looked.error());
  co_return co_await std::move(gone);
}

Answer list_exports(RecordingParts parts, const RestCall& call) {
  auto task = [folder = parts.catalogue.session_folder(SessionId(call.names[0]))] { return export_files(folder); };
  const auto files = co_await parts.reader.call(std::move(task));
  Json json{{"exports", Json::array()}};
  for (const ExportFile& file : files) {
    Json entry{{"name", file.name}, {"bytes", file.bytes}};
    if (!file.recording.empty()) entry["recordingId"] = file.recording;
    json["exports"].push_back(std::move(entry));
  }
  co_return json_answer(text_of(json));
}

/// nullptr: none of this session's.
const ExportStatus* export_of(RecordingParts parts, const RestCall& call) {
  const ExportStatus* status = parts.exports.find(call.names[1]);
  return status != nullptr && status->session == call.names[0] ? status : nullptr;
}

HttpAnswer no_such_export() { return error_answer({ErrorCode::not_found, "There is no such export; what was asked for before the server's last start is remembered by its file's name only."}); }

/// By its name, or by its path.
Result<std::string> remove_file(const std::string& session_folder, const std::string& name, std::string path) {
  for (const ExportFile& file : export_files(session_folder))
    if (path.empty() && file.name == name) path = file.path;
  if (path.empty()) return fail(ErrorCode::not_found, "");
  if (auto removed = remove_export(path); !removed && removed.error().code != ErrorCode::not_found) return tl::unexpected(removed.error());
  return path;
}

Answer remove(RecordingParts parts, const RestCall& call) {
  const ExportStatus* status = export_of(parts, call);
  if (status != nullptr && parts.exports.cancel(call.names[1])) co_return json_answer("", 204);
  if (status != nullptr && status->state != "done") co_return error_answer({ErrorCode::invalid_state, "The export is over, and left no file."});
  auto task = [folder = parts.catalogue.session_folder(SessionId(call.names[0])), name = call.names[1], path = status != nullptr ? status->output : std::string()] {
    return remove_file(folder, name, path);
  };
  const auto removed = co_await parts.reader.call(std::move(task));
  if (!removed) co_return removed.error().code == ErrorCode::not_found ? no_such_export() : error_answer(removed.error());
  parts.exports.forget_file(*removed);
  co_return json_answer("", 204);
}

}  // namespace

void add_export_routes(RestRoutes& routes, RecordingParts parts) {
  parts.index.on_removed([&exports = parts.exports](const std::string& session, const std::string& id) { exports.forget(session, id); });
  routes.add(verb::post, "/v1/sessions/*/recordings/*/exports", Access::record, [parts](const RestCall& call) { return add_export(parts, call); });
  routes.add(verb::post, "/v1/sessions/*/exports", Access::record, [parts](const RestCall& call) { return add_export(parts, call); });
  routes.add(verb::get, "/v1/sessions/*/exports", Access::recordings, [parts](const RestCall& call) { return list_exports(parts, call); });
  routes.add(verb::get, "/v1/sessions/*/exports/*", Access::recordings, [parts](const RestCall& call) -> Answer {
    const ExportStatus* status = export_of(parts, call);
    co_return status != nullptr ? json_answer(text_of(status_json(*status))) : no_such_export();
  });
  routes.add(verb::get, "/v1/sessions/*/exports/*/file", Access::recordings, [parts](const RestCall& call) -> Answer {
    const ExportStatus* status = export_of(parts, call);
    if (status == nullptr) co_return no_such_export();
    if (status->state != "done") co_return error_answer({ErrorCode::invalid_state, "The export has no file: it is " + status->state + "."});
    HttpAnswer answer;
    answer.content_type = content_type(status->output);
    answer.file = status->output;
    answer.root = parts.catalogue.root();
    co_return answer;
  });
  routes.add(verb::delete_, "/v1/sessions/*/exports/*", Access::record, [parts](const RestCall& call) { return remove(parts, call); });
}

}  // namespace amphi::server
