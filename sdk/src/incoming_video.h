// From the packets of one received video feed to its output: jitter buffer, depayloader, decoder, output.
// Thread: created, started and stopped on the pipeline thread; inlet() is for the media thread.
#pragma once

#include <memory>
#include <mutex>

#include "amphi/video_components.h"
#include "feed_core.h"
#include "freeze_meter.h"
#include "gst.h"
#include "mailbox.h"
#include "rtp_inlet.h"

namespace amphi::sdk {

/// A picture that owns its pixels (through GStreamer's sample).
struct OwnedPicture {
  SamplePtr sample;
  std::chrono::nanoseconds timestamp{};
};

class IncomingVideoPipeline {
 public:
  struct Context {
    std::shared_ptr<FeedCore> feed;
    std::shared_ptr<Dispatcher> dispatcher;
    std::shared_ptr<TaskThread> pipelines;
    std::function<void()> keyframe_wanted;   // from GStreamer's threads
  };
  IncomingVideoPipeline(VideoOutputComponent output, Context context);
  ~IncomingVideoPipeline();

  /// Fails the feed if it cannot. `base`: running time zero, the same for all that must stay in step.
  void start(rtp::CodecName codec, Time base);
  /// Lets go of the stream so far: the next start() builds for another. The output keeps its last picture until then.
  void reset();
  void stop();
  const std::shared_ptr<RtpInlet>& inlet() const { return inlet_; }

 private:
  static GstPadProbeReturn on_decoded(GstPad* pad, GstPadProbeInfo* info, gpointer self);
  static GstFlowReturn on_picture(GstAppSink* sink, gpointer self);
  std::string output_description() const;  // empty: there is no such output here

  const VideoOutputComponent output_;
  const Context context_;
  const std::shared_ptr<RtpInlet> inlet_;   // shared with the media thread, which must hold nothing of the application's
  std::unique_ptr<Pipeline> pipeline_;
  rtp::CodecName codec_ = rtp::CodecName::vp8;   // what `pipeline_` decodes
  std::shared_ptr<Mailbox<OwnedPicture>> mailbox_;
  std::uint64_t frames_ = 0;     // the decoder's thread, and so is the meter
  FreezeMeter freezes_;
};

}  // namespace amphi::sdk
