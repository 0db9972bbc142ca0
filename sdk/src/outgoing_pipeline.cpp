#include "outgoing_pipeline.h"

#include <gst/audio/audio.h>

#include <string_view>

#include "amphi/frame_barcode.h"
#include "application_input.h"
#include "outgoing_plans.h"
#include "runtime/clock.h"

namespace amphi::sdk {

std::shared_ptr<OutgoingPipeline> OutgoingPipeline::video(OutgoingVideoComponents components, std::shared_ptr<TaskThread> thread,
                                                          Events events, std::shared_ptr<FileStarts> files) {
  VideoPlan video = plan_video(components);
  Plan plan{std::move(video.description), std::move(video.file), video.loop, false, nullptr};
  if (const auto* pattern = std::get_if<VideoInputComponentTestPattern>(&components.input)) plan.frame_numbers = pattern->frameNumber;
  if (const auto* application = std::get_if<VideoInputComponentApplication>(&components.input)) plan.application = application->state();
  return std::shared_ptr<OutgoingPipeline>(new OutgoingPipeline(std::move(plan), std::move(thread), std::move(events), std::move(files)));
}

std::shared_ptr<OutgoingPipeline> OutgoingPipeline::audio(AudioInputComponent input, AudioEncodingComponent encoding,
                                                          std::shared_ptr<TaskThread> thread, Events events,
                                                          std::shared_ptr<FileStarts> files) {
  VideoPlan audio = plan_audio(input, encoding);
  Plan plan{std::move(audio.description), std::move(audio.file), audio.loop, false, nullptr};
  return std::shared_ptr<OutgoingPipeline>(new OutgoingPipeline(std::move(plan), std::move(thread), std::move(events), std::move(files)));
}

OutgoingPipeline::OutgoingPipeline(Plan plan, std::shared_ptr<TaskThread> thread, Events events, std::shared_ptr<FileStarts> files)
    : plan_(std::move(plan)), thread_(std::move(thread)), events_(std::move(events)), files_(std::move(files)) {}

OutgoingPipeline::~OutgoingPipeline() { stop(); }

void OutgoingPipeline::start() {
  if (pipeline_ != nullptr) return;
  Pipeline::Events events;
  events.failed = events_.failed;
  events.ended = events_.ended;
  events.segment_done = [weak = weak_from_this(), thread = thread_] {
    thread->post([weak] {
      if (const auto self = weak.lock()) self->rewind();
    });
  };
  auto made = Pipeline::create(plan_.description, std::move(events));
  if (!made) return events_.failed({Errc::codecFailed, made.error().message});
  pipeline_ = std::move(*made);
  encoder_ = pipeline_->find("enc");

  const auto source = pipeline_->find("source");
  if (!plan_.file.empty()) g_object_set(source.get(), "location", plan_.file.c_str(), nullptr);
  if (plan_.application) plan_.application->attach(source.get(), pipeline_->element());
  if (plan_.frame_numbers) {
    const auto scaled = pipeline_->find("scaled");
    const GstPtr<GstPad> pad(gst_element_get_static_pad(scaled.get(), "src"));
    gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, &OutgoingPipeline::draw_frame_number, this, nullptr);
  }
  if (encoder_ != nullptr && std::string_view(GST_OBJECT_NAME(gst_element_get_factory(encoder_.get()))) == "opusenc") {
    const GstPtr<GstPad> pad(gst_element_get_static_pad(encoder_.get(), "src"));
    const auto what = static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_FLUSH);
    gst_pad_add_probe(pad.get(), what, &OutgoingPipeline::undo_look_ahead, this, nullptr);
  }
  const auto sink = pipeline_->find("packets");
  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = &OutgoingPipeline::on_sample;
  gst_app_sink_set_callbacks(GST_APP_SINK(sink.get()), &callbacks, this, nullptr);

  if (!plan_.file.empty()) {
    play_file();
  } else {
    pipeline_->play();
  }
}

void OutgoingPipeline::play_file() {
  if (!pipeline_->pause_and_wait(5s)) return;
  // A segment seek says SEGMENT_DONE where the file would end, and the next one goes on without a gap.
  if (plan_.loop)
    gst_element_seek(pipeline_->element(), 1.0, GST_FORMAT_TIME, static_cast<GstSeekFlags>(GST_SEEK_FLAG_SEGMENT | GST_SEEK_FLAG_FLUSH),
                     GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0);
  pipeline_->play(files_->begin(plan_.file, runtime::now()));
}

// A seek waits for the file's streaming thread, which a file of one picture gives back only when it is stopped: so it is neither made on
// this thread, nor through the pipeline, whose state could not be changed meanwhile.
void OutgoingPipeline::rewind() {
  if (pipeline_ == nullptr) return;
  using Self = std::weak_ptr<OutgoingPipeline>;
  const auto seek = [](GstElement* sink, gpointer user) {
    const GstPtr<GstPad> pad(gst_element_get_static_pad(sink, "sink"));
    auto* event = gst_event_new_seek(1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_SEGMENT, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0);
    if (gst_pad_push_event(pad.get(), event)) return;
    if (const auto self = static_cast<Self*>(user)->lock(); self && !self->stopped_) self->events_.ended();
  };
  const auto sink = pipeline_->find("packets");
  gst_element_call_async(sink.get(), seek, new Self(weak_from_this()), [](gpointer user) { delete static_cast<Self*>(user); });
}

