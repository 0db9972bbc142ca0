#include "gst.h"

#include <mutex>
#include <optional>

#include "runtime/clock.h"

namespace amphi::sdk {

void init_gstreamer() {
  static std::once_flag once;
  std::call_once(once, [] { gst_init(nullptr, nullptr); });
}

bool has_element(const char* factory) {
  const GstPtr<GstElementFactory> found(gst_element_factory_find(factory));
  return found != nullptr;
}

Result<std::unique_ptr<Pipeline>> Pipeline::create(const std::string& description, Events events) {
  init_gstreamer();
  GError* error = nullptr;
  GstElement* made = gst_parse_launch_full(description.c_str(), nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (error != nullptr) {
    const std::string text = error->message;
    g_error_free(error);
    if (made != nullptr) gst_object_unref(made);
    return fail(ErrorCode::unsupported, text);
  }
  gst_object_ref_sink(made);
  if (!GST_IS_PIPELINE(made)) {
    gst_object_unref(made);
    return fail(ErrorCode::internal, "not a pipeline: " + description);
  }
  return std::unique_ptr<Pipeline>(new Pipeline(GstPtr<GstElement>(made), std::move(events)));
}

Pipeline::Pipeline(GstPtr<GstElement> pipeline, Events events) : pipeline_(std::move(pipeline)), events_(std::move(events)) {
  const GstPtr<GstBus> bus(gst_element_get_bus(pipeline_.get()));
  gst_bus_set_sync_handler(bus.get(), &Pipeline::on_message, this, nullptr);
  const GstPtr<GstClock> clock(gst_system_clock_obtain());
  gst_pipeline_use_clock(GST_PIPELINE(pipeline_.get()), clock.get());
}

Pipeline::~Pipeline() {
  stop();
  const GstPtr<GstBus> bus(gst_element_get_bus(pipeline_.get()));
  gst_bus_set_sync_handler(bus.get(), nullptr, nullptr, nullptr);
}

GstPtr<GstElement> Pipeline::find(const char* name) const {
  return GstPtr<GstElement>(gst_bin_get_by_name(GST_BIN(pipeline_.get()), name));
}

bool Pipeline::play(std::optional<Time> base) {
  if (base) {
    gst_element_set_start_time(pipeline_.get(), GST_CLOCK_TIME_NONE);
    gst_element_set_base_time(pipeline_.get(), static_cast<GstClockTime>(base->time_since_epoch().count()));
  }
  if (gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE) return true;
  if (!stopped_ && events_.failed) events_.failed({Errc::inputFailed, "the pipeline does not start"});
  return false;
}

bool Pipeline::pause_and_wait(Duration patience) {
  if (gst_element_set_state(pipeline_.get(), GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE) {
    if (!stopped_ && events_.failed) events_.failed({Errc::inputFailed, "the pipeline does not start"});
    return false;
  }
  return gst_element_get_state(pipeline_.get(), nullptr, nullptr, static_cast<GstClockTime>(patience.count())) !=
         GST_STATE_CHANGE_FAILURE;
}

void Pipeline::stop() {
  stopped_ = true;
  gst_element_set_state(pipeline_.get(), GST_STATE_NULL);
}

Time Pipeline::time_of(const GstSegment& segment, GstClockTime pts) const {
  const GstClockTime base = gst_element_get_base_time(pipeline_.get());
  const GstClockTime running =
      GST_CLOCK_TIME_IS_VALID(pts) ? gst_segment_to_running_time(&segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE;
  if (!GST_CLOCK_TIME_IS_VALID(running)) return runtime::now();
  return Time(nanoseconds(static_cast<std::int64_t>(base + running)));
}

void Pipeline::on_error(GstMessage* message) {
  GError* error = nullptr;
  gchar* debug = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) gst_message_parse_error(message, &error, &debug);
  else gst_message_parse_warning(message, &error, &debug);
  const std::string name = GST_OBJECT_NAME(GST_MESSAGE_SRC(message));
  PipelineFailure failure{Errc::inputFailed, name + ": " + (error != nullptr ? error->message : "")};
  if (name.rfind("enc", 0) == 0 || name.rfind("pay", 0) == 0 || name.rfind("dec", 0) == 0 || name.rfind("depay", 0) == 0)
    failure.code = Errc::codecFailed;
  if (name.rfind("out", 0) == 0) failure.code = Errc::outputFailed;
  if (error != nullptr) g_error_free(error);
  g_free(debug);
  if (events_.failed) events_.failed(std::move(failure));
}

GstBusSyncReply Pipeline::on_message(GstBus*, GstMessage* message, gpointer user) {
  auto& self = *static_cast<Pipeline*>(user);
  if (!self.stopped_) {
    switch (GST_MESSAGE_TYPE(message)) {
      case GST_MESSAGE_ERROR: self.on_error(message); break;
      case GST_MESSAGE_WARNING:
        // autoaudiosink and its like only warn when they find no device, and go on with a fake: a silence that would be believed.
        if (g_str_has_prefix(G_OBJECT_TYPE_NAME(GST_MESSAGE_SRC(message)), "GstAuto")) self.on_error(message);
        break;
      case GST_MESSAGE_EOS:
        if (self.events_.ended) self.events_.ended();
        break;
      case GST_MESSAGE_SEGMENT_DONE:
        if (self.events_.segment_done) self.events_.segment_done();
        break;
      case GST_MESSAGE_LATENCY:
        if (self.events_.latency_changed) self.events_.latency_changed();
        break;
      default: break;
    }
  }
  gst_message_unref(message);
  return GST_BUS_DROP;
}

}  // namespace amphi::sdk
