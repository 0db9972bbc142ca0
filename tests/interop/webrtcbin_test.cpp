// An independent WebRTC implementation (GStreamer's webrtcbin) publishes, subscribes and is recorded, against the real server
// over the documented signalling. What works here does not work because both ends share a mistake.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include "raw_client.h"
#include "server_process.h"
#include "webrtcbin_client.h"

namespace amphi::interop {
namespace {

using end_to_end::RawClient;
using end_to_end::ServerProcess;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kMediaAddress = "10.99.0.1";

/// In the namespace that main.cpp made: an address that libnice takes, which it does not of a loopback interface.
class Interface : public ::testing::Environment {
 public:
  void SetUp() override {
    const std::string make = std::string("ip link add amphi0 type veth peer name amphi1 && ip addr add ") + kMediaAddress +
                             "/24 dev amphi0 && ip link set amphi0 up && ip link set amphi1 up";
    ASSERT_EQ(std::system(make.c_str()), 0) << "cannot make a network interface (run as root)";
    setenv("AMPHI_REAL_SERVER", AMPHI_REAL_SERVER_BINARY, 1);
    setenv("AMPHI_MEDIA_ADDRESS", kMediaAddress, 1);
  }
};
const auto* const kInterface = ::testing::AddGlobalTestEnvironment(new Interface);

const std::string kAudio =
    "audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=97 ! "
    "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload=97 ! w. ";
const std::string kPicture = "webrtcbin name=w bundle-policy=max-bundle videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! ";
const std::string kReceiver = "webrtcbin name=w bundle-policy=max-bundle";

struct Codec {
  const char* name;
  std::string video;
};
const Codec kVp8{"VP8", "vp8enc deadline=1 keyframe-max-dist=300 target-bitrate=500000 ! rtpvp8pay pt=96 picture-id-mode=15-bit ! "
                        "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96 ! w. "};
const Codec kH264{"H264", "x264enc tune=zerolatency speed-preset=ultrafast bframes=0 key-int-max=300 bitrate=500 ! "
                          "video/x-h264,profile=constrained-baseline ! rtph264pay pt=96 config-interval=-1 aggregate-mode=zero-latency ! "
                          "application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,payload=96,packetization-mode=(string)1 ! w. "};

/// A webrtcbin and its signalling.
struct Participant {
  Participant(const ServerProcess& server, const std::string& identity, const std::string& pipeline)
      : token(server.token("theatre", identity)), webrtc(pipeline), signalling(server.port(), "/v1/sessions/theatre/signalling") {
    signalling.send({{"type", "join"}, {"version", 1}, {"token", token}, {"client", "webrtcbin"}});
    const auto joined = signalling.receive_type("joined");
    if (!joined) throw std::runtime_error("not joined");
    id = joined->at("participantId");
  }
  void publish() {
    const std::string offer = webrtc.create_offer();
    json declared = json::array();
    for (const auto& line : WebrtcbinClient::media_lines(offer)) declared.push_back({{"mid", line.mid}, {"kind", line.kind}, {"label", line.kind}});
    signalling.send({{"type", "publishOffer"}, {"sdp", offer}, {"feeds", declared}});
    const auto answer = signalling.receive_type("publishAnswer");
    ASSERT_TRUE(answer) << "no answer to\n" << offer;
    EXPECT_EQ(answer->at("feeds").size(), 2u);
    webrtc.accept_answer(answer->at("sdp"));
  }
  /// Answers the next offer of the server; each names all feeds, but they may come one by one or together.
  void subscribe() {
    const auto offer = signalling.receive_type("subscribeOffer");
    ASSERT_TRUE(offer) << "no offer";
    signalling.send({{"type", "subscribeAnswer"}, {"offerId", offer->at("offerId")}, {"sdp", webrtc.accept_offer(offer->at("sdp"))}});
    feeds = offer->at("feeds").size();
  }
  std::string token, id;
  WebrtcbinClient webrtc;
  RawClient signalling;
  std::size_t feeds = 0;
};

/// Waits while every connection is kept alive.
template <class Done>
bool wait(std::vector<RawClient*> connections, std::chrono::milliseconds limit, Done done) {
  const auto until = std::chrono::steady_clock::now() + limit;
  for (int turn = 0; !done(); ++turn) {
    if (std::chrono::steady_clock::now() > until) return false;
    if (turn % 40 == 0)
      for (auto* connection : connections) connection->send({{"type", "ping"}});
    std::this_thread::sleep_for(50ms);
  }
  return true;
}

void expect_decoded(const ServerProcess& server, Participant& from, Participant& at) {
  EXPECT_TRUE(wait({&from.signalling, &at.signalling}, 20s, [&] { return at.webrtc.decoded("video") > 30 && at.webrtc.decoded("audio") > 30; }))
      << at.webrtc.decoded("video") << " pictures and " << at.webrtc.decoded("audio") << " pieces of sound; sender: " << from.webrtc.connection_state()
      << "; receiver: " << at.webrtc.connection_state() << "\n" << server.log();
  EXPECT_EQ(at.webrtc.picture_size(), "320x240");
  EXPECT_EQ(from.webrtc.error(), "");
  EXPECT_EQ(at.webrtc.error(), "");
}

void record(const ServerProcess& server, Participant& publisher, Participant& subscriber, std::filesystem::path& recording) {
  RawClient services(server.port(), "/v1/sessions/theatre/services");
  services.send({{"type", "hello"}, {"version", 1}, {"token", publisher.token}, {"participantId", publisher.id}});
  ASSERT_TRUE(services.receive_type("welcome"));
  std::vector<RawClient*> all{&services, &publisher.signalling, &subscriber.signalling};
  for (const bool on : {true, false}) {
    services.send({{"type", "recording.request"}, {"requestId", on ? "start" : "stop"}, {"on", on}});
    for (std::optional<json> message; !message || message->at("type") != "recording.response";) {
      message = services.receive();
      ASSERT_TRUE(message);
      if (message->at("type") == "recording.state" && message->at("on")) recording = server.recordings() / "theatre" / message->at("recordingId").get<std::string>();
      if (message->at("type") == "recording.response") {
        ASSERT_TRUE(message->at("ok")) << *message;
      }
    }
    if (on) wait(all, 4s, [] { return false; });
  }
  EXPECT_EQ(end_to_end::http(server.port(), "GET", "/v1/sessions/theatre/recordings", publisher.token).status, 200);
}

/// Frames that lie less than 10 ms after the one before: the sender's timestamps are 33 ms apart.
int crowded_frames(const std::string& file) {
  std::istringstream times(end_to_end::run_command({"ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", file}).out);
  int crowded = 0;
  double last = -1, at = 0;
  for (std::string line; std::getline(times, line); last = at) {
    at = std::atof(line.c_str());
    crowded += last >= 0 && at - last < 0.010;
  }
  return crowded;
}

void expect_clean_files(const std::filesystem::path& folder, const std::string& codec) {
  const json manifest = json::parse(std::ifstream(folder / "manifest.json"));
  EXPECT_EQ(manifest.at("state"), "complete") << manifest.dump(2);
  ASSERT_EQ(manifest.at("tracks").size(), 2u) << manifest.dump(2);
  std::set<std::string> codecs;
  for (const auto& track : manifest.at("tracks")) {
    const std::string file = folder / track.at("path").get<std::string>();
    SCOPED_TRACE(track.dump(2));
    // In the file's own time base: at 1/30 s FFmpeg complains of frames that a slewed clock puts a little closer together.
    const auto decoded = end_to_end::run_command({"ffmpeg", "-v", "warning", "-xerror", "-i", file, "-enc_time_base", "-1", "-f", "null", "-"});
    EXPECT_EQ(decoded.status, 0);
    EXPECT_EQ(decoded.out, "") << "FFmpeg complains";
    if (track.at("kind") == "video") {
      EXPECT_LE(crowded_frames(file), 2) << "frames of 30 a second keep their distance";
    }
    const auto counted = end_to_end::run_command({"ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", file});
    const auto comma = counted.out.find(',');
    codecs.insert(counted.out.substr(0, comma));
    const int frames = std::atoi(counted.out.c_str() + comma + 1);
    EXPECT_GT(frames, 80) << "of 4 s: " << counted.out;
    EXPECT_EQ(frames, track.at("frames").get<int>());
  }
  EXPECT_EQ(codecs, (std::set<std::string>{"opus", codec}));
}

void publish_subscribe_record(const Codec& codec, const std::string& ffmpeg_name) {
  ServerProcess server;
  Participant publisher(server, "surgeon", kPicture + codec.video + kAudio);
  Participant subscriber(server, "student", kReceiver);
  ASSERT_NO_FATAL_FAILURE(publisher.publish());
  while (subscriber.feeds < 2) ASSERT_NO_FATAL_FAILURE(subscriber.subscribe()) << server.log();
  expect_decoded(server, publisher, subscriber);
  std::filesystem::path recording;
  ASSERT_NO_FATAL_FAILURE(record(server, publisher, subscriber, recording)) << server.log();
  ASSERT_NO_FATAL_FAILURE(expect_clean_files(recording, ffmpeg_name)) << server.log();
  EXPECT_EQ(server.stop(), 0) << server.log();
}

TEST(Webrtcbin, publishes_vp8_that_another_decodes_and_a_recording_keeps) { publish_subscribe_record(kVp8, "vp8"); }

TEST(Webrtcbin, publishes_h264_that_another_decodes_and_a_recording_keeps) { publish_subscribe_record(kH264, "h264"); }

TEST(Webrtcbin, takes_a_second_publisher_in_a_later_offer) {
  ServerProcess server;
  Participant surgeon(server, "surgeon", kPicture + kVp8.video + kAudio);
  Participant student(server, "student", kReceiver);
  ASSERT_NO_FATAL_FAILURE(surgeon.publish());
  while (student.feeds < 2) ASSERT_NO_FATAL_FAILURE(student.subscribe());
  expect_decoded(server, surgeon, student);

  Participant assistant(server, "assistant", kPicture + kH264.video + kAudio);
  ASSERT_NO_FATAL_FAILURE(assistant.publish());
  while (student.feeds < 4) ASSERT_NO_FATAL_FAILURE(student.subscribe());
  const int before = student.webrtc.decoded("audio");
  EXPECT_TRUE(wait({&surgeon.signalling, &student.signalling, &assistant.signalling}, 20s, [&] { return student.webrtc.decoded("audio") > before + 250; }))
      << "two sounds of 50 a second give 250 pieces in less than 5 s";
  EXPECT_EQ(student.webrtc.error(), "");
}

}  // namespace
}  // namespace amphi::interop
