// The services' client end against a server that says whatever it likes, line by line; a line that begins with '!' is the
// world around it. What it sends is of the protocol, and the duration that it shows is never undercut.
#include "fuzz.h"
#include "services/client.h"
#include "services/messages.h"

using namespace amphi;

namespace {

struct World {
  SeededRandom random{1};
  services::Client client{{"token", "par_1", true}, random};
  Time now{};
  std::int64_t shown = 0;

  void drain() {
    int outputs = 0;
    while (auto output = client.poll_output()) {
      fuzz::require(++outputs < 10'000, "outputs come to an end");
      if (const auto* send = std::get_if<services::ClientSendText>(&*output))
        fuzz::require(std::holds_alternative<services::Message>(services::decode(send->text)), "what it sends is a message");
    }
    const auto ms = client.state(now).total_running_duration_ms(now);
    fuzz::require(ms >= shown, "a duration shown is never undercut");
    shown = ms;
  }
  void event(char which) {
    switch (which) {
      case 'o': client.connection_opened(now); break;
      case 'f': client.connection_failed({ErrorCode::disconnected, "refused"}, now); break;
      case 'c': client.connection_closed(Error{ErrorCode::disconnected, "reset"}, now); break;
      case 'g': client.connection_closed(std::nullopt, now); break;
      case '1': (void)client.request_recording(true, now); break;
      case '0': (void)client.request_recording(false, now); break;
      case 'x': client.session_closed(now); break;
      case 's': client.session_connected("par_2", now); break;
      default:
        now += milliseconds(100 * static_cast<unsigned char>(which));
        client.handle_timeout(now);
    }
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  World world;
  world.client.session_connected("par_1", world.now);
  world.drain();
  world.client.connection_opened(world.now);
  while (!in.done()) {
    world.drain();
    const std::string_view line = in.line();
    if (line.size() > 1 && line[0] == '!') world.event(line[1]);
    else world.client.handle_message(line, world.now);
  }
  world.drain();
  return 0;
}
