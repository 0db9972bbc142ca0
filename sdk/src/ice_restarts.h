// When a transport that lost its path asks for an ICE restart (RFC 8445 9): soon after the first silence, at once when consent is lost
// (RFC 7675) or the machine's network changed, then again and again with growing pauses until media flows. A transport that a restart cannot
// revive (DTLS failed, or the other end closed it) is renewed instead. Both travel by signalling and wait while it is interrupted.
// No I/O; time is an argument. Thread: its owner's.
#pragma once

#include <algorithm>

#include "base/result.h"
#include "base/time.h"
#include "peer/peer.h"

namespace amphi::sdk {

/// Consent that is lost can be given again; a transport that the other end closed (told by the same code) or that DTLS gave up cannot.
inline bool may_revive(const Error& failed, const peer::Peer& peer, bool was_connected) {
  return failed.code == ErrorCode::disconnected && (peer.connected() || !was_connected);
}

class IceRestarts {
 public:
  static constexpr Duration kFirstPause = 2s;
  static constexpr Duration kLongestPause = 10s;

  /// No sign of life for a while; it may pass by itself.
  void silent(Time now) {
    if (lost()) return;
    pause_ = kFirstPause;
    due_ = now + kFirstPause;
  }
  /// Only a restart can help.
  void consent_lost(Time now) {
    silent(now);
    if (!restarted_ && !renewal_) due_ = now;
  }
  /// No restart can help: DTLS failed, here or at the other end.
  void broken(Time now) {
    renewal_ = true;
    pause_ = kFirstPause;
    due_ = now;
  }
  /// The other end closed the transport. Signalling has a moment to tell the cause, which may be the end of the session.
  void closed(Time now) { broken(now + kFirstPause); }
  /// Media flows (again).
  void connected() {
    due_ = Time::max();
    restarted_ = false;
  }
  void signalling_interrupted() { signalling_ = false; }
  /// Whatever was asked for before may be lost, and the network is likely another one now.
  void signalling_resumed(Time now) {
    signalling_ = true;
    network_changed(now);
  }
  /// Other addresses: a path that is lost is worth another try at once. One that is not shows whether it goes on.
  void network_changed(Time now) {
    if (!lost() || renewal_) return;
    pause_ = kFirstPause;
    due_ = now;
  }
  /// Silent or worse, and not connected since.
  bool lost() const noexcept { return due_ != Time::max(); }
  enum class Due { nothing, restart, renewal };
  /// What to do now.
  Due take_due(Time now) {
    if (now < next_timeout()) return Due::nothing;
    due_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    restarted_ = true;
    return renewal_ ? Due::renewal : Due::restart;
  }
  /// Nothing but a renewal is tried any more.
  bool is_broken() const noexcept { return renewal_; }
  Time next_timeout() const noexcept { return signalling_ ? due_ : Time::max(); }
  /// For good: nothing is restarted any more.
  void stop() {
    connected();
    renewal_ = false;
  }

 private:
  bool signalling_ = true;
  bool restarted_ = false;          // since the path was lost
  bool renewal_ = false;
  Duration pause_ = kFirstPause;    // after the next restart
  Time due_ = Time::max();          // max: nothing is lost
};

}  // namespace amphi::sdk
