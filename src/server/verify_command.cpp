#include "server/verify_command.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "recording/journal.h"
#include "recording/verify.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"
#include "server/recording_place.h"
#include "server/safekeeping.h"

namespace amphi::server {
namespace {

using Json = nlohmann::ordered_json;
using recording::SignatureState;

std::string_view words(SignatureState state) {
  switch (state) {
    case SignatureState::none: return "none";
    case SignatureState::valid: return "valid";
    case SignatureState::valid_by_unknown_key: return "fits its own key (give --public-key to check whose)";
    case SignatureState::invalid: return "INVALID";
  }
  return "";
}
std::string_view name(SignatureState state) {
  switch (state) {
    case SignatureState::none: return "none";
    case SignatureState::valid: return "valid";
    case SignatureState::valid_by_unknown_key: return "valid_by_unknown_key";
    case SignatureState::invalid: return "invalid";
  }
  return "";
}

Json as_json(const recording::VerifyReport& report) {
  Json json{{"recordingId", report.recording_id}, {"sessionId", report.session_id}, {"state", report.state},
            {"durationMs", report.duration_ms},   {"finished", report.finished},    {"sound", report.sound()},        {"journalLines", report.journal_lines},
            {"chainHead", report.chain_head},     {"signature", name(report.signature)}};
  if (!report.signed_by.empty()) json["signedBy"] = report.signed_by;
  json["tracks"] = Json::array();
  for (const auto& track : report.tracks) {
    Json entry{{"path", track.path}, {"bytes", track.bytes}};
    if (!track.finished) entry["finished"] = false;
    else if (!track.hashed) entry["hashed"] = false;
    if (track.looked_inside) entry.update(Json{{"frames", track.frames}, {"durationMs", track.duration_ms}});
    json["tracks"].push_back(std::move(entry));
  }
  json["findings"] = Json::array();
  for (const auto& finding : report.findings) {
    Json entry{{"file", finding.file}};
    if (finding.bytes) entry.update(Json{{"from", finding.bytes->first}, {"to", finding.bytes->second}});
    entry["what"] = finding.what;
    json["findings"].push_back(std::move(entry));
  }
  return json;
}

const char* verdict(const recording::VerifyReport& report) {
  if (!report.findings.empty()) return "The recording is NOT as it was written.";
  if (!report.finished) return "It is not finished: it is being recorded, or was cut off and is not repaired yet. What is there so far is as it was written.";
  if (report.state == "repaired") return "Everything is as the repair left it. A signature is the repair's: it says how the recording was found.";
  return "Everything is as it was written.";
}

void show(const recording::VerifyReport& report) {
  std::printf("Recording %s of session %s: %s, %.3f s\n", report.recording_id.c_str(), report.session_id.c_str(), report.state.c_str(),
              static_cast<double>(report.duration_ms) / 1000);
  for (const auto& track : report.tracks) {
    std::printf("  %-44s %12llu bytes", track.path.c_str(), static_cast<unsigned long long>(track.bytes));
    if (track.looked_inside)
      std::printf("  %8llu frames %10.3f s\n", static_cast<unsigned long long>(track.frames), static_cast<double>(track.duration_ms) / 1000);
    else
      std::printf("  encrypted: give --recording-key to look inside\n");
    if (!track.finished) std::printf("    it has no end yet: its pieces are checked\n");
    else if (!track.hashed) std::printf("    the manifest has no SHA-256 of this file (of a long recording: not yet); the journal has one of each piece\n");
  }
  std::printf("  journal: %llu lines, chain head %s\n", static_cast<unsigned long long>(report.journal_lines), report.chain_head.c_str());
  std::printf("  signature: %s\n", std::string(words(report.signature)).c_str());
  for (const auto& finding : report.findings) {
    std::printf("  WRONG: %s", finding.file.c_str());
    if (finding.bytes)
      std::printf(", bytes %llu to %llu", static_cast<unsigned long long>(finding.bytes->first), static_cast<unsigned long long>(finding.bytes->second - 1));
    std::printf(": %s\n", finding.what.c_str());
  }
  std::printf("  %s\n", verdict(report));
}

}  // namespace

int verify_recording(const VerifyConfig& config) {
  const auto complain = [](const std::string& why) {
    std::cerr << "amphi-server verify: " << why << std::endl;
    return 2;
  };
  const runtime::Folder folder(config.folder);
  if (!folder.size("manifest.json"))
    return complain(config.folder + " is no recording's folder: it has no manifest.json (give <recordings>/<session>/<recording>)");
  recording::VerifyOptions options;
  if (!config.public_key.empty()) {
    const auto pem = runtime::read_file(config.public_key, 64 * 1024, runtime::Links::follow);
    if (!pem) return complain(pem.error().message);
    const auto key = public_key_from_pem(*pem);
    if (!key) return complain(config.public_key + ": " + key.error().message);
    options.trusted = *key;
  }
  const auto safe = Safe::open("", config.recording_key);
  if (!safe) return complain(safe.error().message);
  if (!config.recording_key.empty())
    options.unwrap = [&safe](const recording::WrappedKey& wrapped, const recording::RecordingInfo& info) {
      auto keeping = safe->for_existing(wrapped, info);
      return keeping ? std::move(keeping->sealer) : std::nullopt;
    };
  const bool bar = ::isatty(STDERR_FILENO) == 1;
  if (bar)
    options.progress = [shown = -1](std::uint64_t done, std::uint64_t all) mutable {
      const int percent = all == 0 ? 100 : static_cast<int>(done * 100 / all);
      if (percent != shown) std::fprintf(stderr, "\r  checking %3d %%", shown = percent);
    };
  recording::VerifyReport report = recording::verify(folder, options);
  if (const auto info = recorded_as(config.folder); info && is_misplaced(config.folder, *info))
    report.findings.push_back({std::string(recording::kJournalName), std::nullopt,
                               "by it this is the recording " + info->id.value + " of the session " + info->session.value + ": the folder was copied or moved to another's place"});
  if (bar) std::fputs("\r                 \r", stderr);
  if (config.json) std::cout << as_json(report).dump(2, ' ', false, Json::error_handler_t::replace) << std::endl;
  else show(report);
  if (!report.findings.empty()) return 1;
  return report.finished ? 0 : 2;
}

}  // namespace amphi::server
