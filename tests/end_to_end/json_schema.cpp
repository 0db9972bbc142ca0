#include "json_schema.h"

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <stdexcept>

namespace amphi::end_to_end {
namespace {

using Json = nlohmann::json;

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  throw std::invalid_argument("a type that this checker does not know: " + type);
}

std::size_t characters(const std::string& utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// Code points, so that a pattern may name ranges beyond ASCII. nlohmann's parser has checked the encoding.
std::wstring wide(const std::string& utf8) {
  std::wstring out;
  for (const unsigned char c : utf8) {
    if ((c & 0xc0) == 0x80) out.back() = static_cast<wchar_t>(out.back() << 6 | (c & 0x3f));
    else out += static_cast<wchar_t>(c < 0x80 ? c : c < 0xe0 ? c & 0x1f : c < 0xf0 ? c & 0x0f : c & 0x07);
  }
  return out;
}

/// Whether one keyword holds; those of objects and arrays are looked into by find_error.
bool holds(const std::string& keyword, const Json& limit, const Json& value) {
  if (keyword == "type") return has_type(value, limit);
  if (keyword == "const") return value == limit;
  if (keyword == "enum") return std::find(limit.begin(), limit.end(), value) != limit.end();
  if (keyword == "minimum") return !value.is_number() || value >= limit;
  if (keyword == "maximum") return !value.is_number() || value <= limit;
  if (keyword == "minLength") return !value.is_string() || characters(value) >= limit.get<std::size_t>();
  if (keyword == "maxLength") return !value.is_string() || characters(value) <= limit.get<std::size_t>();
  if (keyword == "maxItems") return !value.is_array() || value.size() <= limit.get<std::size_t>();
  if (keyword == "pattern") return !value.is_string() || std::regex_search(wide(value), std::wregex(wide(limit)));
  static const std::set<std::string> elsewhere{"$schema", "$defs", "title", "description", "required", "properties", "items", "if", "then", "else"};
  if (!elsewhere.contains(keyword)) throw std::invalid_argument("a keyword that this checker does not know: " + keyword);
  return true;
}

/// `root`: the whole schema, which "$ref" points into.
std::string find_error(const Json& root, const Json& schema, const Json& value, const std::string& path) {
  if (schema.contains("$ref")) return find_error(root, root.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), value, path);
  for (const auto& [keyword, limit] : schema.items())
    if (!holds(keyword, limit, value)) return path + ": " + keyword + " " + limit.dump() + " does not hold of " + value.dump();
  for (const auto& name : schema.value("required", Json::array()))
    if (!value.contains(name.get<std::string>())) return path + ": " + name.get<std::string>() + " is missing";
  if (value.is_object() && schema.contains("properties"))
    for (const auto& [name, inner] : schema["properties"].items())
      if (value.contains(name))
        if (auto error = find_error(root, inner, value[name], path + "." + name); !error.empty()) return error;
  if (value.is_array() && schema.contains("items"))
    for (std::size_t i = 0; i < value.size(); ++i)
      if (auto error = find_error(root, schema["items"], value[i], path + "[" + std::to_string(i) + "]"); !error.empty()) return error;
  return {};
}

}  // namespace

std::string schema_error(const Json& schema, const Json& value, const std::string& path) { return find_error(schema, schema, value, path); }

Json protocol_schema(const std::string& name) {
  std::ifstream file(std::string(AMPHI_SOURCE_DIR) + "/protocol/" + name + ".schema.json");
  return Json::parse(file);
}

}  // namespace amphi::end_to_end
