// A MediaServerSession whose callbacks are kept and can be waited for. Thread: the test's; callbacks come on the session's.
#pragma once

#include <amphi/amphi.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace amphi::end_to_end {

using namespace std::chrono_literals;

class SessionProbe {
 public:
  SessionProbe(std::string url, std::string token, std::string ca_certificate_file = "", bool reconnect = true);
  ~SessionProbe();

  bool connect(std::chrono::milliseconds limit = 10s);  // and its services
  MediaServerSession* operator->() { return session.get(); }

  /// Waits until `done` holds; asked whenever something happened, and every 20 ms (statistics tell nobody).
  bool wait(const std::function<bool()>& done, std::chrono::milliseconds limit = 10s);
  bool wait_recording(bool on, std::chrono::milliseconds limit = 10s) {
    return wait([&] { return session->sessionRecordingState().on == on && !session->sessionRecordingState().updatePending; }, limit);
  }

  // What happened, in order; guarded by `mutex` until the session is quiet.
  struct Happened {
    int connected = 0, disconnected = 0, services_connected = 0, services_disconnected = 0;
    int reconnecting = 0, reconnected = 0, unreachable = 0, reachable = 0;
    std::error_code disconnect_error, services_error, reconnect_reason, unreachable_error;
    std::vector<MediaServerSession::SessionRecordingState> states;
    std::vector<FeedInfo> feeds;
  };
  Happened happened() const;

  std::shared_ptr<MediaServerSession> session;

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    Happened happened;
    void note(const std::function<void(Happened&)>& change) {
      {
        std::lock_guard lock(mutex);
        change(happened);
      }
      changed.notify_all();
    }
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace amphi::end_to_end
