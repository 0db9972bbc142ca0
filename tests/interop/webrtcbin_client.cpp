#include "webrtcbin_client.h"

#include <gst/gst.h>
#include <gst/sdp/sdp.h>
#define GST_USE_UNSTABLE_API
#include <gst/webrtc/webrtc.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace amphi::interop {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

/// Emits an action signal that takes a promise, and waits for its reply, which the caller frees.
template <class... Arguments>
GstPromise* ask(GstElement* webrtc, const char* signal, Arguments... arguments) {
  GstPromise* promise = gst_promise_new();
  g_signal_emit_by_name(webrtc, signal, arguments..., promise);
  if (gst_promise_wait(promise) != GST_PROMISE_RESULT_REPLIED) throw std::runtime_error(std::string(signal) + ": no reply");
  const GstStructure* reply = gst_promise_get_reply(promise);
  if (reply && gst_structure_has_field(reply, "error")) {
    GError* error = nullptr;
    gst_structure_get(reply, "error", G_TYPE_ERROR, &error, nullptr);
    const std::string words = std::string(signal) + ": " + (error ? error->message : "?");
    g_clear_error(&error);
    gst_promise_unref(promise);
    throw std::runtime_error(words);
  }
  return promise;
}

GstWebRTCSessionDescription* description_of(GstPromise* promise, const char* field) {
  GstWebRTCSessionDescription* description = nullptr;
  gst_structure_get(gst_promise_get_reply(promise), field, GST_TYPE_WEBRTC_SESSION_DESCRIPTION, &description, nullptr);
  gst_promise_unref(promise);
  if (!description) throw std::runtime_error(std::string("no ") + field + " in the reply");
  return description;
}

std::string text_of(GstWebRTCSessionDescription* description) {
  gchar* text = gst_sdp_message_as_text(description->sdp);
  std::string result = text;
  g_free(text);
  return result;
}

void set_local(GstElement* webrtc, GstWebRTCSessionDescription* description) {
  gst_promise_unref(ask(webrtc, "set-local-description", description));
  gst_webrtc_session_description_free(description);
}

int enum_property(GstElement* webrtc, const char* name) {
  int value = 0;
  g_object_get(webrtc, name, &value, nullptr);
  return value;
}

}  // namespace

WebrtcbinClient::WebrtcbinClient(const std::string& pipeline) {
  gst_init(nullptr, nullptr);
  GError* error = nullptr;
  GstElement* parsed = gst_parse_launch(pipeline.c_str(), &error);
  if (error) {
    const std::string words = error->message;
    g_clear_error(&error);
    throw std::runtime_error("pipeline: " + words);
  }
  if (GST_IS_PIPELINE(parsed)) {
    pipeline_ = parsed;
  } else {  // a single element is given as itself
    pipeline_ = gst_pipeline_new(nullptr);
    gst_bin_add(GST_BIN(pipeline_), parsed);
  }
  webrtc_ = gst_bin_get_by_name(GST_BIN(pipeline_), "w");
  if (!webrtc_) throw std::runtime_error("no webrtcbin named w in: " + pipeline);
  g_signal_connect(webrtc_, "pad-added", G_CALLBACK(on_pad_added), this);
  gst_element_set_state(pipeline_, GST_STATE_PLAYING);
}

WebrtcbinClient::~WebrtcbinClient() {
  gst_element_set_state(pipeline_, GST_STATE_NULL);
  gst_object_unref(webrtc_);
  gst_object_unref(pipeline_);
}

std::string WebrtcbinClient::create_offer() {
  GArray* transceivers = nullptr;
  g_signal_emit_by_name(webrtc_, "get-transceivers", &transceivers);
  for (guint i = 0; i < transceivers->len; ++i)
    g_object_set(g_array_index(transceivers, GstWebRTCRTPTransceiver*, i), "direction", GST_WEBRTC_RTP_TRANSCEIVER_DIRECTION_SENDONLY,
                 "do-nack", TRUE, nullptr);
  g_array_unref(transceivers);
  set_local(webrtc_, description_of(ask(webrtc_, "create-offer", static_cast<GstStructure*>(nullptr)), "offer"));
  return local_description();
}