void OutgoingPipeline::stop() {
  stopped_ = true;
  if (plan_.application) plan_.application->detach();
  if (pipeline_ != nullptr) pipeline_->stop();
}

void OutgoingPipeline::set_bitrate(std::uint32_t bitrate) {
  thread_->post([self = shared_from_this(), bitrate] {
    if (self->encoder_ == nullptr) return;
    const auto property = bitrate_property(GST_OBJECT_NAME(gst_element_get_factory(self->encoder_.get())));
    g_object_set(self->encoder_.get(), property.name, bitrate / property.divisor, nullptr);
  });
}

void OutgoingPipeline::request_keyframe() {
  thread_->post([self = shared_from_this()] {
    if (self->encoder_ == nullptr) return;
    gst_element_send_event(self->encoder_.get(), gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
  });
}

// RTP's time is that of the first sample that was encoded (RFC 7587 4.2), and who decodes takes the look-ahead off. opusenc takes it off
// already, from the second packet on, unless it was flushed; its first packet then says by how much.
GstPadProbeReturn OutgoingPipeline::undo_look_ahead(GstPad*, GstPadProbeInfo* info, gpointer user) {
  auto& self = *static_cast<OutgoingPipeline*>(user);
  if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_EVENT_FLUSH) {
    self.look_ahead_ = 0;
    return GST_PAD_PROBE_OK;
  }
  auto* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  if (GST_BUFFER_PTS_IS_VALID(buffer) && self.look_ahead_ > 0) {
    buffer = gst_buffer_make_writable(buffer);
    GST_PAD_PROBE_INFO_DATA(info) = buffer;
    GST_BUFFER_PTS(buffer) += self.look_ahead_;
    if (GST_BUFFER_DTS_IS_VALID(buffer)) GST_BUFFER_DTS(buffer) += self.look_ahead_;
  }
  const GstAudioClippingMeta* clipped = gst_buffer_get_audio_clipping_meta(buffer);
  if (clipped != nullptr && clipped->format == GST_FORMAT_DEFAULT && clipped->start > 0)
    self.look_ahead_ = gst_util_uint64_scale(clipped->start, GST_SECOND, AudioFrame::kSampleRate);
  return GST_PAD_PROBE_OK;
}

GstPadProbeReturn OutgoingPipeline::draw_frame_number(GstPad* pad, GstPadProbeInfo* info, gpointer user) {
  auto& self = *static_cast<OutgoingPipeline*>(user);
  const CapsPtr caps(gst_pad_get_current_caps(pad));
  GstVideoInfo video;
  if (caps == nullptr || !gst_video_info_from_caps(&video, caps.get())) return GST_PAD_PROBE_OK;
  auto* buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
  GST_PAD_PROBE_INFO_DATA(info) = buffer;
  GstVideoFrame frame;
  if (!gst_video_frame_map(&frame, &video, buffer, GST_MAP_READWRITE)) return GST_PAD_PROBE_OK;
  barcode::encode(self.frame_number_++, static_cast<std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)), GST_VIDEO_FRAME_WIDTH(&frame),
                  GST_VIDEO_FRAME_HEIGHT(&frame), GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0));
  gst_video_frame_unmap(&frame);
  return GST_PAD_PROBE_OK;
}

namespace {
void append(OutgoingPackets& out, GstBuffer* buffer) {
  const gsize size = gst_buffer_get_size(buffer);
  const std::size_t at = out.bytes.size();
  out.bytes.resize(at + size);
  gst_buffer_extract(buffer, 0, out.bytes.data() + at, size);
  out.sizes.push_back(size);
}
}  // namespace

GstFlowReturn OutgoingPipeline::on_sample(GstAppSink* sink, gpointer user) {
  auto& self = *static_cast<OutgoingPipeline*>(user);
  const SamplePtr sample(gst_app_sink_pull_sample(sink));
  if (sample == nullptr) return GST_FLOW_EOS;
  OutgoingPackets out;
  GstClockTime pts = GST_CLOCK_TIME_NONE;
  if (GstBufferList* list = gst_sample_get_buffer_list(sample.get())) {
    for (guint i = 0; i < gst_buffer_list_length(list); ++i) {
      GstBuffer* buffer = gst_buffer_list_get(list, i);
      if (i == 0) pts = GST_BUFFER_PTS(buffer);
      append(out, buffer);
    }
  } else if (GstBuffer* buffer = gst_sample_get_buffer(sample.get())) {
    pts = GST_BUFFER_PTS(buffer);
    append(out, buffer);
  }
  out.captured = self.pipeline_->time_of(*gst_sample_get_segment(sample.get()), pts);
  self.events_.packets(std::move(out));
  return GST_FLOW_OK;
}

}  // namespace amphi::sdk
