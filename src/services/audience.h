// Who is connected to the services of a session, and what they are told. Thread: the owner's.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "services/messages.h"
#include "services/server_output.h"
#include "services/token_bucket.h"

namespace amphi::services {

struct Connection {
  Caller caller;
  Time heard_at{};
  TokenBucket allowance;
  int excess = 0;
};

struct Audience {
  std::map<ConnectionNumber, Connection> connections;
  std::deque<ServerOutput> outputs;

  void send(ConnectionNumber to, const Message& message) { outputs.push_back(SendText{to, encode(message)}); }
  void tell_all(const Message& message) {
    const std::string text = encode(message);
    for (const auto& [number, connection] : connections) outputs.push_back(SendText{number, text});
  }
};

}  // namespace amphi::services
