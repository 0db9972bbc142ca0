// The one incoming audio feed: each received feed through its own jitter buffer and decoder into one mixer, and from there to the output.
// A feed that does not decode is silent; the others go on. Thread: as noted; `*_feed` and start/stop on the pipeline thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "amphi/audio_components.h"
#include "feed_core.h"
#include "gst.h"
#include "mailbox.h"
#include "rtp_inlet.h"

namespace amphi::sdk {

struct OwnedSound {
  std::vector<std::int16_t> samples;   // interleaved
  std::chrono::nanoseconds timestamp{};
};

class IncomingAudioPipeline {
 public:
  IncomingAudioPipeline(AudioOutputComponent output, std::shared_ptr<FeedCore> feed, std::shared_ptr<Dispatcher> dispatcher,
                        std::shared_ptr<TaskThread> pipelines);
  ~IncomingAudioPipeline();

  void start(Time base);
  void stop();
  /// The inlet is the branch's; it stays valid, and swallows packets, after remove_feed.
  void add_feed(const std::string& feed_id, std::shared_ptr<RtpInlet> inlet);
  void remove_feed(const std::string& feed_id);

 private:
  struct Branch {
    GstPtr<GstElement> bin;
    GstPtr<GstPad> mixer_pad;
    std::shared_ptr<RtpInlet> inlet;
  };
  static GstFlowReturn on_sound(GstAppSink* sink, gpointer self);
  static GstPadProbeReturn on_decoded(GstPad* pad, GstPadProbeInfo* info, gpointer self);
  void discard(Branch& branch);

  const AudioOutputComponent output_;
  const std::shared_ptr<FeedCore> feed_;
  const std::shared_ptr<TaskThread> pipelines_;
  std::shared_ptr<Mailbox<OwnedSound>> mailbox_;
  std::unique_ptr<Pipeline> pipeline_;
  GstPtr<GstElement> mixer_;
  std::map<std::string, Branch> branches_;
};

}  // namespace amphi::sdk
