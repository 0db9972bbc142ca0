// Session descriptions: what browsers and GStreamer write is understood, and what is written is read back the same.
#include "sdp/session_description.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "sdp/samples_test.h"

namespace amphi::sdp {
namespace {

const std::string kHead = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

SessionDescription parsed(std::string_view text) {
  auto result = parse(text);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *result : SessionDescription{};
}

Media video(std::string_view attributes) {
  SessionDescription d = parsed(kHead + "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n" + std::string(attributes));
  return d.media.empty() ? Media{} : d.media[0];
}

}  // namespace

TEST(SdpParse, understands_an_offer_of_chromium) {
  const SessionDescription d = parsed(samples::kChromium);
  EXPECT_EQ(d.session_id, "4611731400430051336");
  EXPECT_EQ(d.version, 2u);
  EXPECT_FALSE(d.ice_lite);
  EXPECT_EQ(d.bundle, (std::vector<std::string>{"0", "1", "2"}));
  ASSERT_EQ(d.media.size(), 3u);

  const Media& audio = d.media[0];
  EXPECT_EQ(audio.kind, MediaKind::audio);
  EXPECT_EQ(audio.port, 54321);
  ASSERT_EQ(audio.formats.size(), 8u);
  EXPECT_EQ(audio.formats[0], (PayloadFormat{111, "opus", 48000, 2, "minptime=10;useinbandfec=1", {"transport-cc"}}));
  EXPECT_EQ(audio.formats[1].fmtp, "111/111");
  ASSERT_EQ(audio.candidates.size(), 4u) << "component 2 and nonsense are left out";
  EXPECT_EQ(audio.candidates[0], (Candidate{"1467250027", "udp", 2122260223, "192.0.2.10", 54321, "host", ""}));
  EXPECT_EQ(audio.candidates[1].tcp_type, "active");
  EXPECT_EQ(audio.candidates[2].type, "srflx");
  EXPECT_EQ(audio.candidates[3].address, "6f1d0c52-aaaa-4bbb-8ccc-0123456789ab.local");
  EXPECT_EQ(audio.ice_ufrag, "4ZcD");
  EXPECT_EQ(audio.ice_pwd, "2/1muCWoOi3uLifh0NuRHlob");
  EXPECT_EQ(audio.fingerprint_algorithm, "sha-256");
  EXPECT_EQ(audio.setup, Setup::actpass);
  ASSERT_EQ(audio.extensions.size(), 4u);
  EXPECT_EQ(audio.extensions[3], (Extension{4, "urn:ietf:params:rtp-hdrext:sdes:mid"}));
  EXPECT_EQ(audio.track_id, "1d3f2f5a-0000-4000-8000-aaaaaaaaaaaa");
  EXPECT_EQ(audio.ssrcs, std::vector<std::uint32_t>{3735928559});
  EXPECT_EQ(audio.cname, "Uk6Bq0Yp4hlmq1nE");
  EXPECT_TRUE(audio.rtcp_mux && audio.rtcp_rsize);

  const Media& camera = d.media[1];
  EXPECT_EQ(camera.direction, Direction::sendonly);
  EXPECT_EQ(camera.stream_id, "") << "a msid of - names no stream";
  EXPECT_EQ(camera.track_id, "2b2b2b2b-0000-4000-8000-bbbbbbbbbbbb");
  ASSERT_EQ(camera.formats.size(), 4u);
  EXPECT_EQ(camera.formats[0].feedback,
            (std::vector<std::string>{"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"}));
  EXPECT_EQ(camera.formats[1].fmtp_value("apt"), "96");
  EXPECT_EQ(camera.formats[2].fmtp_value("profile-level-id"), "42001f");
  EXPECT_EQ(camera.rids, (std::vector<Rid>{{"h", true}, {"m", true}, {"l", true}}));
  EXPECT_EQ(camera.simulcast, "send h;m;l");

  EXPECT_EQ(d.media[2].kind, MediaKind::application);
  EXPECT_EQ(d.media[2].protocol, "UDP/DTLS/SCTP");
  EXPECT_EQ(d.media[2].mid, "2");
}

TEST(SdpParse, understands_an_offer_of_firefox) {
  const SessionDescription d = parsed(samples::kFirefox);
  ASSERT_EQ(d.media.size(), 2u);
  const std::string print =
      "6A:7C:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F";
  for (const Media& media : d.media) {
    EXPECT_EQ(media.fingerprint_values, std::vector<std::string>{print}) << "the session's, in upper case";
    EXPECT_EQ(media.ice_ufrag, "0f1e2d3c") << "the bundle's where the m-line has none";
    EXPECT_EQ(media.ice_pwd, "9d1e2f3c4b5a69788796a5b4c3d2e1f0");
    EXPECT_EQ(media.setup, Setup::actpass);
    EXPECT_EQ(media.direction, Direction::sendonly);
    EXPECT_FALSE(media.rejected());
  }
  EXPECT_EQ(d.media[0].formats[0].fmtp_value("stereo"), "1") << "an fmtp before its rtpmap";
  EXPECT_EQ(d.media[0].formats[1].channels, 1);
  EXPECT_EQ(d.media[0].extensions[1].id, 2) << "with a direction";
  EXPECT_EQ(d.media[1].port, 0);
  EXPECT_TRUE(d.media[1].bundle_only);
  EXPECT_EQ(d.media[1].ssrc_groups, (std::vector<SsrcGroup>{{"FID", {1111111111, 2222222222}}}));
}

TEST(SdpParse, understands_an_offer_of_webrtcbin) {
  const SessionDescription d = parsed(samples::kGstreamer);
  ASSERT_EQ(d.media.size(), 1u);
  EXPECT_EQ(d.media[0].mid, "video0");
  EXPECT_EQ(d.media[0].stream_id, "user123@host-1");
  EXPECT_EQ(d.media[0].track_id, "webrtctransceiver0");
  EXPECT_EQ(d.media[0].formats[0].feedback, (std::vector<std::string>{"nack pli", "nack"}));
}

TEST(SdpParse, session_level_values_hold_for_media_that_have_none) {
  const SessionDescription d = parsed(kHead +
                                      "a=ice-ufrag:S\na=ice-pwd:P\na=setup:passive\na=ice-lite\na=inactive\n"
                                      "a=fingerprint:SHA-512 ab:cd\n"
                                      "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n"
                                      "m=video 9 UDP/TLS/RTP/SAVPF 96\na=ice-ufrag:M\na=ice-pwd:Q\na=setup:active\n"
                                      "a=fingerprint:sha-256 01:02\na=recvonly\n");
  EXPECT_TRUE(d.ice_lite);
  ASSERT_EQ(d.media.size(), 2u);
  EXPECT_EQ(d.media[0].ice_ufrag, "S");
  EXPECT_EQ(d.media[0].setup, Setup::passive);
  EXPECT_EQ(d.media[0].direction, Direction::inactive);
  EXPECT_EQ(d.media[0].fingerprint_algorithm, "sha-512");
  EXPECT_EQ(d.media[0].fingerprint_values, std::vector<std::string>{"AB:CD"});
  EXPECT_EQ(d.media[1].ice_ufrag, "M");
  EXPECT_EQ(d.media[1].ice_pwd, "Q");
  EXPECT_EQ(d.media[1].setup, Setup::active);
  EXPECT_EQ(d.media[1].fingerprint_algorithm, "sha-256");
  EXPECT_EQ(d.media[1].direction, Direction::recvonly);
}

TEST(SdpParse, of_several_fingerprints_those_of_the_strongest_algorithm_are_kept_whatever_their_order) {
  struct Row {
    const char* lines;
    const char* algorithm;
    const char* value;
  };
  for (const Row& row : {Row{"a=fingerprint:sha-1 01\na=fingerprint:sha-256 02\na=fingerprint:sha-512 03\n", "sha-512", "03"},
                         Row{"a=fingerprint:SHA-512 03\na=fingerprint:sha-256 02\na=fingerprint:sha-1 01\n", "sha-512", "03"},
                         Row{"a=fingerprint:sha-384 03\na=fingerprint:sha-256 02\n", "sha-384", "03"},
                         Row{"a=fingerprint:sha-256 0a\na=fingerprint:sha-1 01\n", "sha-256", "0A"},
                         Row{"a=fingerprint:sha-256 01\na=fingerprint:sha-256 02\n", "sha-256", "01 02"},
                         Row{"a=fingerprint:sha-256 01\na=fingerprint:SHA-512 03\na=fingerprint:sha-256 02\na=fingerprint:sha-512 04\na=fingerprint:sha-512 03\n", "sha-512", "03 04"},
                         Row{"a=fingerprint:sha-256 02\na=fingerprint:sha-256\n", "sha-256", "02"},
                         Row{"a=fingerprint:sha-1 01\n", "sha-1", "01"}, Row{"a=fingerprint:md5 01\na=fingerprint:sha-1 02\n", "md5", "01"}}) {
    const Media media = video(row.lines);
    EXPECT_EQ(media.fingerprint_algorithm, row.algorithm) << row.lines;
    std::string values;
    for (const auto& value : media.fingerprint_values) values += (values.empty() ? "" : " ") + value;
    EXPECT_EQ(values, row.value) << row.lines;
  }
}

TEST(SdpParse, m_lines_of_unknown_kinds_keep_their_place_and_are_written_back) {
  for (const std::string line : {"text 9 UDP/TLS/RTP/SAVPF 98", "message 9 TCP/MSRP *", "image 9 udptl t38", "Video 9 UDP/TLS/RTP/SAVPF 96",
                                 "application 9 DTLS/SCTP 5000"}) {
    const SessionDescription d = parsed(kHead + "m=" + line + "\na=mid:x\na=rtpmap:98 t140/1000\na=fmtp:nonsense\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n");
    ASSERT_EQ(d.media.size(), 2u) << line;
    EXPECT_FALSE(d.media[0].is_rtp()) << line;
    EXPECT_EQ(d.media[0].mid, "x");
    EXPECT_NE(write(d).find("m=" + line + "\r\n"), std::string::npos) << write(d);
    EXPECT_EQ(parsed(write(d)), d);
  }
}

TEST(SdpParse, the_first_bundle_group_counts_and_its_transport_is_that_of_the_first_m_line_that_is_not_rejected) {
  const std::string transport = "a=ice-ufrag:uuuu\na=ice-pwd:pppppppppppppppppppppp\na=fingerprint:sha-256 01\na=setup:active\n";
  const SessionDescription d = parsed(kHead + "a=group:BUNDLE a b c\na=group:BUNDLE x\nm=audio 0 R 0\na=mid:a\nm=video 9 R 96\na=mid:b\n" +
                                      transport + "m=video 9 R 96\na=mid:c\n");
  EXPECT_EQ(d.bundle, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(d.media[2].ice_ufrag, "uuuu");
  EXPECT_EQ(d.media[2].fingerprint_values, std::vector<std::string>{"01"});
}

TEST(SdpParse, a_bundled_m_line_takes_each_value_of_its_transport_from_the_first_that_has_it) {
  const SessionDescription d = parsed(kHead + "a=group:BUNDLE a b c\nm=audio 9 R 0\na=mid:a\na=ice-pwd:pppppppppppppppppppppp\nm=video 9 R 96\na=mid:b\na=setup:active\n" +
                                      "m=video 9 R 96\na=mid:c\na=ice-ufrag:uuuu\na=ice-pwd:qqqqqqqqqqqqqqqqqqqqqq\na=fingerprint:sha-256 01\n");
  EXPECT_EQ(d.media[0].setup, Setup::active);
  EXPECT_EQ(d.media[0].fingerprint_values, std::vector<std::string>{"01"});
  EXPECT_EQ(d.media[1].ice_ufrag, "uuuu");
  EXPECT_EQ(d.media[2].setup, Setup::active);
  EXPECT_EQ(parsed(write(d)), d) << "what was shared is as if each m-line had said it";
}

TEST(SdpParse, header_extensions_of_the_session_hold_for_every_m_line) {
  const SessionDescription d = parsed(kHead + "a=extmap:3 urn:x\nm=audio 9 R 0\na=extmap:4 urn:y\nm=video 9 R 96\n");
  EXPECT_EQ(d.media[0].extensions, (std::vector<Extension>{{4, "urn:y"}, {3, "urn:x"}}));
  EXPECT_EQ(d.media[1].extensions, (std::vector<Extension>{{3, "urn:x"}}));
}

TEST(SdpParse, extmap_allow_mixed_holds_for_all_media_or_for_its_own) {
  EXPECT_TRUE(parsed(kHead + "a=extmap-allow-mixed\nm=audio 9 R 0\n").media[0].extmap_allow_mixed);
  const SessionDescription d = parsed(kHead + "m=audio 9 R 0\na=extmap-allow-mixed\nm=audio 9 R 0\n");
  EXPECT_TRUE(d.media[0].extmap_allow_mixed);
  EXPECT_FALSE(d.media[1].extmap_allow_mixed);
}

TEST(SdpParse, port_zero_rejects_unless_bundle_only) {
  EXPECT_TRUE(parsed(kHead + "m=video 0 UDP/TLS/RTP/SAVPF 0\n").media.at(0).rejected());
  EXPECT_TRUE(parsed(kHead + "m=audio 0 UDP/TLS/RTP/SAVPF 0\n").media.at(0).formats.empty());
  EXPECT_FALSE(parsed(kHead + "m=video 0 UDP/TLS/RTP/SAVPF 96\na=bundle-only\n").media.at(0).rejected());
}

TEST(SdpParse, a_wildcard_is_spread_over_all_formats_wherever_it_stands) {
  const Media media = video(
      "a=rtcp-fb:* nack\na=rtpmap:96 VP8/90000\na=rtpmap:97 H264/90000\na=rtcp-fb:97 nack\na=rtcp-fb:* ccm fir\n");
  ASSERT_EQ(media.formats.size(), 2u);
  EXPECT_EQ(media.formats[0].feedback, (std::vector<std::string>{"nack", "ccm fir"}));
  EXPECT_EQ(media.formats[1].feedback, (std::vector<std::string>{"nack", "ccm fir"}));
}

TEST(SdpParse, static_types_need_no_rtpmap_and_unexplained_types_are_left_out) {
  const SessionDescription d = parsed(kHead + "m=audio 9 UDP/TLS/RTP/SAVPF 0 8 9 77\n");
  ASSERT_EQ(d.media[0].formats.size(), 3u);
  EXPECT_EQ(d.media[0].formats[1], (PayloadFormat{8, "PCMA", 8000, 0, "", {}}));
}

TEST(SdpParse, lines_about_formats_that_are_not_offered_are_ignored) {
  const Media media = video("a=rtpmap:96 VP8/90000\na=rtpmap:98 VP9/90000\na=fmtp:98 x=1\na=rtcp-fb:98 nack\n");
  ASSERT_EQ(media.formats.size(), 1u);
  EXPECT_EQ(media.formats[0].encoding, "VP8");
}

TEST(SdpParse, errors_name_their_line) {
  struct Row {
    std::string text;
    int line;
  };
  const std::string m = kHead + "m=video 9 UDP/TLS/RTP/SAVPF 96\n";
  const Row rows[] = {
      {"", 1},
      {"x", 1},
      {"v=1\n", 1},
      {"o=- 1 1 IN IP4 127.0.0.1\nv=0\n", 1},
      {"v=0\no=-\n", 2},
      {"v=0\no=- 1 minus IN IP4 x\n", 2},
      {kHead + "m=video\n", 5},
      {kHead + "m=video nine RTP 96\n", 5},
      {kHead + "m=video 65536 RTP 96\n", 5},
      {kHead + "m=video 9 RTP 128\n", 5},
      {kHead + "m=\n", 5},
      {m + "a=rtpmap:96\n", 6},
      {m + "a=rtpmap:96 VP8\n", 6},
      {m + "a=rtpmap:x VP8/90000\n", 6},
      {m + "a=rtpmap:96 VP8/99999999999\n", 6},
      {m + "a=fmtp:\n", 6},
      {m + "a=rtcp-fb:96\n", 6},
      {m + "a=extmap:mid\n", 6},
      {m + "a=ssrc:-1 cname:x\n", 6},
      {m + "a=ssrc:4294967296 cname:x\n", 6},
      {m + "a=ssrc-group:FID 1 x\n", 6},
      {m + "a=ssrc-group\n", 6},
      {m + "a=rid:h\n", 6},
      {m + "a=mid:\n", 6},
      {m + "a=sendrecv\nnonsense\n", 7},
      {m + std::string("a=mid:\0x\n", 9), 6},
      {m + "a=mid:x\ry\n", 6},
      {m + "o=- 1 1 IN IP4 x\n", 6},
  };
  for (const Row& row : rows) {
    const auto result = parse(row.text);
    ASSERT_FALSE(result) << row.text;
    EXPECT_EQ(result.error().code, ErrorCode::malformed) << row.text;
    EXPECT_EQ(result.error().message.rfind("line " + std::to_string(row.line) + ":", 0), 0u) << row.text << "\n"
                                                                                             << result.error().message;
  }
}

TEST(SdpParse, limits_hold) {
  const auto repeated = [](std::string_view line, int count) {
    std::string text = kHead + "m=video 9 UDP/TLS/RTP/SAVPF 96\n";
    for (int i = 0; i < count; ++i) {
      std::string l(line);
      if (const auto at = l.find('#'); at != std::string::npos) l.replace(at, 1, std::to_string(i));
      text += l + "\n";
    }
    return parse(text);
  };
  for (const std::string_view line :
       {"a=ssrc:# cname:x", "a=ssrc-group:FID #", "a=rid:# send", "a=extmap:1 #", "a=rtcp-fb:* x#",
        "a=candidate:1 1 udp 1 192.0.2.1 # typ host", "m=video 9 R 96"}) {
    const auto result = repeated(line, 2000);
    ASSERT_FALSE(result) << line;
    EXPECT_EQ(result.error().code, ErrorCode::limit_exceeded) << line;
  }
  EXPECT_TRUE(repeated("a=rtcp-fb:96 x#", 5000)) << "more feedback than anyone has is left out";
  EXPECT_TRUE(repeated("a=x", 50'000));
  EXPECT_EQ(repeated("a=x", 100'000).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(parse(kHead + "a=" + std::string(1 << 20, 'x')).error().code, ErrorCode::limit_exceeded);
  EXPECT_TRUE(parse(kHead + "a=" + std::string(200'000, 'x')));
}

TEST(SdpRoundTrip, what_is_written_is_read_back_the_same) {
  for (const std::string_view sample : {samples::kChromium, samples::kFirefox, samples::kGstreamer}) {
    const SessionDescription first = parsed(sample);
    const std::string text = write(first);
    EXPECT_EQ(parsed(text), first) << text;
    EXPECT_EQ(write(parsed(text)), text);
  }
}

TEST(SdpRoundTrip, an_answer_with_a_rejected_m_line_keeps_everything) {
  SessionDescription answer;
  answer.session_id = "42";
  answer.version = 7;
  answer.ice_lite = true;
  answer.bundle = {"a", "v"};
  Media audio;
  audio.kind = MediaKind::audio;
  audio.mid = "a";
  audio.direction = Direction::recvonly;
  audio.formats = {{111, "opus", 48000, 2, "minptime=10;useinbandfec=1", {"transport-cc", "nack"}}};
  audio.extensions = {{1, "urn:x"}, {255, "urn:y"}};
  audio.ice_ufrag = "uuuu";
  audio.ice_pwd = "pppppppppppppppppppppp";
  audio.fingerprint_algorithm = "sha-256";
  audio.fingerprint_values = {"AA:BB", "CC:DD"};
  audio.setup = Setup::passive;
  audio.candidates = {{"1", "udp", 2130706431, "192.0.2.1", 5000, "host", ""},
                      {"2", "tcp", 2130706430, "192.0.2.1", 5001, "host", "passive"},
                      {"3", "udp", 1, "2001:db8::1", 5002, "prflx", ""}};
  audio.end_of_candidates = true;
  Media camera = audio;
  camera.kind = MediaKind::video;
  camera.mid = "v";
  camera.formats = {{96, "VP8", 90000, 0, "", {"nack", "nack pli"}}, {97, "rtx", 90000, 0, "apt=96", {}}};
  camera.direction = Direction::sendonly;
  camera.stream_id = "stream";
  camera.track_id = "track";
  camera.ssrcs = {5, 6};
  camera.ssrc_groups = {{"FID", {5, 6}}};
  camera.cname = "c";
  camera.rids = {{"h", false}};
  camera.simulcast = "recv h";
  camera.rtcp_rsize = true;
  Media rejected;
  rejected.kind = MediaKind::video;
  rejected.mid = "r";
  rejected.port = 0;
  rejected.direction = Direction::inactive;
  Media data;
  data.kind = MediaKind::application;
  data.mid = "d";
  data.port = 0;
  data.protocol = "UDP/DTLS/SCTP";
  answer.media = {audio, camera, rejected, data};
  EXPECT_EQ(parsed(write(answer)), answer) << write(answer);
}

TEST(SdpWrite, no_value_becomes_a_line_of_its_own) {
  SessionDescription d;
  d.media.emplace_back().mid = "0\r\na=ice-lite\r\nm=audio 9 X 0";
  const SessionDescription back = parsed(write(d));
  EXPECT_EQ(back.media.size(), 1u);
  EXPECT_FALSE(back.ice_lite);
}

TEST(SdpCandidate, is_read_with_and_without_its_prefixes_and_written_back) {
  const std::string bare = "1 1 UDP 2130706431 192.0.2.1 5000 typ host";
  for (const std::string& text : {bare, "candidate:" + bare, "a=candidate:" + bare + " generation 0"}) {
    const auto candidate = parse_candidate(text);
    ASSERT_TRUE(candidate) << text;
    EXPECT_EQ(candidate->transport, "udp");
    EXPECT_EQ(parse_candidate(write_candidate(*candidate)), candidate);
  }
  for (const std::string_view text : {"", "candidate:", "1 2 udp 1 a 1 typ host", "1 1 udp 1 a 70000 typ host",
                                      "1 1 udp 1 a 1 type host", "1 1 udp 1 a 1 typ"}) {
    EXPECT_FALSE(parse_candidate(text)) << text;
  }
}

TEST(SdpFormat, fmtp_values_are_found_whatever_their_case_and_blanks) {
  const PayloadFormat format{96, "H264", 90000, 0, " Packetization-Mode=1 ; profile-level-id=42e01f;flag", {}};
  EXPECT_EQ(format.fmtp_value("packetization-mode"), "1");
  EXPECT_EQ(format.fmtp_value("profile-level-id"), "42e01f");
  EXPECT_EQ(format.fmtp_value("flag"), "");
  EXPECT_EQ(format.fmtp_value("mode"), "");
}

TEST(SdpHostile, every_truncation_and_random_damage_gives_a_value_or_an_error_with_a_line) {
  for (const std::string_view sample : {samples::kChromium, samples::kFirefox, samples::kGstreamer}) {
    for (std::size_t length = 0; length < sample.size(); ++length) {
      const auto result = parse(sample.substr(0, length));
      if (!result) {
        ASSERT_EQ(result.error().message.rfind("line ", 0), 0u);
      }
    }
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
      SeededRandom random(seed);
      std::string text(sample);
      for (int i = 0; i < 8; ++i) text[random.below(text.size())] = static_cast<char>(random.below(256));
      const auto result = parse(text);
      if (!result) {
        ASSERT_EQ(result.error().message.rfind("line ", 0), 0u) << "seed " << seed;
        continue;
      }
      const std::string written = write(*result);
      ASSERT_TRUE(parse(written)) << "seed " << seed << "\n" << written;
    }
  }
}

}  // namespace amphi::sdp
