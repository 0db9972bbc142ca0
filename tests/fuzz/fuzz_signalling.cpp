// A client's signalling messages as they arrive: any text is a message or a refusal with a reason.
#include "fuzz.h"
#include "server/signalling_messages.h"

using namespace amphi;
using namespace amphi::server;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  while (!in.done()) {
    const auto message = signalling::decode(in.line());
    if (message) continue;
    fuzz::require(!message.error().error.message.empty(), "a refusal has a reason");
    const std::string answer = signalling::error(message.error().error, false, message.error().type);
    fuzz::require(answer.size() <= signalling::kMaxMessageSize, "an error fits a message");
    fuzz::require(!signalling::decode(answer).has_value(), "a server's message is none of a client's");
  }
  return 0;
}
