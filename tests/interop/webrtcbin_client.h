// A participant whose WebRTC is GStreamer's webrtcbin: nothing of Amphi's own code takes part in its ICE, DTLS, SRTP, RTP or
// session descriptions. Publishes one picture and one sound, or receives everything. Thread: the test's; frames are counted
// on GStreamer's own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

typedef struct _GstElement GstElement;
typedef struct _GstPad GstPad;

namespace amphi::interop {

class WebrtcbinClient {
 public:
  /// `pipeline` in gst-launch's language, with a webrtcbin of the name "w".
  explicit WebrtcbinClient(const std::string& pipeline);
  ~WebrtcbinClient();
  WebrtcbinClient(const WebrtcbinClient&) = delete;
  WebrtcbinClient& operator=(const WebrtcbinClient&) = delete;

  /// Sendonly m-lines with every candidate in them.
  std::string create_offer();
  void accept_answer(const std::string& sdp);
  /// Takes an offer, the first or a later one; the answer has every candidate in it.
  std::string accept_offer(const std::string& sdp);

  struct MediaLine {
    std::string kind, mid;
  };
  static std::vector<MediaLine> media_lines(const std::string& sdp);

  /// Decoded buffers that reached a sink: of "video" or "audio".
  int decoded(const std::string& kind) const;
  /// The size of the decoded picture, "320x240".
  std::string picture_size() const;
  /// GStreamer's own words for what went wrong; empty: nothing did.
  std::string error() const;
  std::string connection_state() const;

 private:
  std::string local_description() const;
  void set_description(const char* signal, const std::string& sdp, bool offer);
  static void on_pad_added(GstElement* webrtc, GstPad* pad, void* self);
  static void on_decoded_pad(GstElement* decoder, GstPad* pad, void* self);
  void sink_decoded(GstPad* pad);

  GstElement* pipeline_ = nullptr;
  GstElement* webrtc_ = nullptr;
  std::atomic<int> video_{0}, audio_{0};
  mutable std::mutex mutex_;  // guards the line below: written by streaming threads
  std::string picture_size_;
};

}  // namespace amphi::interop
