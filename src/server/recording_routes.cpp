#include "server/recording_routes.h"

#include <filesystem>

#include "server/static_files.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
using boost::beast::http::verb;

}  // namespace

void add_recording_routes(RestRoutes& routes, const RecordingCatalogue& catalogue, SealedFiles& sealed_files) {
  routes.add(verb::get, "/v1/sessions/*/recordings", Access::member, [&catalogue](const RestCall& call) -> asio::awaitable<HttpAnswer> {
    co_return json_answer(catalogue.list_json(SessionId(call.names[0])));
  });
  routes.add(verb::get, "/v1/sessions/*/recordings/*/*", Access::member, [&catalogue, &sealed_files](const RestCall& call) -> asio::awaitable<HttpAnswer> {
    const auto file = catalogue.file_path(SessionId(call.names[0]), call.names[1], call.names[2]);
    if (!file) co_return error_answer(file.error());
    auto sealed = sealed_files.open(std::filesystem::path(*file).parent_path().string(), call.names[2]);
    if (!sealed) co_return error_answer({ErrorCode::forbidden, sealed.error().message});
    HttpAnswer answer;
    answer.sealed = std::move(*sealed);
    answer.content_type = content_type(call.names[2]);
    answer.file = *file;
    co_return answer;
  });
}

}  // namespace amphi::server
