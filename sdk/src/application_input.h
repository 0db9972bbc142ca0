// What stands behind VideoInputComponentApplication: the place where pushed pictures meet the pipeline that wants them.
#pragma once

#include <mutex>

#include "amphi/video_components.h"
#include "gst.h"

namespace amphi {

struct VideoInputComponentApplication::State {
  std::mutex mutex;
  GstElement* source = nullptr;    // the appsrc of the running pipeline, which detaches before it goes
  GstElement* pipeline = nullptr;  // for its base time
  GstVideoFormat format = GST_VIDEO_FORMAT_UNKNOWN;  // of the caps last set
  int width = 0, height = 0;

  void attach(GstElement* appsrc, GstElement* pipe);
  void detach();
};

}  // namespace amphi
