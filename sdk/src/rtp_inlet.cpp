#include "rtp_inlet.h"

namespace amphi::sdk {
namespace {

constexpr std::uint8_t kPayloadType = 96;
constexpr std::uint32_t kSsrc = 0x616d7068;  // whatever: one stream per inlet

}  // namespace

std::string RtpInlet::description(rtp::CodecName codec) {
  std::string caps = "application/x-rtp,media=(string)" + std::string(codec == rtp::CodecName::opus ? "audio" : "video") +
                     ",payload=(int)96,encoding-name=(string)";
  std::string depayloader;
  switch (codec) {
    case rtp::CodecName::opus:
      caps += "OPUS,clock-rate=(int)48000,encoding-params=(string)2";
      depayloader = "rtpopusdepay name=depay";
      break;
    case rtp::CodecName::vp8:
      caps += "VP8,clock-rate=(int)90000";
      depayloader = "rtpvp8depay name=depay request-keyframe=true wait-for-keyframe=true";
      break;
    case rtp::CodecName::h264:
      caps += "H264,clock-rate=(int)90000";
      depayloader = "rtph264depay name=depay request-keyframe=true wait-for-keyframe=true";
      break;
  }
  return "appsrc name=in is-live=true format=time do-timestamp=true block=false max-bytes=8000000 leaky-type=downstream caps=\"" + caps +
         "\" ! rtpjitterbuffer name=jitter do-lost=true latency=" + std::to_string(kJitterLatencyMs) + " ! " + depayloader;
}

void RtpInlet::attach(GstPtr<GstElement> appsrc, GstPtr<GstElement> jitter_buffer) {
  const GstPtr<GstPad> pad(gst_element_get_static_pad(appsrc.get(), "src"));
  gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, &RtpInlet::on_upstream_event, this, nullptr);
  std::lock_guard lock(mutex_);
  g_object_set(jitter_buffer.get(), "ts-offset", static_cast<gint64>(delay_.count()), nullptr);
  appsrc_ = std::move(appsrc);
  jitter_buffer_ = std::move(jitter_buffer);
}

void RtpInlet::detach() {
  std::lock_guard lock(mutex_);
  appsrc_.reset();
  jitter_buffer_.reset();
}

void RtpInlet::push(const peer::ReceivedRtp& packet) {
  std::lock_guard lock(mutex_);
  if (appsrc_ == nullptr) return;
  rtp::RtpHeader header = packet.header;
  header.payload_type = kPayloadType;
  header.ssrc = kSsrc;
  header.seq = static_cast<rtp::WireSeq>(packet.seq);
  std::array<std::byte, 64> head;
  const std::size_t head_size = rtp::write_rtp_header(head, header, {}, {});
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, head_size + packet.payload.size(), nullptr);
  gst_buffer_fill(buffer, 0, head.data(), head_size);
  gst_buffer_fill(buffer, head_size, packet.payload.data(), packet.payload.size());
  gst_app_src_push_buffer(GST_APP_SRC(appsrc_.get()), buffer);
}

void RtpInlet::hold(Duration delay) {
  std::lock_guard lock(mutex_);
  delay_ = delay;
  if (jitter_buffer_ != nullptr) g_object_set(jitter_buffer_.get(), "ts-offset", static_cast<gint64>(delay.count()), nullptr);
}

GstPadProbeReturn RtpInlet::on_upstream_event(GstPad*, GstPadProbeInfo* info, gpointer user) {
  auto& self = *static_cast<RtpInlet*>(user);
  if (gst_video_event_is_force_key_unit(GST_PAD_PROBE_INFO_EVENT(info))) self.keyframe_wanted_();
  return GST_PAD_PROBE_OK;
}

}  // namespace amphi::sdk
