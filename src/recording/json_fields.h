// How manifest.json and journal.jsonl write the same things, and a reader that remembers what was missing.
// Internal to recording.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "recording/manifest.h"

namespace amphi::recording {

using Json = nlohmann::ordered_json;

/// One line; text that is no UTF-8 is repaired, for a stranger's label must not cost the recording.
std::string text_of(const Json& json);
/// A whole document, indented for people; but what a list holds of plain entries (a gap, a marker) is a line each, for there may be many.
std::string readable_text(const Json& json);

/// Reads the fields of one object; a field that is missing or of another type is an error, remembered.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}
  bool ok() const { return ok_; }
  void refuse() { ok_ = false; }
  bool has(const char* name) const { return json_.is_object() && json_.contains(name); }

  const Json* find(const char* name, Json::value_t type);
  std::string text(const char* name);
  std::uint64_t count(const char* name);
  /// A count that a signed number holds.
  std::int64_t signed_count(const char* name);
  bool flag(const char* name);
  /// `out.size()` bytes in hexadecimal.
  void hex(const char* name, MutableBytes out);

 private:
  const Json& json_;
  bool ok_ = true;
};

void put_feed(Json& json, const FeedInfo& feed);
FeedInfo read_feed(Fields& fields);

/// Why a feed has no track, and its counters.
void put_without_track(Json& json, const TrackRecord& feed);
void read_without_track(Fields& fields, TrackRecord& feed);

void put_unlisted(Json& json, const UnlistedGaps& unlisted);
UnlistedGaps read_unlisted(Fields& fields);

Json drops_json(const Drops& drops);
Drops read_drops(const Json& json);  // names that it does not know are left out

}  // namespace amphi::recording
