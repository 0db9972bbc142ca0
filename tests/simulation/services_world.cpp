#include "tests/simulation/services_world_parts.h"

#include <algorithm>

#include "services/messages.h"

namespace amphi::services::simulation {
namespace {

enum Direction { up, down };
constexpr Duration kWindow = 1250ms;  // 1.25 heartbeats

}  // namespace

World::World(std::uint64_t seed, Tally& tally, std::size_t most_clients) : random_(seed), tally_(tally), most_clients_(most_clients) {}

World::~World() = default;

std::string World::run() {
  // Mostly small worlds: what goes wrong between fifty goes wrong between five, and a few of fifty prove the rest.
  const std::uint64_t most = most_clients_ > 0 ? most_clients_ : random_.below(8) == 0 ? 50 : 2 + random_.below(8);
  const std::size_t count = 2 + random_.below(most - 1);
  start_server();
  for (std::size_t i = 0; i < count; ++i) {
    members_.push_back(std::make_unique<Member>());
    start_member(i, true);
  }
  const Time end = now_ + between(10'000, 30'000);
  after(between(0, 500), [this] { trouble(); });
  step_until(end);
  quiet_ = true;
  calm();
  if (!server_) start_server();
  for (auto& [number, connection] : server_side_) connection->stalled_until[up] = connection->stalled_until[down] = {};
  // Silence is found within 10 s, an attempt or a welcome that hangs within 10 s each, back-off waits 10 s at most, a start takes 20 s.
  step_until(now_ + 30s);
  ask_and_break();
  step_until(now_ + 17s);
  for (auto& member : members_) check_member(*member);
  std::vector<std::int64_t> shown;
  for (auto& member : members_) shown.push_back(member->shown_ms);
  step_until(now_ + 3s + between(0, 1000));
  // What was said just now is on its way.
  const auto hears_all = [this](const auto& member) { return is_current(*member); };
  for (int i = 0; i < 100 && broken_.empty() && !std::all_of(members_.begin(), members_.end(), hears_all); ++i) step_until(now_ + 10ms);
  if (broken_.empty()) check_agreement();
  for (std::size_t i = 0; broken_.empty() && i < members_.size(); ++i) {
    const std::int64_t server = server_->snapshot(now_).total_ms;
    const std::int64_t client = members_[i]->client->state(now_).total_running_duration_ms(now_);
    require(client >= server - 250, "a client shows too little: " + std::to_string(client) + ", " + std::to_string(server));
    const bool on = members_[i]->client->state(now_).on;
    require(client <= (on ? std::max(server + 250, shown[i]) : server), "a client shows too much: " + std::to_string(client));
  }
  if (broken_.empty()) look_back();
  return broken_;
}

/// A request whose answer the network takes away is sent again and answered: nothing need time out.
void World::ask_and_break() {
  settled_ = true;
  for (std::size_t i = 0; broken_.empty() && i < members_.size(); ++i) {
    Member& member = *members_[i];
    require(member.client->connected(), member.identity + " is not connected though all is quiet");
    touch(i, [&](Client& client) {
      require(client.request_recording(chance(50), now_).has_value(), "refused though connected");
      member.asked_at = now_;
    });
    const auto connection = member.connection;
    after(between(0, 60), [this, connection] {
      if (std::exchange(connection->broken, true)) return;
      end_towards_client(connection, false);
      end_towards_server(connection);
    });
  }
}

void World::check_agreement() {
  const RecordingSnapshot server = server_->snapshot(now_);
  require(server.on == (stage_ == Stage::running), "the server does not know its recorder");
  for (auto& member : members_) {
    const RecordingState state = member->client->state(now_);
    require(member->client->connected(), member->identity + " is not connected though all is quiet");
    require(!state.update_pending, "pending though all is quiet");
    require(state.on == server.on && state.revision == server.revision, "disagrees though all is quiet");
    require(state.recording_id == server.recording_id, "names another recording");
    require(state.waiting_for_media == server.waiting_for_media && state.warnings == server.warnings && state.feeds == server.feeds, "knows another state of its media");
    if (server.on && member->marked_recording == server.recording_id) {  // of one that is over, who comes back is told no more
      require(member->marker_index == marked_[server.recording_id].size(), "a marker was never told");
    }
  }
}

// ------------------------------------------------------------------------------------------------------------ time

void World::after(Duration delay, std::function<void()> act) { events_.push({now_ + delay, order_++, std::move(act)}); }

Duration World::between(std::int64_t least_ms, std::int64_t most_ms) {
  return milliseconds(least_ms + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most_ms - least_ms + 1))));
}

