// From an input component to RTP packets: source, scaling, encoder, payloader.
// Thread: created, started and stopped on the session's pipeline thread; set_bitrate and request_keyframe from any; the events come
// from GStreamer's threads and must not block.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "amphi/audio_components.h"
#include "amphi/video_components.h"
#include "base/bytes.h"
#include "file_starts.h"
#include "gst.h"
#include "task_thread.h"

namespace amphi::sdk {

/// The packets of one picture or one piece of sound, in order.
struct OutgoingPackets {
  Bytes bytes;
  std::vector<std::size_t> sizes;
  Time captured;   // on the monotonic line
};

class OutgoingPipeline : public std::enable_shared_from_this<OutgoingPipeline> {
 public:
  struct Events {
    std::function<void(OutgoingPackets)> packets;
    std::function<void(PipelineFailure)> failed;
    std::function<void()> ended;   // the file's end
  };

  /// `files`: shared by pipelines whose files are to play together.
  static std::shared_ptr<OutgoingPipeline> video(OutgoingVideoComponents components, std::shared_ptr<TaskThread> thread, Events events,
                                                 std::shared_ptr<FileStarts> files = std::make_shared<FileStarts>());
  static std::shared_ptr<OutgoingPipeline> audio(AudioInputComponent input, AudioEncodingComponent encoding,
                                                 std::shared_ptr<TaskThread> thread, Events events,
                                                 std::shared_ptr<FileStarts> files = std::make_shared<FileStarts>());

  ~OutgoingPipeline();
  void start();
  void stop();
  /// Bits per second, from now on.
  void set_bitrate(std::uint32_t bitrate);
  void request_keyframe();

 private:
  struct Plan {
    std::string description;
    std::string file;                       // to be set on the element `source`
    bool loop = false;
    bool frame_numbers = false;
    std::shared_ptr<VideoInputComponentApplication::State> application;
  };
  OutgoingPipeline(Plan plan, std::shared_ptr<TaskThread> thread, Events events, std::shared_ptr<FileStarts> files);
  static GstFlowReturn on_sample(GstAppSink* sink, gpointer self);
  static GstPadProbeReturn draw_frame_number(GstPad* pad, GstPadProbeInfo* info, gpointer self);
  static GstPadProbeReturn undo_look_ahead(GstPad* pad, GstPadProbeInfo* info, gpointer self);
  void play_file();
  void rewind();

  const Plan plan_;
  const std::shared_ptr<TaskThread> thread_;
  const Events events_;
  const std::shared_ptr<FileStarts> files_;
  std::unique_ptr<Pipeline> pipeline_;
  std::atomic<bool> stopped_ = false;
  GstPtr<GstElement> encoder_;
  std::uint32_t frame_number_ = 0;          // the source's streaming thread
  GstClockTime look_ahead_ = 0;             // the encoder's, where it took it off the times: the encoder's streaming thread
};

}  // namespace amphi::sdk
