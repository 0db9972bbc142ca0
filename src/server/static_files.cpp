#include "server/static_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace amphi::server {
namespace {

int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
    i += 2;
  }
  return out;
}

bool is_safe_part(const std::string& part) {
  if (part.empty() || part.size() > 255 || part.front() == '.') return false;
  return std::none_of(part.begin(), part.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '/' || c == '\\'; });
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view path_of(std::string_view target) { return target.substr(0, target.find_first_of("?#")); }

std::string query_value(std::string_view target, std::string_view name) {
  const auto question = target.find('?');
  if (question == std::string_view::npos) return {};
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name)
      return percent_decode(pair.substr(equals + 1)).value_or(std::string());
  }
  return {};
}

std::optional<std::vector<std::string>> safe_path(std::string_view target) {
  std::string_view path = path_of(target);
  if (path.empty() || path.front() != '/') return std::nullopt;
  path.remove_prefix(1);
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    auto part = percent_decode(path.substr(0, slash));
    if (!part || !is_safe_part(*part)) return std::nullopt;
    parts.push_back(std::move(*part));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

std::string_view content_type(std::string_view file_name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 19> kTypes{{
      {"html", "text/html; charset=utf-8"}, {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"}, {"css", "text/css; charset=utf-8"}, {"json", "application/json"},
      {"map", "application/json"}, {"svg", "image/svg+xml"}, {"png", "image/png"}, {"jpg", "image/jpeg"},
      {"ico", "image/x-icon"}, {"webp", "image/webp"}, {"woff2", "font/woff2"}, {"txt", "text/plain; charset=utf-8"},
      {"wasm", "application/wasm"}, {"webm", "video/webm"}, {"mkv", "video/x-matroska"}, {"mka", "audio/x-matroska"},
      {"mp4", "video/mp4"}, {"webmanifest", "application/manifest+json"}}};
  const auto dot = file_name.rfind('.');
  if (dot != std::string_view::npos)
    for (const auto& [extension, type] : kTypes)
      if (file_name.substr(dot + 1) == extension) return type;
  return "application/octet-stream";
}

std::optional<std::string_view> recorded_type(std::string_view file_name) {
  if (file_name == "journal.jsonl") return "application/x-ndjson";
  if (file_name == "manifest.json") return content_type(file_name);
  for (const std::string_view extension : {".webm", ".mkv", ".mka", ".mp4"})
    if (file_name.ends_with(extension)) return content_type(file_name);
  return std::nullopt;
}

RangeChoice choose_range(std::string_view header, std::uint64_t file_size) {
  constexpr std::string_view kUnit = "bytes=";
  if (header.substr(0, kUnit.size()) != kUnit) return {};
  header.remove_prefix(kUnit.size());
  const auto dash = header.find('-');
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos) return {};
  const auto first = header.substr(0, dash), last = header.substr(dash + 1);
  if (first.empty()) {  // the last so many bytes
    const auto count = number(last);
    if (!count) return {};
    if (*count == 0 || file_size == 0) return {RangeKind::unsatisfiable, {}};
    const auto size = std::min(*count, file_size);
    return {RangeKind::part, {file_size - size, size}};
  }
  const auto from = number(first);
  const auto to = last.empty() ? std::optional<std::uint64_t>(UINT64_MAX) : number(last);
  if (!from || !to || *to < *from) return {};
  if (*from >= file_size) return {RangeKind::unsatisfiable, {}};
  return {RangeKind::part, {*from, std::min(*to, file_size - 1) - *from + 1}};
}

}  // namespace amphi::server