void World::require(bool holds, const char* rule) {
  if (!holds && broken_.empty()) broken_ = "at " + std::to_string(to_ms(now_ - Time{} - 1000h)) + " ms: " + rule;
}

void World::step_until(Time end) {
  while (broken_.empty()) {
    std::size_t due = members_.size();
    Time next = events_.empty() ? Time::max() : events_.top().at;
    if (server_) next = std::min(next, server_->next_timeout());
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i]->deadline < next) next = members_[i]->deadline, due = i;
    }
    if (next > end) break;
    steps_here_ = next > now_ ? 0 : steps_here_ + 1;
    require(steps_here_ < 100'000, "a deadline does not move");
    now_ = std::max(now_, next);
    if (due < members_.size()) {
      touch(due, [this](Client& client) { client.handle_timeout(now_); });
    } else if (!events_.empty() && events_.top().at <= now_) {
      const auto act = events_.top().act;
      events_.pop();
      act();
    } else {
      server_->handle_timeout(now_);
      serve_outputs();
    }
    stepped();
  }
  now_ = std::max(now_, end);
}

/// Something happens, and then something else will.
void World::trouble() {
  if (quiet_) return;
  const std::size_t who = random_.below(members_.size());
  Member& member = *members_[who];
  const std::uint64_t what = random_.below(100);
  if (what < 50) {
    if (what >= asks_percent_) return after(between(0, 1200), [this] { trouble(); });
    const bool on = chance(55);
    touch(who, [&](Client& client) {
      ++tally_.requests;
      client.request_recording(on, now_) ? void(member.asked_at = now_) : void(++tally_.refused_at_once);
    });
  } else if (what < 56) {
    // Labels differ, so that a marker that acts twice is seen.
    touch(who, [&](Client& client) {
      if (client.add_marker("m" + std::to_string(order_++), now_)) ++tally_.requests;
    });
  } else if (what < 60) {
    disturb_recorder();
  } else if (what < 74) {
    if (member.connection) break_connection(member.connection);
  } else if (what < 82) {
    if (member.connection) member.connection->stalled_until[random_.below(2)] = now_ + between(50, 14'000);
  } else if (what < 87) {
    fail_recorder();
  } else if (what < 90) {
    start_member(who, false);
  } else if (what < 93) {
    if (server_) chance(50) ? crash_server() : close_server();
  } else if (what < 96) {
    if (server_) server_->request_recording(chance(50), "rest", now_), serve_outputs();
  } else if (member.connection) {
    const std::string garbage = chance(50) ? "{\"type\":\"" + random_.token(5) + "\"}" : random_.token(20);
    to_server(member.connection, garbage);
    to_client(member.connection, garbage);
  }
  after(between(0, 1200), [this] { trouble(); });
}

// ------------------------------------------------------------------------------------------------------------ network

/// A stream: in order, each with its own delay, and nothing while it is stalled.
Time World::arrival(Connection& connection, int direction) {
  const Duration delay = quiet_ ? between(1, 30) : between(1, chance(10) ? 800 : 80);
  Time& last = connection.last[direction];
  last = std::max({last, now_ + delay, connection.stalled_until[direction]});
  return last;
}

void World::connect(std::size_t who) {
  Member& member = *members_[who];
  const std::uint64_t attempt = ++member.attempt;
  const std::uint64_t life = member.life;
  if (!quiet_ && chance(2)) return;  // never answered
  const bool refused = !server_ || (!quiet_ && chance(15));
  after(between(2, 100), [this, who, attempt, life, refused] {
    Member& m = *members_[who];
    if (m.attempt != attempt || m.life != life) return;
    if (refused || !server_) {
      return touch(who, [this](Client& c) { c.connection_failed({ErrorCode::disconnected, "refused"}, now_); });
    }
    m.connection = std::make_shared<Connection>();
    m.connection->number = next_number_++;
    m.connection->member = who;
    m.connection->life = life;
    m.connection->identity = m.identity;
    m.connection->epoch = server_epoch_;
    touch(who, [this](Client& c) { c.connection_opened(now_); });
  });
}

void World::to_server(const std::shared_ptr<Connection>& connection, std::string text) {
  ++tally_.messages;
  const Time at = arrival(*connection, up);
  events_.push({at, order_++, [this, connection, text = std::move(text)] {
                  if (connection->broken || connection->server_ended || connection->epoch != server_epoch_) return;
                  deliver_to_server(*connection, text);
                  serve_outputs();
                }});
}

void World::deliver_to_server(Connection& connection, const std::string& text) {
  Member& member = *members_[connection.member];
  const Decoded decoded = decode(text);
  const auto* message = std::get_if<Message>(&decoded);
  if (message != nullptr && std::holds_alternative<Hello>(*message)) {
    server_side_[connection.number] = member.connection && member.connection.get() == &connection
                                          ? member.connection
                                          : std::make_shared<Connection>(connection);
    server_->connection_opened(
        connection.number, {ParticipantId(std::get<Hello>(*message).participant_id), connection.identity, true}, now_);
    if (resume_recording_) {
      resume_recording_ = false;
      server_->request_recording(true, "", now_);
    }
    // The network repeats what it had carried already, of the same participant.
    if (connection.life != member.life) return;
    for (const auto& [id, request] : member.requests) {
      if (!chance(60)) continue;
      ++tally_.repeated_requests;
      server_->handle_message(connection.number, request, now_);
    }
    return;
  }
  server_->handle_message(connection.number, text, now_);
  if (message == nullptr) return;
  if (const auto* request = std::get_if<RecordingRequest>(message)) {
    if (connection.life == member.life) member.requests[request->request_id] = text;
    if (request->on) asked_on_by_[connection.identity].insert(request->request_id);
    if (chance(20)) server_->handle_message(connection.number, text, now_);
  } else if (std::holds_alternative<MarkerAdd>(*message) && chance(30)) {
    server_->handle_message(connection.number, text, now_);  // and acts once
  }
}

void World::to_client(const std::shared_ptr<Connection>& connection, std::string text) {
  ++tally_.messages;
  const Time at = arrival(*connection, down);
  ++connection->to_client;
  events_.push({at, order_++, [this, connection, text = std::move(text)] {
                  --connection->to_client;
                  if (connection->broken || connection->client_ended) return;
                  touch(connection->member, [&](Client& client) { client.handle_message(text, now_); });
                }});
}

void World::end_towards_client(const std::shared_ptr<Connection>& connection, bool orderly) {
  events_.push({arrival(*connection, down), order_++, [this, connection, orderly] {
                  if (std::exchange(connection->client_ended, true)) return;
                  Member& member = *members_[connection->member];
                  if (member.connection == connection) member.connection.reset();
                  std::optional<Error> error;
                  if (!orderly) error = Error{ErrorCode::disconnected, "reset"};
                  touch(connection->member, [&](Client& client) { client.connection_closed(error, now_); });
                }});
}

void World::end_towards_server(const std::shared_ptr<Connection>& connection) {
  events_.push({arrival(*connection, up), order_++, [this, connection] {
                  if (connection->epoch != server_epoch_ || std::exchange(connection->server_ended, true)) return;
                  server_side_.erase(connection->number);
                  if (server_) server_->connection_closed(connection->number, now_);
                }});
}

/// Each side notices sooner, later, or only by the silence.
void World::break_connection(const std::shared_ptr<Connection>& connection) {
  if (std::exchange(connection->broken, true)) return;
  ++tally_.losses;
  if (chance(70)) end_towards_client(connection, false);
  if (chance(70)) end_towards_server(connection);
}

// ------------------------------------------------------------------------------------------------------------ clients

void World::start_member(std::size_t who, bool first) {
  Member& old = *members_[who];
  if (!first) {
    ++tally_.client_restarts;
    if (chance(50)) {
      touch(who, [this](Client& client) { client.session_closed(now_); });
      require(!old.connected && !old.client->state(now_).update_pending, "closing left something open");
    } else if (old.connection) {
      break_connection(old.connection);
      old.connection->client_ended = true;
    }
  }
  const std::uint64_t life = old.life + 1;
  members_[who] = std::make_unique<Member>();
  Member& member = *members_[who];
  member.life = life;
  member.identity = "P" + std::to_string(who) + "." + std::to_string(life);
  member.random = std::make_unique<SeededRandom>(random_.u64());
  member.client = std::make_unique<Client>(ClientConfig{"token", {}, true}, *member.random);
  touch(who, [&](Client& client) { client.session_connected("par_" + member.identity, now_); });
}

/// Every input of a client goes through here, with the rules checked before and after.
void World::touch(std::size_t who, const std::function<void(Client&)>& act) {
  Member& member = *members_[who];
  check_member(member);
  act(*member.client);
  while (auto output = member.client->poll_output()) handle_output(who, *output);
  member.deadline = member.client->next_timeout();
  check_member(member);
  require(member.client->state(now_).revision == member.told_revision, "the state changed without an event");
}

void World::handle_output(std::size_t who, const ClientOutput& output) {
  Member& member = *members_[who];
  if (std::holds_alternative<OpenConnection>(output)) {
    connect(who);
  } else if (const auto* text = std::get_if<ClientSendText>(&output)) {
    require(member.connection != nullptr, "sends without a connection");
    if (member.connection) to_server(member.connection, text->text);
  } else if (std::holds_alternative<ClientCloseConnection>(output)) {
    ++member.attempt;
    if (!member.connection) return;
    member.connection->client_ended = true;
    if (!member.connection->broken) end_towards_server(member.connection);
    member.connection.reset();
  } else if (std::holds_alternative<ServicesConnected>(output)) {
    require(!std::exchange(member.connected, true), "connected twice");
  } else if (std::holds_alternative<ServicesDisconnected>(output)) {
    require(std::exchange(member.connected, false), "disconnected twice");
  } else if (const auto* added = std::get_if<MarkerAdded>(&output)) {
    const Marker& marker = added->marker;
    if (member.marked_recording != marker.recording_id) member.marker_index = 0;
    member.marked_recording = marker.recording_id;
    require(marker.index > member.marker_index, "a marker was told twice, or late");
    member.marker_index = marker.index;
    hear_marker(marker);
  } else {
    const RecordingState& state = std::get<RecordingStateChanged>(output).state;
    require(state.revision >= member.told_revision, "the client's revision went back");
    if (std::exchange(member.told_revision, state.revision) != state.revision) member.told_error = state.error;
    if (state.error && state.error->code == ErrorCode::timeout) ++tally_.timeouts;
    require(!settled_ || !state.error || state.error->code != ErrorCode::timeout, "timed out though the server answers");
    if (state.error && state.error->code != ErrorCode::timeout) ++tally_.other_request_errors;
  }
}

void World::hear_marker(const Marker& marker) {
  const std::vector<std::string>& labels = marked_[marker.recording_id];
  require(marker.index <= labels.size() && labels[marker.index - 1] == marker.label, "told of a marker that the recorder does not have");
  ++tally_.markers_told;
}

bool World::is_current(const Member& member) const {
  const auto& connection = member.connection;
  if (!server_ || !member.connected || !connection || connection->to_client > 0) return false;
  if (connection->broken || connection->client_ended || connection->server_ended) return false;
  const auto found = server_side_.find(connection->number);
  return found != server_side_.end() && found->second == connection;
}

void World::check_member(Member& member) {
  const RecordingState state = member.client->state(now_);
  if (state.revision == 0) {
    require(!state.on, "on, and nothing was ever heard");
  } else {
    const auto known = confirmed_.find(state.revision);
    require(known != confirmed_.end() && known->second == state.on, "the state was never confirmed");
  }
  require(!state.update_pending || now_ <= member.asked_at + 15s, "pending for more than 15 s");
  const std::int64_t shown = state.total_running_duration_ms(now_);
  // A confirmed total replaces what was shown, also a larger value; the live duration never goes back.
  require(!state.on || shown >= member.shown_ms, "the live duration went back");
  if (server_) peak_total_ms_ = std::max(peak_total_ms_, server_->snapshot(now_).total_ms);
  require(shown <= peak_total_ms_ + to_ms(kWindow), "the duration ran away");
  member.shown_ms = shown;
}

}  // namespace amphi::services::simulation
