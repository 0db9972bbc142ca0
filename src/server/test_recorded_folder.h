// For tests: a finished recording on the disk, as the server's writers make it.
#pragma once

#include <filesystem>

#include "base/time.h"
#include "recording/recorder.h"
#include "server/file_ops.h"

namespace amphi::server {

/// Two seconds of sound and a marker, in `<root>/<session>/<id>`, which is returned.
inline std::string record_sound(const std::string& root, recording::RecordingInfo info, recording::Safekeeping keeping) {
  const std::string folder = root + "/" + info.session.value + "/" + info.id.value;
  std::filesystem::create_directories(folder);
  runtime::FileWriter files(folder);
  const Time start = Time{} + 1h;
  recording::Recorder recorder(std::move(info), start, std::move(keeping));
  const auto drain = [&](Time now) {
    while (auto output = recorder.poll_output())
      if (const auto* op = std::get_if<recording::FileOp>(&*output)) carry_out(*op, files, recorder, now);
  };
  drain(start);
  recorder.add_feed({FeedId("fd_1"), ParticipantId("par_1"), "surgeon", "microphone", {rtp::CodecName::opus, 48'000, 2, ""}}, start);
  for (unsigned i = 0; i < 100; ++i) {
    const Time now = start + i * 20ms;
    const Bytes payload{std::byte{0x78}, std::byte{1}, std::byte(i)};
    recorder.handle_packet(FeedId("fd_1"), i, {true, 111, static_cast<rtp::WireSeq>(i), i * 960, 7}, payload, now);
    if (i == 50) recorder.add_marker("incision", "nurse", now);
    recorder.handle_timeout(now);
    drain(now);
  }
  recorder.stop(start + 2s, WallTime{1'700'000'002'000});
  drain(start + 2s);
  return folder;
}

}  // namespace amphi::server
