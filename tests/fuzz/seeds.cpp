// Writes the fuzz targets' seed corpora: fuzz_seeds FOLDER makes FOLDER/TARGET/N. What Amphi itself writes is where the
// interesting bytes are; the services' seeds are the protocol's own examples.
#include <iostream>
#include <nlohmann/json.hpp>

#include "rtp/packet.h"
#include "rtp/rtcp.h"
#include "sdp/samples_test.h"
#include "sdp/session_description.h"
#include "stun/message.h"
#include "testing/peer/peer_node.h"
#include "tests/fuzz/seeds.h"

using namespace amphi;
using fuzz::Seeds;

namespace {

void put(Bytes& out, ByteView data) { out.insert(out.end(), data.begin(), data.end()); }
void put(Bytes& out, std::initializer_list<int> values) {
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
}
/// As fuzz::Input reads its pieces: a length in units of `unit`, padded with zeros.
void put_piece(Bytes& out, Bytes data, std::size_t unit) {
  data.resize((data.size() + unit - 1) / unit * unit);
  put(out, {static_cast<int>(data.size() / unit)});
  put(out, data);
}
Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  put(out, values);
  return out;
}

Bytes rtp_packet(const rtp::ExtensionIds& ids, std::uint8_t payload_type, std::uint32_t ssrc, ByteView payload) {
  std::array<std::byte, 256> header;
  const std::size_t size = rtp::write_rtp_header(header, {true, payload_type, 65'535, 90'000, ssrc}, ids, {"0", "hi", "", 7});
  Bytes out = to_bytes(ByteView(header).first(size));
  put(out, payload);
  return out;
}

const Bytes kVp8Key = bytes({0x90, 0x80, 0x81, 0x02, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 1, 2, 3, 4});
const Bytes kVp8Delta = bytes({0x90, 0x80, 0x81, 0x03, 0x11, 0x02, 0x00, 1, 2, 3});
const Bytes kSps = bytes({0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xec, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc6, 0x0c, 0xa8});
const Bytes kPps = bytes({0x68, 0xce, 0x3c, 0x80});
const Bytes kFragmentStart = bytes({0x7c, 0x85, 0x88, 0x84, 1, 2}), kFragmentEnd = bytes({0x7c, 0x45, 3, 4});

Bytes aggregate() {
  Bytes out = bytes({0x78, 0, static_cast<int>(kSps.size())});
  put(out, kSps);
  put(out, {0, 4});
  put(out, kPps);
  return out;
}

