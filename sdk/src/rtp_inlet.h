// Where received packets enter a GStreamer pipeline: an appsrc and the jitter buffer behind it.
// Thread: push() and hold() on the media thread, attach() and detach() on the pipeline thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "gst.h"
#include "peer/peer.h"

namespace amphi::sdk {

class RtpInlet {
 public:
  /// `keyframe_wanted` comes from GStreamer's threads.
  explicit RtpInlet(std::function<void()> keyframe_wanted) : keyframe_wanted_(std::move(keyframe_wanted)) {}
  ~RtpInlet() { detach(); }

  void attach(GstPtr<GstElement> appsrc, GstPtr<GstElement> jitter_buffer);
  void detach();
  /// Dropped while nothing is attached.
  void push(const peer::ReceivedRtp& packet);
  /// Lip sync: play this much later.
  void hold(Duration delay);

  /// The description's beginning, up to and with the jitter buffer, and the depayloader for this codec.
  static std::string description(rtp::CodecName codec);

 private:
  static GstPadProbeReturn on_upstream_event(GstPad* pad, GstPadProbeInfo* info, gpointer self);

  const std::function<void()> keyframe_wanted_;
  std::mutex mutex_;
  GstPtr<GstElement> appsrc_, jitter_buffer_;
  Duration delay_{};
};

/// How long packets may wait for others (NACK and RTX fill the gaps in that time).
constexpr int kJitterLatencyMs = 100;

}  // namespace amphi::sdk
