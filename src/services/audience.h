// Who is connected to the services of a session, and what they are told. Thread: the owner's.
#pragma once

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "services/messages.h"
#include "services/reached_limits.h"
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
  std::vector<ReachedLimit> reached_limits;  // each `limit_exceeded` that somebody was sent

  void send(ConnectionNumber to, const Message& message) {
    note_limit(to, message);
    outputs.push_back(SendText{to, encode(message)});
  }
  void tell_all(const Message& message) {
    const std::string text = encode(message);
    for (const auto& [number, connection] : connections) outputs.push_back(SendText{number, text});
  }

 private:
  void note_limit(ConnectionNumber to, const Message& message) {
    const Error* error = nullptr;
    if (const auto* refused = std::get_if<ErrorMessage>(&message)) error = &refused->error;
    if (const auto* response = std::get_if<RecordingResponse>(&message); response && response->error) error = &*response->error;
    const auto found = connections.find(to);
    if (error == nullptr || error->code != ErrorCode::limit_exceeded || found == connections.end()) return;
    const Caller& caller = found->second.caller;
    reached_limits.push_back({caller.identity, error->message, caller.participant.value});
  }
};

}  // namespace amphi::services
