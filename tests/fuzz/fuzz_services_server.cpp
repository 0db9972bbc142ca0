// The services' server end: two connections say whatever they like, line by line; a line that begins with '!' is the world
// around it (time, recordings that start, end or fail). Whatever it answers is a message of the protocol.
#include "fuzz.h"
#include "services/messages.h"
#include "services/server.h"

using namespace amphi;

namespace {

struct World {
  SeededRandom random{1};
  services::ServerSession session{SessionId("ses_1"), {}, random};
  Time now{};
  std::optional<RecordingId> starting, stopping, forgetting;
  std::uint64_t revision = 0;
  int openings = 8;  // each replays up to 100 markers: more of them make an input slow, and show nothing new

  void drain() {
    while (auto output = session.poll_output()) {
      if (const auto* send = std::get_if<services::SendText>(&*output)) {
        fuzz::require(std::holds_alternative<services::Message>(services::decode(send->text)), "an answer is a message");
      } else if (const auto* start = std::get_if<services::StartRecording>(&*output)) {
        starting = start->id;
      } else if (const auto* stop = std::get_if<services::StopRecording>(&*output)) {
        stopping = stop->id;
      } else if (const auto* forget = std::get_if<services::ForgetRecording>(&*output)) {
        forgetting = forget->id;
      }
    }
    const auto snapshot = session.snapshot(now);
    fuzz::require(snapshot.revision >= revision, "a revision only grows");
    revision = snapshot.revision;
  }
  void event(char which) {
    const Error error{ErrorCode::storage, "The disk is full."};
    switch (which) {
      case 's': if (starting) session.recording_started(*starting, now, now); break;
      case 'r': if (starting) session.recording_refused(*starting, error, now); break;
      case 'f': if (stopping) session.recording_finished(*stopping, 5s, std::nullopt, now); break;
      case 'e': if (starting) session.recording_finished(*starting, 1s, error, now); break;
      case 'i': session.interrupt_recording(now); break;
      case 'g': if (forgetting) session.recording_forgotten(*forgetting, std::nullopt, now); break;
      case 'h': if (forgetting) session.recording_forgotten(*forgetting, error, now); break;
      case 'q': session.request_recording(true, "rest", now); break;
      case 'o': if (openings-- > 0) session.connection_opened(2, {ParticipantId("par_2"), "nurse \xff", false}, now); break;
      case 'c': session.connection_closed(2, now); break;
      case 'x': session.close("shutdown", now); break;
      default:
        now += milliseconds(100 * static_cast<unsigned char>(which));
        session.handle_timeout(now);
    }
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  World world;
  world.session.connection_opened(1, {ParticipantId("par_1"), "surgeon", true}, world.now);
  world.session.connection_opened(2, {ParticipantId("par_2"), "nurse", true}, world.now);
  world.drain();
  for (std::uint64_t n = 0; !in.done(); ++n) {
    const std::string_view line = in.line();
    if (line.size() > 1 && line[0] == '!') world.event(line[1]);
    else world.session.handle_message(n % 3, line, world.now);  // 0 is a connection that never was
    world.drain();
    fuzz::require(world.session.next_timeout() >= Time{}, "a deadline is a time");
  }
  return 0;
}
