// One running recording on its writer thread: does what its Recorder asks of the disk, and looks at the space that is left.
// The intake, the recorder and the watch decide; this only carries out and reports back. Everything blocks as the disk does.
// Thread: its recording writer's.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "runtime/file_writer.h"
#include "server/disk_space.h"
#include "server/recording_intake.h"
#include "server/safekeeping.h"
#include "server/space_watch.h"

namespace amphi::server {

using RecordingWarning = recording::StorageWarning;

/// Called on the writer thread; each posts to where it belongs.
struct RecordingEvents {
  std::function<void(Time started_at)> started;
  std::function<void(Duration duration, std::optional<Error> error)> finished;  // once; what follows is bookkeeping
  std::function<void(const FeedId& feed)> keyframe_wanted;
  std::function<void(bool writing)> media_changed;  // empty: nobody asks
  std::function<void()> full;  // the disk, but for half the reserve: it is to be stopped
  std::function<void(std::optional<RecordingWarning>)> warned;  // nullopt: what was warned of is over; empty: nobody asks
  std::function<void(recording::FeedsChanged)> feeds_changed;  // empty: nobody asks
  std::function<void(const recording::Drops&)> counted;  // of the whole recording, at its end; empty: nobody asks
  std::function<void()> repaired;  // after finished with an error: what was written is complete; empty: nobody asks
  std::function<void(const std::string& folder)> unhashed;  // it is complete, but too large to be hashed in passing; empty: nobody cares
};

struct RecordingPlan {
  recording::RecordingInfo info;
  std::string session_folder;          // <recordings>/<session>
  std::optional<FolderId> root{};      // that <recordings> must be; nullopt: any
  const Safe* safe = nullptr;          // outlives the recording
  std::uint64_t reserve = 0;           // bytes that must be free to begin; at half of it the recording is ended while it can be
  std::uint64_t revision_ceiling = 0;  // stored before the recording begins: see recording_catalogue.h
  Time start{};                        // when it was asked for
};

class RecordingJob {
 public:
  RecordingJob(RecordingPlan plan, RecordingEvents events);

  /// Creates the folders. What goes wrong here is reported as finished with an error. The recording begins `pre_roll` before it was
  /// asked for: with what `sink` holds of that time.
  void begin(std::shared_ptr<RecordingSink> sink, Duration pre_roll);
  /// Ends at `at`, once what had arrived by then is worked off. The worker no longer writes to the sink.
  /// `goes_on`: see services::StopRecording. Where the disk was full it ends with that as its error.
  void stop(Time at, bool goes_on = false);
  void add_marker(std::string label, std::string by, Time at);
  /// Works off some of what is there. True: there may be more.
  bool step(Time now);
  /// It is over; after a failure: and repaired, or beyond that.
  bool done() const { return done_ && !mend_at_; }
  Time next_timeout() const;

 private:
  recording::Take& take() { return intake_->take(); }
  Result<void> make_ready();
  void run_outputs(Time now);
  void look_at_space(Time now);
  Result<void> store(const RecordingId& recording);
  void forget_recording();
  void tell_if_unhashed(bool hashed);
  void close(Time now);
  void mend(Time now);
  Result<void> repair();
  std::string root() const { return plan_.session_folder.substr(0, plan_.session_folder.find_last_of('/')); }
  std::string folder() const { return plan_.session_folder + "/" + plan_.info.id.value; }

  RecordingPlan plan_;
  RecordingEvents events_;
  std::optional<RecordingIntake> intake_;
  std::optional<runtime::FileWriter> files_;
  SpaceWatch space_;
  bool done_ = false;
  bool goes_on_ = false;
  std::optional<Error> failed_;     // and not repaired yet
  RecordingId remembered_;          // on the disk, as what a restart goes on with; empty: none of ours
  std::optional<Time> mend_at_;     // the disk did not let it be repaired or forgotten yet
  Duration mend_wait_;
};

}  // namespace amphi::server
