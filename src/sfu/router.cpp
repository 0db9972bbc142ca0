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
struct PathHash {
  std::size_t operator()(const ice::Pair& path) const noexcept {
    return std::hash<Address>{}(path.local) * 31 + std::hash<Address>{}(path.remote);
  }
};
struct Target {
  Session* session = nullptr;
  peer::Peer* peer = nullptr;
  bool operator==(const Target&) const = default;
};
/// The peer whose path it is, and others that claim it: they get it once they have proven that they receive there, for an
/// address does move from one to another where a translator gives it out anew.
struct Route {
  Target owner;
  std::vector<Target> claims;
};
constexpr std::size_t kMaxClaims = 4;
constexpr std::size_t kLeastSweep = 256;

}  // namespace

struct Router::Impl {
  explicit Impl(Random& random_in) : random(random_in) {}

  template <class Gone>
  void forget(Gone gone) {
    for (auto& [path, route] : paths) {
      std::erase_if(route.claims, [&, at = &path](const Target& target) { return gone(target, *at); });
      if (!gone(route.owner, path) || route.claims.empty()) continue;
      route.owner = route.claims.front();
      route.claims.erase(route.claims.begin());
    }
    std::erase_if(paths, [&](const auto& entry) { return gone(entry.second.owner, entry.first); });
  }
  void forget_removed(Session& session) {
    const auto removed = session.take_removed_peers();
    if (removed.empty()) return;
    forget([&](const Target& target, const ice::Pair&) {
      return std::any_of(removed.begin(), removed.end(), [&](const auto& peer) { return peer.get() == target.peer; });
    });
  }
  Target by_ufrag(std::string_view ufrag);
  Target by_path(const ice::Pair& path, ByteView data, Time now);
  void learn(const ice::Pair& path, const Target& target, Time now);

  Random& random;
  std::vector<std::unique_ptr<Session>> sessions;
  std::unordered_map<ice::Pair, Route, PathHash> paths;
  std::size_t sweep_at = kLeastSweep;  // routes, at which those of abandoned paths are removed
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
  impl_->forget([&](const Target& target, const ice::Pair&) { return target.session == session; });
  std::erase_if(impl_->sessions, [&](const auto& s) { return s.get() == session; });
}

std::vector<Session*> Router::sessions() {
  std::vector<Session*> all;
  for (auto& session : impl_->sessions) all.push_back(session.get());
  return all;
}

Target Router::Impl::by_ufrag(std::string_view ufrag) {
  for (auto& session : sessions)
    if (peer::Peer* peer = session->peer_by_ufrag(ufrag)) return {session.get(), peer};
  return {};
}

Target Router::Impl::by_path(const ice::Pair& path, ByteView data, Time now) {
  const auto found = paths.find(path);
  if (found == paths.end()) return {};
  const Route& route = found->second;
  for (const Target& claim : route.claims)
    if (claim.peer->awaits(data)) return claim;
  if (route.owner.peer->knows(path, now)) return route.owner;
  if (route.claims.empty()) paths.erase(found);  // abandoned by its only user
  return {};
}

/// The peer has been heard over the path. Another peer's route is taken over only where that one has left the path, or this
/// one has proven that it receives there.
void Router::Impl::learn(const ice::Pair& path, const Target& target, Time now) {
  if (!target.peer->knows(path, now)) return;
  if (paths.size() >= sweep_at) {
    forget([&](const Target& other, const ice::Pair& old) { return !other.peer->knows(old, now); });
    sweep_at = std::max(kLeastSweep, 2 * paths.size());
  }
  Route& route = paths[path];
  if (route.owner == target) return;
  auto& claims = route.claims;
  if (!route.owner.peer || !route.owner.peer->knows(path, now) || target.peer->validated(path)) {
    std::erase(claims, target);
    route.owner = target;
  } else if (std::find(claims.begin(), claims.end(), target) == claims.end()) {
    if (claims.size() == kMaxClaims) claims.erase(claims.begin());
    claims.push_back(target);
  }
}

void Router::handle_input(const Datagram& in, SendBatch& batch, Time now) {
  if (!peer::Peer::accepts(in.data)) return impl_->drops.add(RouterDrop::unknown_kind);
  const ice::Pair path{in.local, in.remote};
  // A binding request names its peer itself, and may come from a new address; everything else goes by address, and so does a
  // request with the user name of before an ICE restart.
  const auto ufrag = peer::Peer::addressed_ufrag(in.data);
  Target target;
  if (!ufrag.empty()) target = impl_->by_ufrag(ufrag);
  if (!target.peer) target = impl_->by_path(path, in.data, now);
  if (!target.peer)
    return impl_->drops.add(ufrag.empty() ? RouterDrop::unknown_address : RouterDrop::unknown_ufrag);
  const bool stun = in.data[0] < std::byte{4};  // RFC 7983 7
  target.session->handle_input(*target.peer, in, batch, now);
  if (stun) impl_->learn(path, target, now);
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
