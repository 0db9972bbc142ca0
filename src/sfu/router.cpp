#include "sfu/router.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace amphi::sfu {

std::string_view counter_name(RouterDrop drop) {
  switch (drop) {
    case RouterDrop::unknown_kind: return "unknown_kind";
    case RouterDrop::unknown_ufrag: return "unknown_ufrag";
    case RouterDrop::unknown_address: return "unknown_address";
    case RouterDrop::count_: break;
  }
  return "unknown";
}

namespace {

/// Both ends: one remote socket may speak to several of our addresses.
struct Path {
  Address local, remote;
  bool operator==(const Path&) const = default;
};
struct PathHash {
  std::size_t operator()(const Path& path) const noexcept {
    return std::hash<Address>{}(path.local) * 31 + std::hash<Address>{}(path.remote);
  }
};
struct Target {
  Session* session = nullptr;
  peer::Peer* peer = nullptr;
};

}  // namespace

struct Router::Impl {
  explicit Impl(Random& random_in) : random(random_in) {}

  void forget_removed(Session& session) {
    const auto removed = session.take_removed_peers();
    if (removed.empty()) return;
    std::erase_if(paths, [&](const auto& entry) {
      return std::any_of(removed.begin(), removed.end(), [&](const auto& peer) { return peer.get() == entry.second.peer; });
    });
  }

  Random& random;
  std::vector<std::unique_ptr<Session>> sessions;
  std::unordered_map<Path, Target, PathHash> paths;
  Counters<RouterDrop> drops;
};

Router::Router(Random& random) : impl_(std::make_unique<Impl>(random)) {}
Router::~Router() = default;

Session* Router::create_session(SessionConfig config) {
  if (find(config.id)) return nullptr;
  impl_->sessions.push_back(std::make_unique<Session>(std::move(config), impl_->random));
  return impl_->sessions.back().get();
}

Session* Router::find(const SessionId& id) {
  for (auto& session : impl_->sessions)
    if (session->id() == id) return session.get();
  return nullptr;
}

void Router::remove_session(const SessionId& id, Time) {
  Session* session = find(id);
  if (!session) return;
  std::erase_if(impl_->paths, [&](const auto& entry) { return entry.second.session == session; });
  std::erase_if(impl_->sessions, [&](const auto& s) { return s.get() == session; });
}

std::vector<Session*> Router::sessions() {
  std::vector<Session*> all;
  for (auto& session : impl_->sessions) all.push_back(session.get());
  return all;
}

void Router::handle_input(const Datagram& in, SendBatch& batch, Time now) {
  if (!peer::Peer::accepts(in.data)) return impl_->drops.add(RouterDrop::unknown_kind);
  const Path path{in.local, in.remote};
  Target target;
  // A binding request names its peer itself, and may move it to a new address; everything else goes by address.
  const auto ufrag = peer::Peer::addressed_ufrag(in.data);
  if (!ufrag.empty())
    for (auto& session : impl_->sessions)
      if (peer::Peer* peer = session->peer_by_ufrag(ufrag)) target = {session.get(), peer};
  if (!target.peer) {
    const auto found = impl_->paths.find(path);
    if (found == impl_->paths.end())
      return impl_->drops.add(ufrag.empty() ? RouterDrop::unknown_address : RouterDrop::unknown_ufrag);
    target = found->second;
  }
  target.session->handle_input(*target.peer, in, batch, now);
  // Only a check that the peer accepted (authenticated and selected) makes an address known.
  const auto pair = target.peer->pair();
  if (pair && pair->remote == in.remote && pair->local == in.local) impl_->paths.insert_or_assign(path, target);
}

void Router::handle_timeout(SendBatch& batch, Time now) {
  for (auto& session : impl_->sessions) {
    if (session->next_timeout() <= now) session->handle_timeout(batch, now);
    impl_->forget_removed(*session);
  }
}

void Router::drain(Session& session, SendBatch& batch, Time now) {
  session.handle_timeout(batch, now);
  impl_->forget_removed(session);
}

Time Router::next_timeout() const noexcept {
  Time next = Time::max();
  for (const auto& session : impl_->sessions) next = std::min(next, session->next_timeout());
  return next;
}

const Counters<RouterDrop>& Router::drops() const { return impl_->drops; }

}  // namespace amphi::sfu
