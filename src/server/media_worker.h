// One media worker: a MediaLoop with the Router of the sessions that are pinned to it. The control thread reaches it by posted
// calls and hears from it by posted events, in the order in which they happened: the answer to a call is posted before the
// events that it caused. With a pre-roll configured, each session that is not recorded has a keeper of its newest media as its tap.
//
// Thread: constructed, started and stopped by control; what is marked "worker" runs on the worker's own thread.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <unordered_map>

#include "runtime/clock.h"
#include "runtime/media_loop.h"
#include "server/advertised.h"
#include "server/recording_sink.h"
#include "sfu/router.h"

namespace amphi::server {

/// What metrics want to know of a worker.
struct WorkerReport {
  std::size_t sessions = 0;
  sfu::SessionStats totals;
  runtime::LoopStats loop;
  Counters<sfu::RouterDrop> router_drops;
  Counters<peer::Drop> peer_drops;
  Counters<ice::Drop> ice_drops;
};

class MediaWorker final : public runtime::MediaHandler {
 public:
  using EventSink = std::function<void(const SessionId&, sfu::Event)>;  // called on control

  static Result<std::unique_ptr<MediaWorker>> create(unsigned index, const std::vector<Address>& bind,
                                                     std::shared_ptr<const dtls::Certificate> certificate,
                                                     boost::asio::io_context& control, EventSink on_event, Duration pre_roll,
                                                     const std::vector<OuterAddress>& outer = {}, sfu::Limits limits = {});
  ~MediaWorker() override;

  std::vector<Address> addresses() const { return loop_->local_addresses(); }
  /// What clients are told of them, with these outer addresses.
  std::vector<Address> candidates(const std::vector<OuterAddress>& outer) const { return candidates_of(addresses(), outer); }
  /// Closes every session's peers, and ends the thread.
  void stop();

  /// Runs `task(MediaWorker&, Time)` on the worker; the awaiting coroutine goes on with its result on control.
  /// Give it a task that has a name: GCC 12 copies a lambda that is a temporary of a co_await expression bit by bit.
  template <class Task>
  auto call(Task task) -> boost::asio::awaitable<std::invoke_result_t<Task&, MediaWorker&, Time>>;
  /// The same without a result.
  void post(std::function<void(MediaWorker&, Time)> task);

  // --- worker ------------------------------------------------------------------------------------------------------
  sfu::Session* find(const SessionId& session);
  Result<sfu::Session*> find_or_create(const SessionId& session);
  void remove_session(const SessionId& session, Time now);
  struct Begun {
    std::shared_ptr<RecordingSink> sink;  // the recording's from now on
    Duration pre_roll{};                  // how far before `at` it holds media
  };
  /// The session's media go to a recording from now on. A session that is not there has none.
  Begun begin_recording(const SessionId& session, Time at);
  /// `began`: else what was kept for it is kept on.
  void end_recording(const SessionId& session, Time at, bool began = true);
  WorkerReport report();
  /// For all descriptions from now on, of present sessions as well.
  void set_candidates(const std::vector<Address>& candidates);

 private:
  MediaWorker(std::shared_ptr<const dtls::Certificate> certificate, boost::asio::io_context& control, EventSink on_event,
              Duration pre_roll, sfu::Limits limits);

  void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) override;
  void handle_timeout(SendBatch& out, Time now) override;
  Time next_timeout() const noexcept override { return std::min(router_.next_timeout(), keep_at_); }
  void run_posted(std::function<void(MediaWorker&, Time)>& task, SendBatch& out, Time now);
  void forward_events();
  /// Everybody is told where the kernel dropped datagrams for want of room.
  void look_at_socket(Time now);
  void look_after_keepers(SendBatch& out, Time now);

  struct Pinned {
    SessionId id;
    sfu::Session* session = nullptr;
    std::shared_ptr<RecordingSink> sink;  // kept for as long as the session has it as its tap
  };
  Pinned* pinned(const SessionId& session);
  void keep_pre_roll(Pinned& entry, Time now);

  std::shared_ptr<const dtls::Certificate> certificate_;
  boost::asio::io_context& control_;
  EventSink on_event_;
  runtime::SystemRandom random_;
  sfu::Router router_;
  std::vector<Pinned> sessions_;
  const sfu::Limits limits_;
  Time look_at_{};             // of the next look at the socket
  const Duration pre_roll_;    // zero: none is kept
  Time keep_at_ = Time::max();  // of the next look at the keepers
  Counters<peer::Drop> gone_peer_drops_;  // of sessions that are over
  Counters<ice::Drop> gone_ice_drops_;
  sfu::SessionStats gone_totals_;                                  // the same: a counter never falls
  std::vector<Address> candidates_;  // worker, once it runs
  std::unique_ptr<runtime::MediaLoop> loop_;
};

template <class Task>
auto MediaWorker::call(Task task) -> boost::asio::awaitable<std::invoke_result_t<Task&, MediaWorker&, Time>> {
  using Value = std::invoke_result_t<Task&, MediaWorker&, Time>;
  auto initiate = [this](auto handler, Task work) {
    auto resume = std::make_shared<decltype(handler)>(std::move(handler));
    post([this, resume = std::move(resume), work = std::move(work)](MediaWorker& worker, Time now) mutable {
      auto value = std::make_shared<Value>(work(worker, now));
      boost::asio::post(control_, [resume = std::move(resume), value = std::move(value)] { std::move (*resume)(std::move(*value)); });
    });
  };
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Value)>(
      std::move(initiate), boost::asio::use_awaitable, std::move(task));
}

}  // namespace amphi::server
