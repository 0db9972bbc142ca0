#include "attack_stage.h"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>

namespace amphi::end_to_end {
namespace {

using nlohmann::json;

auto peer_at(std::uint64_t seed) {
  return [seed](const Address& address) { return std::make_unique<testing::PeerNode>(peer::End::client, address, seed); };
}

/// VP8 payload descriptor and frame header (RFC 7741 4.2, 4.3), then the packet's number.
Bytes frame(std::uint32_t number, bool keyframe) {
  Bytes payload;
  for (const int byte : {0x10, keyframe ? 0x10 : 0x11, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01}) payload.push_back(static_cast<std::byte>(byte));
  for (int shift = 24; shift >= 0; shift -= 8) payload.push_back(static_cast<std::byte>(number >> shift));
  payload.resize(500);
  return payload;
}
std::uint32_t number_of(const Bytes& payload) {
  ByteReader reader(payload);
  reader.skip(11);
  return reader.u32();
}

template <class Done>
bool eventually(Done done) {
  for (int i = 0; i < 400; ++i) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

}  // namespace

std::uint64_t metric_sum(const ServerProcess& server, const std::string& name, const std::string& label) {
  const std::string text = http(server.port(), "GET", "/metrics").body;
  std::istringstream lines(text);
  std::uint64_t sum = 0;
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + "{", 0) != 0 && line.rfind(name + " ", 0) != 0) continue;
    if (line.find(label) == std::string::npos) continue;
    found = true;
    sum += std::stoull(line.substr(line.rfind(' ') + 1));
  }
  if (!found) throw std::runtime_error("no " + name + " " + label + " in /metrics");
  return sum;
}

AttackStage::AttackStage(const ServerProcess& on, const std::string& name)
    : server(on), session(name), camera_signalling(on.port(), "/v1/sessions/" + name + "/signalling"),
      good_signalling(on.port(), "/v1/sessions/" + name + "/signalling"), greedy_signalling(on.port(), "/v1/sessions/" + name + "/signalling"),
      camera(1, peer_at(1)), good(1, peer_at(2)),
      greedy(2, [](const Address& address) { return std::make_unique<testing::RawNode>(address, 3); }) {}

std::unique_ptr<RawClient> AttackStage::join(const std::string& identity, const std::string& grants) const {
  auto signalling = connect();
  signalling->send({{"type", "join"}, {"version", 1}, {"token", server.token(session, identity, grants)}});
  return signalling;
}

void AttackStage::start() {
  const auto enter = [&](RawClient& signalling, const char* identity) {
    signalling.send({{"type", "join"}, {"version", 1}, {"token", server.token(session, identity, "publish,subscribe")}});
    ASSERT_TRUE(signalling.receive_type("joined")) << identity << "\n" << server.log();
  };
  enter(camera_signalling, "camera");
  const std::string offer = camera.on_loop([&](testing::PeerNode& node, Time now) {
    line_ = node.peer.add_line({"", testing::vp8_codec(), "camera", "camera"});
    return node.peer.create_offer(now);
  });
  camera_signalling.send({{"type", "publishOffer"}, {"sdp", offer}, {"feeds", {{{"mid", "0"}, {"kind", "video"}, {"label", "camera"}}}}});
  const auto answer = camera_signalling.receive_type("publishAnswer");
  ASSERT_TRUE(answer) << server.log();
  ASSERT_TRUE(camera.on_loop([&](testing::PeerNode& node, Time now) { return node.peer.accept_answer(answer->at("sdp").get<std::string>(), now).has_value(); }));

  const auto subscribe = [&](RawClient& signalling, auto make_answer) {
    const auto offered = signalling.receive_type("subscribeOffer");
    ASSERT_TRUE(offered) << server.log();
    signalling.send({{"type", "subscribeAnswer"}, {"offerId", offered->at("offerId")}, {"sdp", make_answer(offered->at("sdp").get<std::string>())}});
  };
  enter(good_signalling, "good");
  subscribe(good_signalling, [&](const std::string& sdp) { return good.on_loop([&](testing::PeerNode& node, Time now) { return node.peer.accept_offer(sdp, now).value(); }); });
  enter(greedy_signalling, "greedy");
  subscribe(greedy_signalling, [&](const std::string& sdp) { return greedy.on_loop([&](testing::RawNode& node, Time now) { return node.answer(sdp, now); }); });
  ASSERT_TRUE(eventually([&] {
    send_packet();
    const bool good_sees = good.on_loop([](testing::PeerNode& node, Time) { return !node.received.empty(); });
    return good_sees && greedy.on_loop([](testing::RawNode& node, Time) { return node.connected() && node.packets(node.lines.at(0).ssrc) > 0; });
  })) << server.log();
}

void AttackStage::send_packet() {
  ++sent_;
  camera.on_loop([&](testing::PeerNode& node, Time now) {
    const std::size_t asked = node.count<peer::KeyframeRequested>();
    const bool keyframe = sent_ % 50 == 1 || asked > answered_;
    answered_ = asked;
    node.send(line_, sent_, sent_ * 180, frame(sent_, keyframe), now);
  });
}

bool AttackStage::good_has_all(std::uint32_t from) {
  return eventually([&] {
    send_packet();  // a loss at the end shows with the next packet
    return good.on_loop([&](testing::PeerNode& node, Time) {
      std::set<std::uint32_t> there;
      for (const auto& packet : node.received) there.insert(number_of(packet.payload));
      for (std::uint32_t number = from; number + 20 < sent_; ++number)
        if (!there.contains(number)) return false;
      return sent_ > from + 20;
    });
  });
}

std::size_t AttackStage::keyframes_asked() {
  return camera.on_loop([](testing::PeerNode& node, Time) { return node.count<peer::KeyframeRequested>(); });
}

}  // namespace amphi::end_to_end
