#include "server/rest_requests.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace amphi::server {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMostMs = 1'000'000'000'000;  // of an export's range

/// False: the value is present and is not a whole number of at least 0.
bool read_number(const std::string& text, std::optional<std::int64_t>& out) {
  if (text.empty()) return true;
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  out = value;
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && value >= 0;
}

Result<std::size_t> limit_of(const RestCall& call) {
  std::optional<std::int64_t> limit;
  if (!read_number(call.query("limit"), limit) || (limit && (*limit < 1 || *limit > 1000)))
    return fail(ErrorCode::invalid_argument, "`limit` is a whole number, 1 to 1000.");
  return limit ? static_cast<std::size_t>(*limit) : 100;
}

Json body_of(const RestCall& call) { return Json::parse(call.request.body(), nullptr, false); }

/// nullptr: absent, or the body is no object.
const Json* field_of(const Json& body, const char* name) {
  const auto found = body.is_object() ? body.find(name) : body.end();
  return found == body.end() ? nullptr : &*found;
}

Result<bool> truth_of(const RestCall& call, const char* name) {
  const Json body = body_of(call);
  if (const Json* field = field_of(body, name); field != nullptr && field->is_boolean()) return field->get<bool>();
  const std::string key = std::string("{\"") + name + "\": ";
  return fail(ErrorCode::malformed, "The body is " + key + "true} or " + key + "false}.");
}

/// False: the field is present and is no time within a range.
bool read_ms(const Json& body, const char* name, std::optional<std::int64_t>& out) {
  const Json* field = field_of(body, name);
  if (field == nullptr) return true;
  if (!field->is_number_unsigned() || field->get<std::uint64_t>() > static_cast<std::uint64_t>(kMostMs)) return false;
  out = field->get<std::int64_t>();
  return true;
}

}  // namespace

Result<CatalogueQuery> catalogue_query(const RestCall& call) {
  const auto limit = limit_of(call);
  if (!limit) return tl::unexpected(limit.error());
  CatalogueQuery query{call.query("session"), call.query("state"), {}, {}, *limit, call.query("cursor")};
  if (!read_number(call.query("from"), query.from_ms) || !read_number(call.query("to"), query.to_ms))
    return fail(ErrorCode::invalid_argument, "`from` and `to` (milliseconds since 1970) are whole numbers.");
  if (call.token.grants.admin) return query;
  if (!query.session.empty() && query.session != call.token.session.value) return fail(ErrorCode::forbidden, "The token is for another session.");
  query.session = call.token.session.value;
  return query;
}

Result<CatalogueQuery> session_catalogue_query(const RestCall& call) {
  const auto limit = limit_of(call);
  if (!limit) return tl::unexpected(limit.error());
  return CatalogueQuery{call.names[0], "", {}, {}, *limit, call.query("cursor")};
}

Result<bool> requested_recording(const RestCall& call) { return truth_of(call, "on"); }
Result<bool> requested_mute(const RestCall& call) { return truth_of(call, "muted"); }

Result<std::string> requested_marker(const RestCall& call) {
  const Json body = body_of(call);
  if (const Json* label = field_of(body, "label"); label != nullptr && label->is_string()) return label->get<std::string>();
  return fail(ErrorCode::malformed, R"(The body is {"label": TEXT}.)");
}

Result<ExportRequest> requested_export(const RestCall& call) {
  const Json body = body_of(call);
  const Json* form = field_of(body, "form");
  std::optional<std::int64_t> from_ms, to_ms;
  if (form == nullptr || (*form != "composite" && *form != "tracks") || !read_ms(body, "fromMs", from_ms) || !read_ms(body, "toMs", to_ms))
    return fail(ErrorCode::malformed, R"(The body is {"form": "composite" or "tracks", "fromMs"?, "toMs"?}.)");
  ExportRequest request;
  request.session = call.names[0];
  if (call.names.size() > 1) request.recording = call.names[1];
  request.tracks = *form == "tracks";
  request.from_ms = from_ms.value_or(0);
  request.to_ms = to_ms;
  request.by = call.token.identity;
  return request;
}

}  // namespace amphi::server
