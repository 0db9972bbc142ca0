// All sessions of one media worker, and the way from a datagram to its peer: by remote address once known, by the ufrag in a
// STUN binding request before that. Thread: the worker's.
#pragma once

#include <memory>

#include "base/counters.h"
#include "sfu/session.h"

namespace amphi::sfu {

enum class RouterDrop { unknown_kind, unknown_ufrag, unknown_address, count_ };
std::string_view counter_name(RouterDrop drop);

class Router {
 public:
  explicit Router(Random& random);
  ~Router();

  /// nullptr: a session with this id is here already.
  Session* create_session(SessionConfig config);
  Session* find(const SessionId& id);
  void remove_session(const SessionId& id, Time now);
  template <class Visit>
  void for_each(Visit visit) { for (Session* s : sessions()) visit(*s); }
  std::vector<Session*> sessions();

  void handle_input(const Datagram& in, SendBatch& batch, Time now);
  void handle_timeout(SendBatch& batch, Time now);
  /// After any call on a Session from outside (publish_offer, request_keyframe, ...): flushes its peers' outputs.
  void drain(Session& session, SendBatch& batch, Time now);
  Time next_timeout() const noexcept;
  const Counters<RouterDrop>& drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::sfu
