// What the server end of the session services is given and gives: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::services {

using ConnectionNumber = std::uint64_t;

/// Who stands behind a connection: taken from a token that the owner has checked already.
struct Caller {
  ParticipantId participant;
  std::string identity;
  bool may_record = false;
};

struct SendText { ConnectionNumber connection; std::string text; };
struct CloseConnection { ConnectionNumber connection; Error reason; };   // after what was sent before
struct StartRecording { RecordingId id; std::string requested_by; RecordingId continues{}; };
/// `goes_on`: the server ends, and nobody has asked for the recording to: after the restart a further one begins.
struct StopRecording { RecordingId id; bool goes_on = false; };
/// It was to go on after the restart, is complete, and now somebody has asked for its end.
struct ForgetRecording { RecordingId id; };
struct AddMarker { RecordingId id; std::string label; std::string by; Time at; };
using ServerOutput = std::variant<SendText, CloseConnection, StartRecording, StopRecording, ForgetRecording, AddMarker>;

/// What survives a restart: read from the recordings' manifests by the owner.
struct Restored {
  // At least as great as any that was ever given out: the owner stores a ceiling before a recording begins
  // (docs/decisions/0007), so that revisions grow over restarts without trusting a wall clock.
  std::uint64_t revision = 0;
  std::int64_t total_ms = 0;       // all finished recordings of the session
  std::string last_recording_id;
};

/// More revisions than the changes that one recording can cause, were there one every half second for a year: a ceiling is stored once
/// for each recording, before it is on.
constexpr std::uint64_t kRevisionsPerRecording = 100'000'000;

}  // namespace amphi::services
