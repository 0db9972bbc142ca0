// The rules of serving files over HTTP: which path below a folder an address names, its content type, and which bytes a
// Range header asks for (RFC 9110 14). Pure. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace amphi::server {

/// The address split at '/', percent-decoded; nullopt for anything that could lead elsewhere: empty, dotted or hidden
/// parts, separators or control characters inside a part, broken encoding. "/" gives no parts.
std::optional<std::vector<std::string>> safe_path(std::string_view target);
/// The target without its query, and the query's value of `name`, percent-decoded; empty: none.
std::string_view path_of(std::string_view target);
std::string query_value(std::string_view target, std::string_view name);

std::string_view content_type(std::string_view file_name);
/// Of the files that a recording consists of or an export makes; nullopt: anything else, which is not served from a recording's folder.
std::optional<std::string_view> recorded_type(std::string_view file_name);

struct ByteRange {
  std::uint64_t first = 0, size = 0;
  bool operator==(const ByteRange&) const = default;
};
enum class RangeKind { whole, part, unsatisfiable };
struct RangeChoice {
  RangeKind kind = RangeKind::whole;
  ByteRange range;
};
/// A header that is absent, broken, or asks for several ranges is answered with the whole, as the RFC allows.
RangeChoice choose_range(std::string_view header, std::uint64_t file_size);

}  // namespace amphi::server
