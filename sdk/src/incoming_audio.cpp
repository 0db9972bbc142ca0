#include "incoming_audio.h"

#include <cstring>

namespace amphi::sdk {
namespace {

constexpr const char* kFormat = "audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved";

std::string output_description(const AudioOutputComponent& output, bool to_application) {
  if (to_application) return "appsink name=out sync=true max-buffers=50 drop=true enable-last-sample=false";
  if (const auto* device = std::get_if<AudioOutputComponentDevice>(&output))
    return "audioconvert ! audioresample ! " + (device->device.empty() ? std::string("autoaudiosink name=out") : "pulsesink name=out");
  return "fakesink name=out sync=true async=false enable-last-sample=false";
}

}  // namespace

IncomingAudioPipeline::IncomingAudioPipeline(AudioOutputComponent output, std::shared_ptr<FeedCore> feed,
                                             std::shared_ptr<Dispatcher> dispatcher, std::shared_ptr<TaskThread> pipelines)
    : output_(std::move(output)), feed_(std::move(feed)), pipelines_(std::move(pipelines)) {
  const auto* application = std::get_if<AudioOutputComponentApplication>(&output_);
  if (application == nullptr || !application->onFrame) return;
  mailbox_ = std::make_shared<Mailbox<OwnedSound>>(std::move(dispatcher), 50, [handler = application->onFrame](const OwnedSound& sound) {
    handler({sound.samples.data(), sound.samples.size() / AudioFrame::kChannels, sound.timestamp});
  });
}

IncomingAudioPipeline::~IncomingAudioPipeline() { stop(); }

void IncomingAudioPipeline::start(Time base) {
  if (pipeline_ != nullptr) return;
  Pipeline::Events events;
  events.failed = [feed = feed_](const PipelineFailure& failure) {
    // A branch that breaks is silent: only the output is the feed itself.
    if (failure.code == Errc::outputFailed) feed->end(failure.code, failure.text);
  };
  events.latency_changed = [this, pipelines = pipelines_, feed = std::weak_ptr(feed_)] {
    pipelines->post([this, feed] {
      const auto alive = feed.lock();
      if (alive && !alive->ended() && pipeline_ != nullptr) pipeline_->recalculate_latency();
    });
  };
  // The silence keeps the mixer going when nobody is there. All of this is the output: a device that takes nothing is told by what feeds it.
  auto made = Pipeline::create(std::string("audiotestsrc name=out-silence is-live=true wave=silence samplesperbuffer=960 ! ") + kFormat +
                                   " ! audiomixer name=out-mixer latency=30000000 ! " + kFormat + " ! queue name=out-queue ! " +
                                   output_description(output_, mailbox_ != nullptr),
                               std::move(events));
  if (!made) return feed_->end(Errc::outputFailed, made.error().message);
  pipeline_ = std::move(*made);
  mixer_ = pipeline_->find("out-mixer");
  const auto sink = pipeline_->find("out");
  if (const auto* device = std::get_if<AudioOutputComponentDevice>(&output_); device != nullptr && !device->device.empty())
    g_object_set(sink.get(), "device", device->device.c_str(), nullptr);
  if (mailbox_ != nullptr) {
    GstAppSinkCallbacks callbacks{};
    callbacks.new_sample = &IncomingAudioPipeline::on_sound;
    gst_app_sink_set_callbacks(GST_APP_SINK(sink.get()), &callbacks, this, nullptr);
  }
  if (pipeline_->play(base)) feed_->set_running();
}

void IncomingAudioPipeline::stop() {
  for (auto& [id, branch] : branches_) branch.inlet->detach();
  if (mailbox_ != nullptr) mailbox_->close();
  if (pipeline_ != nullptr) pipeline_->stop();
}

void IncomingAudioPipeline::add_feed(const std::string& feed_id, std::shared_ptr<RtpInlet> inlet) {
  if (pipeline_ == nullptr || branches_.contains(feed_id)) return;
  const std::string description = RtpInlet::description(rtp::CodecName::opus) +
                                  " ! opusdec name=dec plc=true use-inband-fec=true max-errors=-1 ! audioconvert ! audioresample ! " +
                                  kFormat + " ! queue name=last max-size-time=200000000";
  GError* error = nullptr;
  GstElement* made = gst_parse_bin_from_description(description.c_str(), FALSE, &error);
  if (error != nullptr) g_error_free(error);
  if (made == nullptr) return;
  Branch branch;
  branch.bin.reset(GST_ELEMENT(gst_object_ref_sink(made)));
  branch.inlet = std::move(inlet);
  auto* bin = GST_BIN(made);
  const GstPtr<GstElement> last(gst_bin_get_by_name(bin, "last"));
  const GstPtr<GstElement> decoder(gst_bin_get_by_name(bin, "dec"));
  const GstPtr<GstPad> last_pad(gst_element_get_static_pad(last.get(), "src"));
  const GstPtr<GstPad> decoded(gst_element_get_static_pad(decoder.get(), "src"));
  gst_pad_add_probe(decoded.get(), GST_PAD_PROBE_TYPE_BUFFER, &IncomingAudioPipeline::on_decoded, this, nullptr);
  gst_element_add_pad(made, gst_ghost_pad_new("src", last_pad.get()));
  gst_bin_add(GST_BIN(pipeline_->element()), made);
  branch.mixer_pad.reset(gst_element_request_pad_simple(mixer_.get(), "sink_%u"));
  const GstPtr<GstPad> out(gst_element_get_static_pad(made, "src"));
  gst_pad_link(out.get(), branch.mixer_pad.get());
  gst_element_sync_state_with_parent(made);
  branch.inlet->attach(GstPtr<GstElement>(gst_bin_get_by_name(bin, "in")), GstPtr<GstElement>(gst_bin_get_by_name(bin, "jitter")));
  pipeline_->recalculate_latency();
  branches_.emplace(feed_id, std::move(branch));
}

void IncomingAudioPipeline::remove_feed(const std::string& feed_id) {
  const auto it = branches_.find(feed_id);
  if (it == branches_.end()) return;
  discard(it->second);
  branches_.erase(it);
}

void IncomingAudioPipeline::discard(Branch& branch) {
  branch.inlet->detach();
  const GstPtr<GstPad> out(gst_element_get_static_pad(branch.bin.get(), "src"));
  // Unlinked at the mixer first: a branch that waits for the mixer could not stop.
  gst_pad_unlink(out.get(), branch.mixer_pad.get());
  gst_element_release_request_pad(mixer_.get(), branch.mixer_pad.get());
  // Locked: a pipeline that is still on its way to playing would take the branch along once more, behind our back.
  gst_element_set_locked_state(branch.bin.get(), TRUE);
  gst_element_set_state(branch.bin.get(), GST_STATE_NULL);
  gst_bin_remove(GST_BIN(pipeline_->element()), branch.bin.get());
}

GstPadProbeReturn IncomingAudioPipeline::on_decoded(GstPad*, GstPadProbeInfo*, gpointer user) {
  auto& self = *static_cast<IncomingAudioPipeline*>(user);
  self.feed_->update([](FeedStatistics& s) { ++s.frames; });
  return GST_PAD_PROBE_OK;
}

GstFlowReturn IncomingAudioPipeline::on_sound(GstAppSink* sink, gpointer user) {
  auto& self = *static_cast<IncomingAudioPipeline*>(user);
  const SamplePtr sample(gst_app_sink_pull_sample(sink));
  if (sample == nullptr) return GST_FLOW_EOS;
  GstBuffer* buffer = gst_sample_get_buffer(sample.get());
  OwnedSound sound;
  sound.samples.resize(gst_buffer_get_size(buffer) / sizeof(std::int16_t));
  gst_buffer_extract(buffer, 0, sound.samples.data(), sound.samples.size() * sizeof(std::int16_t));
  sound.timestamp = self.pipeline_->time_of(*gst_sample_get_segment(sample.get()), GST_BUFFER_PTS(buffer)).time_since_epoch();
  self.mailbox_->put(std::move(sound));
  return GST_FLOW_OK;
}

}  // namespace amphi::sdk
