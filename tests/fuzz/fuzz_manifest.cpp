// manifest.json as found on a disk: any text is a manifest or an error.
#include "fuzz.h"
#include "recording/manifest.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::Input(data, size).text();
  const auto manifest = recording::parse_manifest(text);
  fuzz::require(manifest.has_value() || !manifest.error().message.empty(), "an error says what it is");
  if (const auto time = recording::parse_iso8601(text)) {
    const auto again = recording::parse_iso8601(recording::iso8601(*time));
    fuzz::require(again && again->unix_ms == time->unix_ms, "a time is the same after it was written");
  }
  if (recording::is_safe_path_name(text))
    fuzz::require(text != "." && text != ".." && text.find('/') == text.npos && text.find('\0') == text.npos, "a safe name leads nowhere else");
  return 0;
}