std::vector<Bytes> rtcp_packets() {
  const std::vector<rtp::ReportBlock> blocks{{1, 2, -3, 65'536, 5, 6, 7}};
  const rtp::TransportFeedback feedback{1, 2, 3, {{65'534, 1000}, {65'535, std::nullopt}, {0, 1003}, {1, 9000}, {2, 8000}}};
  const std::vector<rtp::RtcpPacket> all{rtp::SenderReport{1, {77ULL << 32}, 90'000, 5, 6, blocks}, rtp::ReceiverReport{1, blocks},
      rtp::SourceDescription{1, "cname"}, rtp::Bye{{1, 2}}, rtp::Nack{1, 2, {7, 8, 24, 65'000}}, rtp::PictureLoss{1, 2},
      rtp::FullIntraRequest{1, 2, 3}, feedback};
  std::vector<Bytes> out;
  Bytes compound;
  for (const auto& packet : all) {
    rtp::append_rtcp(out.emplace_back(), packet);
    rtp::append_rtcp(compound, packet);
  }
  out.push_back(compound);
  return out;
}

std::vector<Bytes> stun_messages() {
  stun::Message request;
  request.username = "abcd:efgh";
  request.priority = 1'845'501'695;
  request.use_candidate = true;
  request.ice_controlling = 42;
  stun::Message success, six, conflict, indication;
  success.message_class = six.message_class = stun::Class::success;
  success.mapped = Address::v4(192, 0, 2, 1, 5000);
  six.mapped = Address::parse("2001:db8::1", 9);
  conflict.message_class = stun::Class::error;
  conflict.ice_controlled = 7;
  conflict.error_code = 487;
  indication.message_class = stun::Class::indication;
  return {stun::write(request, "a password of the peer's"), stun::write(success, "a password of the peer's"), stun::write(six, ""),
          stun::write(conflict, ""), stun::write(indication, "")};
}

void add_media(Seeds& seeds) {
  const rtp::ExtensionIds ids{2, 3, 4, 5, 6, 7}, wide{101, 102, 103, 104, 105, 106};
  for (const auto& [first, negotiated] : {std::pair{1, ids}, {100, wide}}) {
    Bytes seed = bytes({first});
    put(seed, rtp_packet(negotiated, 96, 7, kVp8Key));
    seeds.add("rtp", seed);
  }
  for (const auto& packet : rtcp_packets()) seeds.add("rtcp", packet);
  for (const auto& message : stun_messages()) seeds.add("stun", message);
  Bytes payloads;
  for (const auto& [what, payload] : {std::pair{0, kVp8Key}, {0, kVp8Delta}, {1, kSps}, {3, kSps}, {3, aggregate()}, {4, kFragmentStart}, {4, kFragmentEnd}}) {
    put(payloads, {what});
    put_piece(payloads, payload, 1);
  }
  seeds.add("payloads", payloads);

  for (const int codec : {0, 1, 2}) {
    Bytes seed = bytes({codec | 0x80, 4, 'L', 'i', 'v', 0xff});
    const std::vector<Bytes> media = codec == 0 ? std::vector{kVp8Key, kVp8Delta, kVp8Delta} : std::vector{aggregate(), kFragmentStart, kFragmentEnd, kSps};
    for (const auto& payload : media) {
      put(seed, {0xa4});
      put_piece(seed, payload, 8);
      put(seed, {0xac});
      put_piece(seed, payload, 8);
      put(seed, {0, 33});
    }
    put(seed, {2, 1, 0, 9, 0, 0, 1, 3, 3, 2, 0, 50, 3, 4});
    seeds.add("recorder", seed);
  }
}

/// With the ids and payload types that a Peer's own offer has.
void add_peer(Seeds& seeds) {
  SeededRandom random(1);
  peer::Peer peer({peer::End::client, {Address::v4(10, 0, 0, 2, 5000)}, testing::shared_certificate(), "client"}, random);
  peer.add_line({"", testing::vp8_codec(), "par_1", "fd_1"});
  peer.add_line({"", testing::h264_codec(), "par_1", "fd_2"});
  peer.add_line({"", testing::opus_codec(), "par_1", "fd_3"});
  const std::string offer = peer.create_offer(Time{1h});
  const auto description = sdp::parse(offer).value();
  rtp::ExtensionIds ids;
  for (const auto& extension : description.media[0].extensions) {
    if (extension.uri.find("sdes:mid") != std::string::npos) ids.mid = extension.id;
    if (extension.uri.find("transport-wide") != std::string::npos) ids.transport_seq = extension.id;
  }
  for (const int mode : {0, 1, 2}) {
    Bytes seed = bytes({mode, 5, 13, 3, 50});
    for (const auto& media : description.media)
      for (const auto& format : media.formats) {
        put(seed, {6});
        put_piece(seed, rtp_packet(ids, format.payload_type, media.ssrcs.empty() ? 1 : media.ssrcs[0], kVp8Key), 8);
      }
    for (const auto& packet : rtcp_packets()) {
      put(seed, {2});
      put_piece(seed, packet, 1);
    }
    for (const auto& message : stun_messages()) {
      put(seed, {1});
      put_piece(seed, message, 1);
    }
    put(seed, {4, 20, 0, 2, 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3});
    seeds.add("peer", seed);
  }
  const std::string samples[] = {offer, std::string(sdp::samples::kChromium), std::string(sdp::samples::kFirefox), std::string(sdp::samples::kGstreamer)};
  for (const auto& sample : samples) {
    seeds.add("sdp", sample);
    seeds.add("negotiation", sample + "\n---\n" + offer);
  }
  SeededRandom other_random(2);
  peer::Peer other({peer::End::client, {Address::v4(10, 0, 0, 2, 5000)}, testing::shared_certificate(), "client"}, other_random);
  seeds.add("negotiation", other.accept_offer(offer, Time{1h}).value());
  seeds.add("sdp", std::string("candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"));
}

void add_texts(Seeds& seeds) {
  for (const char* target : {"services_server", "services_client"}) seeds.add_examples(target, "protocol/services");
  seeds.add("services_server", std::string("\n{\"type\":\"recording.request\",\"requestId\":\"r1\",\"on\":true}\n!s\n!Z\n\n"
                                           "{\"type\":\"recording.request\",\"requestId\":\"r2\",\"on\":false}\n!f\n!x\n"));
  seeds.add("services_server", std::string("\n{\"type\":\"recording.request\",\"requestId\":\"r1\",\"on\":true}\n!s\n!i\n"
                                           "{\"type\":\"recording.request\",\"requestId\":\"r2\",\"on\":false}\n!f\n!h\n!q\n!g\n!s\n"));
  seeds.add("services_client", std::string("{\"type\":\"welcome\",\"version\":1,\"sessionId\":\"ses_1\",\"services\":[\"recording\"],\"heartbeatMs\":1000}\n!1\n"
                                           "{\"type\":\"recording.state\",\"revision\":2,\"on\":true,\"phase\":\"recording\",\"recordingId\":\"rec_1\",\"totalMs\":5}\n"
                                           "{\"type\":\"beat\",\"revision\":2,\"totalMs\":1005}\n!c\n!Z\n!o\n!0\n!x\n"));
}

}  // namespace

void Seeds::add_examples(const std::string& target, const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(AMPHI_SOURCE_DIR) / folder)) {
    if (entry.path().string().find(".examples.json") == std::string::npos) continue;
    const auto examples = nlohmann::json::parse(std::ifstream(entry.path()));
    std::string lines;
    for (const char* kind : {"valid", "invalid"})
      for (const auto& example : examples.value(kind, nlohmann::json::array())) lines += example.dump() + "\n";
    add(target, lines);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_seeds FOLDER" << std::endl;
    return 2;
  }
  Seeds seeds{std::filesystem::path(argv[1])};
  add_media(seeds);
  add_peer(seeds);
  add_texts(seeds);
  fuzz::add_recording(seeds);
  fuzz::add_session(seeds);
  fuzz::add_server(seeds);
  return 0;
}