std::string WebrtcbinClient::local_description() const {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (enum_property(webrtc_, "ice-gathering-state") != GST_WEBRTC_ICE_GATHERING_STATE_COMPLETE) {
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error("webrtcbin gathers candidates without end");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  GstWebRTCSessionDescription* description = nullptr;
  g_object_get(webrtc_, "local-description", &description, nullptr);
  if (!description) throw std::runtime_error("webrtcbin has no local description");
  const std::string text = text_of(description);
  gst_webrtc_session_description_free(description);
  return text;
}

void WebrtcbinClient::set_description(const char* signal, const std::string& sdp, bool offer) {
  GstSDPMessage* message = nullptr;
  if (gst_sdp_message_new_from_text(sdp.c_str(), &message) != GST_SDP_OK) throw std::runtime_error("GStreamer cannot parse\n" + sdp);
  GstWebRTCSessionDescription* description = gst_webrtc_session_description_new(offer ? GST_WEBRTC_SDP_TYPE_OFFER : GST_WEBRTC_SDP_TYPE_ANSWER, message);
  gst_promise_unref(ask(webrtc_, signal, description));
  gst_webrtc_session_description_free(description);
}

void WebrtcbinClient::accept_answer(const std::string& sdp) { set_description("set-remote-description", sdp, false); }

std::string WebrtcbinClient::accept_offer(const std::string& sdp) {
  set_description("set-remote-description", sdp, true);
  set_local(webrtc_, description_of(ask(webrtc_, "create-answer", static_cast<GstStructure*>(nullptr)), "answer"));
  return local_description();
}

std::vector<WebrtcbinClient::MediaLine> WebrtcbinClient::media_lines(const std::string& sdp) {
  GstSDPMessage* message = nullptr;
  if (gst_sdp_message_new_from_text(sdp.c_str(), &message) != GST_SDP_OK) throw std::runtime_error("GStreamer cannot parse\n" + sdp);
  std::vector<MediaLine> lines;
  for (guint i = 0; i < gst_sdp_message_medias_len(message); ++i) {
    const GstSDPMedia* media = gst_sdp_message_get_media(message, i);
    const char* mid = gst_sdp_media_get_attribute_val(media, "mid");
    lines.push_back({gst_sdp_media_get_media(media), mid ? mid : ""});
  }
  gst_sdp_message_free(message);
  return lines;
}

void WebrtcbinClient::on_pad_added(GstElement*, GstPad* pad, void* user) {
  auto& self = *static_cast<WebrtcbinClient*>(user);
  if (GST_PAD_DIRECTION(pad) != GST_PAD_SRC) return;
  GstElement* decoder = gst_element_factory_make("decodebin", nullptr);
  g_signal_connect(decoder, "pad-added", G_CALLBACK(on_decoded_pad), user);
  gst_bin_add(GST_BIN(self.pipeline_), decoder);
  gst_element_sync_state_with_parent(decoder);
  GstPad* sink = gst_element_get_static_pad(decoder, "sink");
  gst_pad_link(pad, sink);
  gst_object_unref(sink);
}

void WebrtcbinClient::on_decoded_pad(GstElement*, GstPad* pad, void* user) { static_cast<WebrtcbinClient*>(user)->sink_decoded(pad); }

void WebrtcbinClient::sink_decoded(GstPad* pad) {
  GstElement* fake = gst_element_factory_make("fakesink", nullptr);
  g_object_set(fake, "sync", FALSE, "async", FALSE, nullptr);
  gst_bin_add(GST_BIN(pipeline_), fake);
  gst_element_sync_state_with_parent(fake);
  GstPad* sink = gst_element_get_static_pad(fake, "sink");
  gst_pad_add_probe(
      sink, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad* at, GstPadProbeInfo*, gpointer user) {
        auto& self = *static_cast<WebrtcbinClient*>(user);
        GstCaps* caps = gst_pad_get_current_caps(at);
        const GstStructure* format = caps ? gst_caps_get_structure(caps, 0) : nullptr;
        if (format && gst_structure_has_name(format, "video/x-raw")) {
          int width = 0, height = 0;
          gst_structure_get_int(format, "width", &width);
          gst_structure_get_int(format, "height", &height);
          const std::lock_guard lock(self.mutex_);
          self.picture_size_ = std::to_string(width) + "x" + std::to_string(height);
          ++self.video_;
        } else if (format && gst_structure_has_name(format, "audio/x-raw")) {
          ++self.audio_;
        }
        if (caps) gst_caps_unref(caps);
        return GST_PAD_PROBE_OK;
      },
      this, nullptr);
  gst_pad_link(pad, sink);
  gst_object_unref(sink);
}

int WebrtcbinClient::decoded(const std::string& kind) const { return kind == "video" ? video_ : audio_; }

std::string WebrtcbinClient::picture_size() const {
  const std::lock_guard lock(mutex_);
  return picture_size_;
}

std::string WebrtcbinClient::error() const {
  GstBus* bus = gst_element_get_bus(pipeline_);
  std::string words;
  if (GstMessage* message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR)) {
    GError* error = nullptr;
    gchar* details = nullptr;
    gst_message_parse_error(message, &error, &details);
    words = std::string(error->message) + " (" + (details ? details : "") + ")";
    g_clear_error(&error);
    g_free(details);
    gst_message_unref(message);
  }
  gst_object_unref(bus);
  return words;
}

std::string WebrtcbinClient::connection_state() const {
  return "connection " + std::to_string(enum_property(webrtc_, "connection-state")) + ", ICE " + std::to_string(enum_property(webrtc_, "ice-connection-state"));
}

}  // namespace amphi::interop
