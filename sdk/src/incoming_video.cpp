#include "incoming_video.h"

#include "runtime/clock.h"

namespace amphi::sdk {
namespace {

void deliver(const std::function<void(const VideoFrame&)>& handler, const OwnedPicture& picture) {
  GstVideoInfo info;
  GstVideoFrame mapped;
  GstBuffer* buffer = gst_sample_get_buffer(picture.sample.get());
  if (!gst_video_info_from_caps(&info, gst_sample_get_caps(picture.sample.get())) ||
      !gst_video_frame_map(&mapped, &info, buffer, GST_MAP_READ))
    return;
  VideoFrame frame;
  frame.width = GST_VIDEO_FRAME_WIDTH(&mapped);
  frame.height = GST_VIDEO_FRAME_HEIGHT(&mapped);
  frame.timestamp = picture.timestamp;
  for (std::size_t plane = 0; plane < 3; ++plane) {
    frame.planes[plane] = static_cast<const std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&mapped, plane));
    frame.strides[plane] = GST_VIDEO_FRAME_PLANE_STRIDE(&mapped, plane);
  }
  handler(frame);
  gst_video_frame_unmap(&mapped);
}

std::string decoder(rtp::CodecName codec) {
  if (codec == rtp::CodecName::vp8) return "vp8dec name=dec threads=1 max-errors=100";
  // Frame threads would each add a picture of delay.
  if (has_element("avdec_h264")) return "h264parse ! avdec_h264 name=dec max-threads=1 max-errors=100 output-corrupt=false";
  return "h264parse ! openh264dec name=dec max-errors=100";
}

/// The first element that can open a window here; empty: none can. Not autovideosink: where there is no screen it goes on to sinks that
/// write to the machine's console, one of which (DirectFB's) ends the process.
std::string window_sink() {
  init_gstreamer();
  for (const char* name : {"xvimagesink", "ximagesink", "waylandsink"}) {
    GstElement* made = gst_element_factory_make(name, nullptr);
    if (made == nullptr) continue;
    const GstPtr<GstElement> sink(GST_ELEMENT(gst_object_ref_sink(made)));
    const bool opens = gst_element_set_state(sink.get(), GST_STATE_READY) != GST_STATE_CHANGE_FAILURE;
    gst_element_set_state(sink.get(), GST_STATE_NULL);
    if (opens) return name;
  }
  return {};
}

}  // namespace

IncomingVideoPipeline::IncomingVideoPipeline(VideoOutputComponent output, Context context)
    : output_(std::move(output)), context_(std::move(context)), inlet_(std::make_shared<RtpInlet>(context_.keyframe_wanted)) {
  if (const auto* application = std::get_if<VideoOutputComponentApplication>(&output_); application != nullptr && application->onFrame)
    mailbox_ = std::make_shared<Mailbox<OwnedPicture>>(
        context_.dispatcher, 4, [handler = application->onFrame](const OwnedPicture& picture) { deliver(handler, picture); });
}

IncomingVideoPipeline::~IncomingVideoPipeline() { stop(); }

std::string IncomingVideoPipeline::output_description() const {
  if (std::holds_alternative<VideoOutputComponentWindow>(output_)) {
    const std::string sink = window_sink();
    return sink.empty() ? sink : "videoconvert ! " + sink + " name=out";
  }
  if (mailbox_ != nullptr)
    return "videoconvert ! video/x-raw,format=I420 ! appsink name=out sync=true max-buffers=4 drop=true enable-last-sample=false";
  return "fakesink name=out sync=true async=false enable-last-sample=false";
}

void IncomingVideoPipeline::start(rtp::CodecName codec, Time base) {
  if (pipeline_ != nullptr && codec == codec_) return;
  reset();
  codec_ = codec;
  const std::string output = output_description();
  if (output.empty()) return context_.feed->end(Errc::outputFailed);
  Pipeline::Events events;
  events.failed = [feed = context_.feed](const PipelineFailure& failure) { feed->end(failure.code, failure.text); };
  events.latency_changed = [this, pipelines = context_.pipelines, feed = std::weak_ptr(context_.feed)] {
    // The feed's teardown is posted to the same thread, so a feed that lives still has its pipeline.
    pipelines->post([this, feed] {
      const auto alive = feed.lock();
      if (alive && !alive->ended() && pipeline_ != nullptr) pipeline_->recalculate_latency();
    });
  };
  auto made = Pipeline::create(RtpInlet::description(codec) + " ! " + decoder(codec) +
                                   " ! queue name=decoded max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! " + output,
                               std::move(events));
  if (!made) return context_.feed->end(Errc::codecFailed, made.error().message);
  pipeline_ = std::move(*made);

  const auto decoder_element = pipeline_->find("dec");
  const GstPtr<GstPad> pad(gst_element_get_static_pad(decoder_element.get(), "src"));
  gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, &IncomingVideoPipeline::on_decoded, this, nullptr);
  if (mailbox_ != nullptr) {
    const auto sink = pipeline_->find("out");
    GstAppSinkCallbacks callbacks{};
    callbacks.new_sample = &IncomingVideoPipeline::on_picture;
    gst_app_sink_set_callbacks(GST_APP_SINK(sink.get()), &callbacks, this, nullptr);
  }
  if (!pipeline_->play(base)) return;
  inlet_->attach(pipeline_->find("in"), pipeline_->find("jitter"));
  context_.keyframe_wanted();
}

void IncomingVideoPipeline::reset() {
  inlet_->detach();
  if (pipeline_ != nullptr) pipeline_->stop();
  pipeline_.reset();
}

void IncomingVideoPipeline::stop() {
  inlet_->detach();
  if (mailbox_ != nullptr) mailbox_->close();
  if (pipeline_ != nullptr) pipeline_->stop();
}

GstPadProbeReturn IncomingVideoPipeline::on_decoded(GstPad* pad, GstPadProbeInfo*, gpointer user) {
  auto& self = *static_cast<IncomingVideoPipeline*>(user);
  self.freezes_.on_frame(runtime::now());
  ++self.frames_;
  int width = 0, height = 0;
  if (const CapsPtr caps(gst_pad_get_current_caps(pad)); caps != nullptr) {
    const GstStructure* structure = gst_caps_get_structure(caps.get(), 0);
    gst_structure_get_int(structure, "width", &width);
    gst_structure_get_int(structure, "height", &height);
  }
  self.context_.feed->update([&](FeedStatistics& s) {
    s.frames = self.frames_;
    s.freezes = self.freezes_.freezes();
    s.freezeDuration = std::chrono::duration_cast<milliseconds>(self.freezes_.frozen());
    s.width = width;
    s.height = height;
  });
  self.context_.feed->set_running();
  return GST_PAD_PROBE_OK;
}

GstFlowReturn IncomingVideoPipeline::on_picture(GstAppSink* sink, gpointer user) {
  auto& self = *static_cast<IncomingVideoPipeline*>(user);
  OwnedPicture picture;
  picture.sample.reset(gst_app_sink_pull_sample(sink));
  if (picture.sample == nullptr) return GST_FLOW_EOS;
  GstBuffer* buffer = gst_sample_get_buffer(picture.sample.get());
  picture.timestamp = self.pipeline_->time_of(*gst_sample_get_segment(picture.sample.get()), GST_BUFFER_PTS(buffer)).time_since_epoch();
  self.mailbox_->put(std::move(picture));
  return GST_FLOW_OK;
}

}  // namespace amphi::sdk
