#include "outgoing_plans.h"

#include <algorithm>
#include <type_traits>

#include "gst.h"

namespace amphi::sdk {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Keyframes are asked for by those who need one; by themselves they come rarely.
constexpr int kKeyframeEvery = 3000;
// Leaves room for the extensions, SRTP's tag and RTX below the usual 1,200 bytes.
constexpr const char* kMtu = "1150";

std::string encoder(const VideoEncodingComponent& encoding) {
  const std::string bits = std::to_string(encoding.bitrate);
  const std::string gap = std::to_string(kKeyframeEvery);
  // libvpx's threads wait for each other by spinning: below Full HD one is enough, and two feeds share the cores better.
  const char* threads = encoding.width * encoding.height > 1280 * 720 ? "2" : "1";
  if (encoding.codec == VideoCodec::vp8)
    return std::string("vp8enc name=enc qos=true deadline=1 cpu-used=8 threads=") + threads +
           " lag-in-frames=0 end-usage=cbr min-quantizer=4 max-quantizer=56 "
           "undershoot=95 buffer-size=600 buffer-initial-size=400 buffer-optimal-size=500 error-resilient=default "
           "min-force-key-unit-interval=200000000 keyframe-max-dist=" + gap + " target-bitrate=" + bits +
           " ! rtpvp8pay name=pay pt=96 picture-id-mode=15-bit mtu=" + kMtu;
  const std::string payloader =
      " ! h264parse ! rtph264pay name=pay pt=96 aggregate-mode=zero-latency config-interval=-1 mtu=" + std::string(kMtu);
  if (has_element("x264enc"))
    return "x264enc name=enc qos=true tune=zerolatency speed-preset=superfast bframes=0 byte-stream=true min-force-key-unit-interval=200000000 "
           "key-int-max=" + gap + " bitrate=" + std::to_string(encoding.bitrate / 1000) +
           " ! video/x-h264,profile=constrained-baseline" + payloader;
  return "openh264enc name=enc qos=true rate-control=bitrate complexity=low gop-size=" + gap + " bitrate=" + bits +
         " ! video/x-h264,profile=constrained-baseline" + payloader;
}

const char* pattern_name(VideoInputComponentTestPattern::Pattern pattern) {
  switch (pattern) {
    case VideoInputComponentTestPattern::Pattern::smpte: return "smpte";
    case VideoInputComponentTestPattern::Pattern::ball: return "ball";
    case VideoInputComponentTestPattern::Pattern::snow: return "snow";
    case VideoInputComponentTestPattern::Pattern::black: return "black";
  }
  return "ball";
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// A live source must never be held up by a slow encoder: past 400 ms the oldest picture goes. A file waits, and leaves out what would be
// late (qos).
constexpr const char* kLiveQueue = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=400000000 leaky=downstream ! ";
constexpr const char* kQueue = "queue max-size-buffers=8 max-size-bytes=0 max-size-time=0 ! ";
constexpr const char* kLiveSink = " ! appsink name=packets sync=false async=false buffer-list=true enable-last-sample=false";
constexpr const char* kFileSink = " ! appsink name=packets sync=true qos=true buffer-list=true enable-last-sample=false";

}  // namespace

VideoPlan plan_video(const OutgoingVideoComponents& components) {
  const VideoEncodingComponent& e = components.encoding;
  const std::string size = "video/x-raw,format=I420,width=" + std::to_string(e.width) + ",height=" + std::to_string(e.height) +
                           ",framerate=" + std::to_string(e.framesPerSecond) + "/1";
  const std::string scaled = "videoconvert ! videoscale ! videorate ! " + size + ",pixel-aspect-ratio=1/1 ! ";
  VideoPlan plan;
  std::visit(Overloaded{
                 [&](const VideoInputComponentTestPattern& c) {
                   plan.description = std::string("videotestsrc name=source is-live=true motion=wavy pattern=") +
                                      pattern_name(c.pattern) + " ! " + size + " ! " + kLiveQueue + "identity name=scaled ! " +
                                      encoder(e) + kLiveSink;
                 },
                 [&](const VideoInputComponentFile& c) {
                   plan.file = c.path;
                   plan.loop = c.loop;
                   plan.description = "filesrc name=source ! decodebin name=demux ! " + scaled +
                                      kQueue + encoder(e) + kFileSink;
                 },
                 [&](const VideoInputComponentDevice& c) {
                   plan.description = "v4l2src name=source device=" + quoted(c.device) + " ! decodebin ! " + scaled + kLiveQueue +
                                      encoder(e) + kLiveSink;
                 },
                 [&](const VideoInputComponentApplication&) {
                   plan.description = "appsrc name=source is-live=true format=time max-buffers=4 max-bytes=0 block=false ! " + scaled +
                                      kLiveQueue + encoder(e) + kLiveSink;
                 },
             },
             components.input);
  return plan;
}

VideoPlan plan_audio(const AudioInputComponent& input, const AudioEncodingComponent& encoding) {
  const std::string format = "audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate=48000,channels=2 ! ";
  const std::string opus = "opusenc name=enc frame-size=20 inband-fec=true bitrate=" + std::to_string(encoding.bitrate) +
                           " ! rtpopuspay name=pay pt=96 mtu=" + kMtu;
  // 20 ms a buffer, so that sound does not come in lumps.
  const std::string test = "audiotestsrc name=source is-live=true samplesperbuffer=960 ";
  VideoPlan plan;
  std::visit(Overloaded{
                 [&](const AudioInputComponentSilence&) { plan.description = test + "wave=silence ! " + format + opus + kLiveSink; },
                 [&](const AudioInputComponentTone& c) {
                   plan.description = test + "wave=sine freq=" + std::to_string(std::clamp(c.frequency, 1.0, 20'000.0)) +
                                      " volume=" + std::to_string(std::clamp(c.volume, 0.0, 1.0)) + " ! " + format + opus + kLiveSink;
                 },
                 [&](const AudioInputComponentFile& c) {
                   plan.file = c.path;
                   plan.loop = c.loop;
                   plan.description = "filesrc name=source ! decodebin name=demux ! " + format +
                                      "queue ! " + opus + kFileSink;
                 },
                 [&](const AudioInputComponentDevice& c) {
                   plan.description = (c.device.empty() ? "autoaudiosrc name=source ! "
                                                        : "pulsesrc name=source device=" + quoted(c.device) + " ! ") +
                                      format + "queue leaky=downstream ! " + opus + kLiveSink;
                 },
             },
             input);
  return plan;
}

BitrateProperty bitrate_property(std::string_view encoder_factory) {
  if (encoder_factory == "vp8enc") return {"target-bitrate", 1};
  if (encoder_factory == "x264enc") return {"bitrate", 1000};
  return {"bitrate", 1};
}

}  // namespace amphi::sdk
