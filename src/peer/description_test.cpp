// Offers and answers as other stacks write them: what is taken, what is refused and why, and what our descriptions say.
#include "peer/description.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace amphi::peer {
namespace {

const std::string kTransport =
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n";
const std::string kVideo = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n";
const std::string kAudio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n";
const std::string kHead = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

std::string mid(const std::string& name) { return "a=mid:" + name + "\r\n"; }
std::string bundle(const std::string& mids) { return "a=group:BUNDLE " + mids + "\r\n"; }

LocalTransport local() {
  LocalTransport local;
  local.credentials = {"ufrag", "password"};
  local.fingerprint = {"sha-256", "AA"};
  local.session_id = "7";
  return local;
}

/// "0 VP8", or "0 unsupported: reason"; lines are joined by "|".
std::string outcome(const std::string& offer) {
  const auto read = read_offer(offer);
  if (!read) return std::string(wire_name(read.error().code)) + ": " + read.error().message;
  std::string all;
  for (const auto& line : read->lines) {
    all += (all.empty() ? "" : "|") + line.mid + " ";
    if (line.refused) all += std::string(wire_name(line.refused->code)) + ": " + line.refused->message;
    else if (!line.active) all += "inactive";
    for (const auto& format : line.formats)
      if (line.active) all += std::string(&format == &line.formats.front() ? "" : ",") + std::string(text(format.codec.name));
  }
  return all;
}

/// The lines of a description that begin with `prefix`, joined.
std::string lines_of(const std::string& sdp, const std::string& prefix) {
  std::string found;
  for (std::size_t at = 0; at < sdp.size();) {
    const auto end = sdp.find("\r\n", at);
    const std::string line = sdp.substr(at, end - at);
    if (line.starts_with(prefix)) found += (found.empty() ? "" : "|") + line;
    at = end + 2;
  }
  return found;
}

std::string video_of(const std::string& types, const std::string& attributes, const std::string& direction = "sendonly") {
  return kHead + "m=video 9 UDP/TLS/RTP/SAVPF " + types + "\r\na=rtcp-mux\r\na=" + direction + "\r\na=mid:0\r\n" + kTransport + attributes;
}

TEST(Description, an_offer_names_at_most_16_sources_of_a_line_and_takes_none_from_the_next_line) {
  std::string many;
  for (int i = 1; i <= 200; ++i) many += "a=ssrc:" + std::to_string(i) + " cname:x\r\n";
  const auto read = read_offer(kHead + bundle("0 1") + kVideo + kTransport + mid("0") + many + kAudio + kTransport + mid("1") + "a=ssrc:777 cname:x\r\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->lines.size(), 2u);
  EXPECT_EQ(read->lines[0].sources.size(), 16u);
  ASSERT_EQ(read->lines[1].sources.size(), 1u);
  EXPECT_EQ(read->lines[1].sources[0].ssrc, 777u);
}

TEST(Description, each_m_line_of_an_offer_is_taken_or_refused_alone) {
  const std::string one = kHead + kVideo + kTransport + mid("0");
  const std::string two = kHead + bundle("0 1") + kVideo + kTransport + mid("0");
  const std::string uuid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
  struct Row {
    std::string offer, expected;
  };
  const Row rows[] = {
      {one, "0 VP8"},
      {kHead + kTransport + kVideo + mid("0"), "0 VP8"},
      {kHead + kVideo + kTransport, "0 VP8"},  // no mid: named by its index
      {kHead + kVideo + kTransport + mid(uuid), uuid + " VP8"},
      {kHead + kVideo + kTransport + mid(std::string(64, 'm')), std::string(64, 'm') + " VP8"},
      {kHead + kVideo + kTransport + mid(std::string(65, 'm')), "limit_exceeded: the mid of m-line 0 has more than 64 characters"},
      {two + kAudio + mid("1"), "0 VP8|1 opus"},  // the transport of the tagged line serves the other one
      {two + kAudio + mid("0"), "invalid_argument: two m-lines share the mid 0"},
      {kHead + kVideo + kTransport + mid("0") + kAudio + kTransport + mid("1"),
       "0 VP8|1 unsupported: the m-line is not in the same a=group:BUNDLE as m-line 0: the server has one transport per offer"},
      {two + "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=rtpmap:98 t140/1000\r\n" + mid("1"),
       "0 VP8|1 unsupported: m=text is not taken: the server takes m=audio and m=video"},
      {two + "m=message 9 TCP/MSRP *\r\n" + mid("1"), "0 VP8|1 unsupported: m=message is not taken: the server takes m=audio and m=video"},
      {two + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" + mid("1"),
       "0 VP8|1 unsupported: the server has no data channels: m=application is not taken"},
      {kHead + bundle("d 0") + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" + kTransport + mid("d") + kVideo + mid("0"),
       "d unsupported: the server has no data channels: m=application is not taken|0 VP8"},
      {two + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n" + mid("1"),
       "0 VP8|1 unsupported: the m-line has no a=rtcp-mux: the server has one port for RTP and RTCP"},
      {two + "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=bundle-only\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n" + mid("1"), "0 VP8|1 opus"},
      {two + "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n" + mid("1"), "0 VP8|1 inactive"},
      {kHead + kVideo + mid("0") + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-1 AA:BB\r\n",
       "0 unsupported: a=fingerprint is sha-1 only; the server takes sha-256, sha-384 and sha-512"},
      {kHead + kVideo + mid("0") + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n",
       "0 invalid_argument: the description has no a=fingerprint: DTLS cannot be checked"},
      {kHead + kVideo + mid("0"), "0 invalid_argument: the description has no ICE credentials"},
      {kHead + kVideo + mid("0") + "a=ice-ufrag:abc\r\na=ice-pwd:short\r\na=fingerprint:sha-256 AA\r\n",
       "0 invalid_argument: ICE credentials have the wrong length (RFC 8445 5.3)"},
      {kHead, "invalid_argument: the offer has no m-line"},
      {video_of("96", "a=rtpmap:96 vp8/90000/1\r\n"), "0 VP8"},
      {video_of("96", "a=rtpmap:96 VP8/90000\r\n", "sendrecv"), "0 VP8"},
      {video_of("96", "a=rtpmap:96 VP8/90000\r\n", "inactive"), "0 inactive"},
      {video_of("96", "a=rtpmap:96 VP8/90000\r\n", "recvonly"), "0 invalid_argument: the m-line is recvonly: the m-line of a feed is sendonly"},
      {video_of("96 102 98", "a=rtpmap:98 VP9/90000\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\n"), "0 VP8,H264"},
      {video_of("98 102 96", "a=rtpmap:98 VP9/90000\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\n"), "0 H264,VP8"},
      {video_of("35 96 96", "a=rtpmap:35 VP8/90000\r\na=rtpmap:96 VP8/90000\r\n"), "0 VP8,VP8"},
      {video_of("102", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=0\r\n"), "0 H264"},
      {video_of("102", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=2\r\n"),
       "0 unsupported: the line offers H264/90000 (packetization-mode 2); the server takes VP8, H264 (packetization-mode 0 or 1) and opus/48000/2"},
      {video_of("72", "a=rtpmap:72 VP8/90000\r\n"), "0 unsupported: the line offers VP8/90000 (payload type 72 belongs to RTCP: RFC 5761 4); "
                                                    "the server takes VP8, H264 (packetization-mode 0 or 1) and opus/48000/2"},
      {video_of("49 50 45", "a=rtpmap:49 H265/90000\r\na=rtpmap:50 rtx/90000\r\na=fmtp:50 apt=49\r\na=rtpmap:45 AV1/90000\r\n"),
       "0 unsupported: the line offers H265/90000, AV1/90000; the server takes VP8, H264 (packetization-mode 0 or 1) and opus/48000/2"},
      {video_of("96", ""), "0 unsupported: the line offers no codec with a=rtpmap; the server takes VP8, H264 (packetization-mode 0 or 1) and opus/48000/2"},
  };
  for (const Row& row : rows) EXPECT_EQ(outcome(row.offer), row.expected) << row.offer;
}

TEST(Description, an_answer_keeps_the_order_of_the_offers_bundle_whose_first_line_names_the_transport) {
  const auto offer = read_offer(kHead + bundle("1 0") + kVideo + kTransport + mid("0") +
                                "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n" + kTransport + mid("1"));
  ASSERT_TRUE(offer) << offer.error().message;
  EXPECT_EQ(lines_of(write_answer(*offer, local()), "a=group"), "a=group:BUNDLE 1 0");
}

TEST(Description, an_answer_writes_the_transport_on_every_line_and_bundles_only_those_that_are_taken) {
  const auto offer = read_offer(kHead + bundle("t 0 1") + "m=text 9 UDP/TLS/RTP/SAVPF 98\r\n" + mid("t") + kVideo + kTransport + mid("0") +
                                "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n" + mid("1"));
  ASSERT_TRUE(offer) << offer.error().message;
  const std::string answer = write_answer(*offer, local());
  EXPECT_EQ(lines_of(answer, "m="), "m=text 0 UDP/TLS/RTP/SAVPF 98|m=video 9 UDP/TLS/RTP/SAVPF 96|m=audio 0 UDP/TLS/RTP/SAVPF 111");
  EXPECT_EQ(lines_of(answer, "a=group"), "a=group:BUNDLE 0");
  for (const char* attribute : {"a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"}) {
    const std::string found = lines_of(answer, attribute);
    EXPECT_EQ(std::count(found.begin(), found.end(), '|'), 2) << found;
  }
}

TEST(Description, an_offer_writes_formats_and_transport_on_lines_that_are_over) {
  NegotiatedLine open, over;
  open.mid = "0";
  open.active = true;
  open.formats = offered_formats({rtp::CodecName::vp8, 90'000, 0, ""}, false);
  over.mid = "1";
  over.rejected = true;
  over.formats = offered_formats({rtp::CodecName::vp8, 90'000, 0, ""}, false);
  const std::string offer = write_offer(local(), {open, over}, 0, false);
  EXPECT_EQ(lines_of(offer, "m="), "m=video 9 UDP/TLS/RTP/SAVPF 96 97|m=video 0 UDP/TLS/RTP/SAVPF 96 97");
  EXPECT_EQ(lines_of(offer, "a=ice-ufrag"), "a=ice-ufrag:ufrag|a=ice-ufrag:ufrag");
  EXPECT_EQ(lines_of(offer, "a=setup"), "a=setup:actpass|a=setup:actpass");
  EXPECT_EQ(lines_of(offer, "a=fingerprint"), "a=fingerprint:sha-256 AA|a=fingerprint:sha-256 AA");
  EXPECT_EQ(lines_of(offer, "a=group"), "a=group:BUNDLE 0");
}

TEST(Description, feedback_is_transport_wide_where_its_extension_is_offered_too_and_else_remb) {
  const std::string extension = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";
  struct Row {
    std::string attributes, expected;
  };
  for (const Row& row : {Row{"a=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 goog-remb\r\n" + extension, "transport-cc"},
                         Row{"a=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 goog-remb\r\n", "goog-remb"},
                         Row{"a=rtcp-fb:96 goog-remb\r\n" + extension, "goog-remb"}, Row{"a=rtcp-fb:* goog-remb\r\n", "goog-remb"}, Row{"", ""}}) {
    const auto offer = read_offer(video_of("96", "a=rtpmap:96 VP8/90000\r\n" + row.attributes));
    ASSERT_TRUE(offer);
    const std::string answer = write_answer(*offer, local());
    for (const std::string name : {"transport-cc", "goog-remb"})
      EXPECT_EQ(answer.find("a=rtcp-fb:96 " + name) != std::string::npos, name == row.expected) << row.attributes << answer;
    EXPECT_EQ(answer.find("a=extmap:3") != std::string::npos, row.expected == "transport-cc") << "the extension serves nothing else";
  }
}

TEST(Description, a_mid_is_printable_ascii) {
  for (const char* wrong : {"a\u202eb", "\u00e9", "a\x7f"}) {
    const auto read = read_offer(kHead + kVideo + kTransport + mid(wrong));
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(read.error().message.find(wrong), std::string::npos) << "it is not repeated";
  }
  EXPECT_TRUE(read_offer(kHead + kVideo + kTransport + mid("{6f9619ff-8b86-d011-b42d-00cf4fc964ff}")));
}

TEST(Description, an_answer_names_no_feedback_that_the_offer_did_not) {
  for (const std::string offered : {"", "nack", "nack pli", "ccm fir", "nack|nack pli|ccm fir", "ack rpsi"}) {
    std::string attributes = "a=rtpmap:96 VP8/90000\r\n", expected;
    for (std::size_t at = 0; at < offered.size();) {
      const auto end = std::min(offered.find('|', at), offered.size());
      const std::string line = "a=rtcp-fb:96 " + offered.substr(at, end - at);
      attributes += line + "\r\n";
      if (line.find("rpsi") == line.npos) expected += (expected.empty() ? "" : "|") + line;
      at = end + 1;
    }
    const auto offer = read_offer(video_of("96", attributes));
    ASSERT_TRUE(offer);
    EXPECT_EQ(lines_of(write_answer(*offer, local()), "a=rtcp-fb"), expected) << offered;
  }
}

TEST(Description, an_answer_keeps_every_common_codec_with_its_retransmission_and_none_of_the_senders_properties) {
  const auto offer = read_offer(video_of(
      "45 102 103 96 97 98", "a=extmap-allow-mixed\r\na=rtpmap:45 AV1/90000\r\na=rtpmap:102 H264/90000\r\na=fmtp:102 "
                             "level-asymmetry-allowed=1; packetization-mode=1;profile-level-id=640c1f;sprop-parameter-sets=Z0I=,aM4=\r\na=rtpmap:103 "
                             "RTX/90000\r\na=fmtp:103 apt=102\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
                             "a=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=45\r\n"));
  ASSERT_TRUE(offer);
  const std::string answer = write_answer(*offer, local());
  EXPECT_EQ(lines_of(answer, "m="), "m=video 9 UDP/TLS/RTP/SAVPF 102 103 96 97");
  EXPECT_EQ(lines_of(answer, "a=fmtp:102"), "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f");
  EXPECT_EQ(lines_of(answer, "a=fmtp:97"), "a=fmtp:97 apt=96");
  EXPECT_EQ(lines_of(answer, "a=extmap-allow-mixed"), "a=extmap-allow-mixed") << "two-byte elements carry mids of over 16 characters";
  EXPECT_NE(offer->lines[0].format->codec.fmtp.find("sprop-parameter-sets=Z0I=,aM4="), std::string::npos) << "the recorder reads them";
}

TEST(Description, an_h264_offer_lists_the_profile_of_the_stream_and_those_whose_decoders_decode_it) {
  struct Row {
    const char* published;
    std::vector<std::string> offered;
  };
  for (const Row& row : {Row{"packetization-mode=1;profile-level-id=42e01f", {"102 42e01f 1"}}, Row{"packetization-mode=1", {"102 42e01f 1"}},
                         Row{"packetization-mode=1;profile-level-id=zz", {"102 42e01f 1"}},
                         Row{"packetization-mode=1;profile-level-id=42001F", {"102 42001f 1", "104 42e01f 1"}},
                         Row{"packetization-mode=1;profile-level-id=42c028", {"102 42c028 1"}},
                         Row{"packetization-mode=1;profile-level-id=4d0028", {"102 4d0028 1", "104 640028 1", "106 640c28 1", "108 f40028 1"}},
                         Row{"packetization-mode=1;profile-level-id=640028", {"102 640028 1", "104 640c28 1", "106 f40028 1"}},
                         Row{"packetization-mode=1;profile-level-id=640c1f", {"102 640c1f 1", "104 64001f 1", "106 f4001f 1"}},
                         Row{"packetization-mode=1;profile-level-id=6e0028", {"102 6e0028 1"}},
                         Row{"profile-level-id=4d0028", {"102 4d0028 1", "104 640028 1", "106 640c28 1", "108 f40028 1", "98 4d0028 0"}},
                         Row{"profile-level-id=42e01f", {"102 42e01f 1", "98 42e01f 0"}}}) {
    std::vector<std::string> offered;
    for (const Format& format : offered_formats({rtp::CodecName::h264, 90'000, 0, row.published}, false)) {
      EXPECT_EQ(format.rtx_payload_type, format.payload_type + 1);
      EXPECT_EQ(sdp::fmtp_value(format.codec.fmtp, "level-asymmetry-allowed"), "1");
      offered.push_back(std::to_string(format.payload_type) + " " + sdp::fmtp_value(format.codec.fmtp, "profile-level-id") + " " +
                        sdp::fmtp_value(format.codec.fmtp, "packetization-mode"));
    }
    EXPECT_EQ(offered, row.offered) << row.published;
  }
}

TEST(Description, an_answer_takes_the_payload_type_that_it_can_decode_or_declines_the_line) {
  NegotiatedLine offered;
  offered.mid = "0";
  offered.active = true;
  offered.formats = offered_formats({rtp::CodecName::h264, 90'000, 0, "packetization-mode=1;profile-level-id=640028"}, false);
  offered.format = offered.formats.front();
  struct Row {
    const char* types;
    std::string attributes;
    int payload_type;  // 0: declined
  };
  for (const Row& row : {Row{"102 103", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=640028\r\n", 102},
                         Row{"106", "a=rtpmap:106 H264/90000\r\na=fmtp:106 packetization-mode=1;profile-level-id=f4001f\r\n", 106},
                         Row{"104 106", "a=rtpmap:106 H264/90000\r\na=rtpmap:104 h264/90000\r\n", 104},
                         Row{"100", "a=rtpmap:100 H264/90000\r\na=fmtp:100 packetization-mode=1\r\n", 100},
                         Row{"102", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=0\r\n", 0},
                         Row{"102", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n", 0},
                         Row{"102", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=4D0028\r\n", 0},
                         Row{"102", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=640c1f\r\n", 102},
                         Row{"96", "a=rtpmap:96 VP8/90000\r\n", 0}, Row{"102", "", 0}}) {
    const auto answer = read_answer(video_of(row.types, row.attributes, "recvonly"), {offered});
    ASSERT_TRUE(answer) << answer.error().message;
    const NegotiatedLine& line = answer->lines[0];
    EXPECT_EQ(line.active, row.payload_type != 0) << row.attributes;
    EXPECT_EQ(line.declined, row.payload_type == 0) << row.attributes;
    ASSERT_TRUE(line.format) << "RTCP about a declined line reads its clock rate";
    if (row.payload_type != 0) {
      EXPECT_EQ(int{line.format->payload_type}, row.payload_type) << row.attributes;
    }
  }
}

TEST(Description, an_answer_may_reject_the_line_that_tags_the_bundle_or_all_lines) {
  NegotiatedLine first, second;
  first.mid = "0";
  second.mid = "1";
  for (NegotiatedLine* line : {&first, &second}) {
    line->active = true;
    line->formats = offered_formats({rtp::CodecName::vp8, 90'000, 0, ""}, false);
    line->format = line->formats.front();
  }
  const std::string rejected = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\n";
  const std::string taken = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtcp-mux\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n";
  struct Row {
    const char* what;
    std::string answer;
    bool is_read, first_active, second_active, has_transport;
  };
  for (const Row& row : {Row{"the tagged line", kHead + bundle("1") + rejected + mid("0") + taken + mid("1") + kTransport, true, false, true, true},
                         Row{"the tagged line, still in the group", kHead + bundle("0 1") + rejected + mid("0") + taken + mid("1") + kTransport, true, false, true, true},
                         Row{"the tagged line, without its mid", kHead + bundle("1") + rejected + taken + mid("1") + kTransport, true, false, true, true},
                         Row{"the other line", kHead + bundle("0") + taken + kTransport + mid("0") + rejected + mid("1"), true, true, false, true},
                         Row{"all", kHead + rejected + mid("0") + rejected + mid("1"), true, false, false, false},
                         Row{"all, with a transport", kHead + rejected + kTransport + mid("0") + rejected + mid("1"), true, false, false, false},
                         Row{"none, without credentials", kHead + bundle("0 1") + taken + mid("0") + taken + mid("1"), false, false, false, false},
                         Row{"one m-line too few", kHead + taken + kTransport + mid("0"), false, false, false, false}}) {
    const auto answer = read_answer(row.answer, {first, second});
    ASSERT_EQ(answer.has_value(), row.is_read) << row.what;
    if (!answer) continue;
    EXPECT_EQ(answer->lines[0].active, row.first_active) << row.what;
    EXPECT_EQ(answer->lines[1].active, row.second_active) << row.what;
    EXPECT_EQ(answer->remote.has_value(), row.has_transport) << row.what;
  }
}

}  // namespace
}  // namespace amphi::peer
