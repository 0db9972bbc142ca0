// What a World is made of: its connections and its members. Internal to services_world*.cpp. Thread: the test's.
#pragma once

#include "tests/simulation/services_world.h"

namespace amphi::services::simulation {

struct World::Connection {
  ConnectionNumber number = 0;
  std::size_t member = 0;
  std::uint64_t life = 0;    // the member's, at the time
  std::string identity;
  std::uint64_t epoch = 0;   // the server's
  bool broken = false;       // nothing passes any more
  bool client_ended = false;
  bool server_ended = false;
  int to_client = 0;         // messages on their way
  Time last[2]{};
  Time stalled_until[2]{};
};

struct World::Member {
  std::string identity;
  std::uint64_t life = 0;
  std::unique_ptr<SeededRandom> random;
  std::unique_ptr<Client> client;
  std::shared_ptr<Connection> connection;
  std::uint64_t attempt = 0;
  Time deadline = Time::max();
  bool connected = false;
  std::uint64_t told_revision = 0;  // by the last event
  std::optional<Error> told_error;  // by the first event of that revision
  std::int64_t shown_ms = 0;
  Time asked_at = Time::min();
  std::string marked_recording;  // of the last marker told
  std::uint64_t marker_index = 0;
  std::map<std::string, std::string> requests;  // id -> text, that the present server received from this life
};

}  // namespace amphi::services::simulation
