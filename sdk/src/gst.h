// GStreamer's reference counts as C++ ownership, and a pipeline that tells its end without a main loop.
#pragma once

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <atomic>
#include <functional>
#include <optional>
#include <memory>
#include <string>

#include "amphi/error.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::sdk {

struct GstUnref {
  void operator()(void* object) const { gst_object_unref(object); }
};
struct GstSampleUnref {
  void operator()(GstSample* sample) const { gst_sample_unref(sample); }
};
struct GstCapsUnref {
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
};
template <class T>
using GstPtr = std::unique_ptr<T, GstUnref>;
using SamplePtr = std::unique_ptr<GstSample, GstSampleUnref>;
using CapsPtr = std::unique_ptr<GstCaps, GstCapsUnref>;

/// gst_init, once per process. Any thread.
void init_gstreamer();
bool has_element(const char* factory);

struct PipelineFailure {
  Errc code = Errc::internal;
  std::string text;
};

/// One pipeline, built from a launch description. Its element names tell whose fault an error is: `enc...`, `pay`, `depay`, `dec...` are
/// codecs, `out` is the output; all else is the input.
/// Thread: start(), stop() and destruction on the session's pipeline thread; the events come from GStreamer's threads.
class Pipeline {
 public:
  struct Events {
    std::function<void(PipelineFailure)> failed;
    std::function<void()> ended;          // end of stream
    std::function<void()> segment_done;
    std::function<void()> latency_changed;  // answer with recalculate_latency(), on the pipeline thread
  };

  static Result<std::unique_ptr<Pipeline>> create(const std::string& description, Events events);
  ~Pipeline();

  GstElement* element() const { return pipeline_.get(); }
  /// nullptr: no such element.
  GstPtr<GstElement> find(const char* name) const;
  /// Playing, with CLOCK_MONOTONIC as its clock. `base`: running time zero; nullopt: now. False: failed (and told).
  bool play(std::optional<Time> base = std::nullopt);
  bool pause_and_wait(Duration patience);
  void recalculate_latency() { gst_bin_recalculate_latency(GST_BIN(pipeline_.get())); }
  void stop();
  /// The moment of a buffer on the monotonic line. Any thread.
  Time time_of(const GstSegment& segment, GstClockTime pts) const;

 private:
  Pipeline(GstPtr<GstElement> pipeline, Events events);
  static GstBusSyncReply on_message(GstBus* bus, GstMessage* message, gpointer self);
  void on_error(GstMessage* message);

  GstPtr<GstElement> pipeline_;
  Events events_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace amphi::sdk
