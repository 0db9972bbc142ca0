// Streams of real H.264 encoders in their many settings, and the same streams as senders spoil them, judged by ffmpeg.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "recording/test_files.h"
#include "recording/test_media.h"

namespace amphi::recording::test {
namespace {

using Units = std::vector<std::vector<Bytes>>;  // the NAL units of each picture

/// Five seconds at 30 pictures a second by x264.
Units encoded(const std::string& parameters, const std::string& options = "", const std::string& source = "testsrc2=size=320x180:rate=30:duration=5") {
  TemporaryFolder folder;
  const auto made = run("ffmpeg -v error -f lavfi -i " + source + " -c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v 600k " + options +
                        " -x264-params aud=1:repeat-headers=1:" + parameters + " -f h264 " + folder.file("a.h264"));
  EXPECT_EQ(made.status, 0) << made.text;
  return annexb_access_units(read_whole(folder.file("a.h264")));
}

unsigned type_of(const Bytes& unit) { return at(unit, 0) & 31; }
bool is_key(const std::vector<Bytes>& picture) {
  return std::any_of(picture.begin(), picture.end(), [](const Bytes& unit) { return type_of(unit) == 5; });
}

struct Recorded {
  std::uint64_t frames = 0;
  nlohmann::json dropped = nlohmann::json::object();
  std::string decoder;  // its errors
  std::uint64_t decoded = 0;
};

Recorded record(const std::vector<Payloads>& pictures) {
  Studio studio;
  studio.recorder.add_feed(feed("cam", h264_codec()), studio.at(0ms));
  rtp::Seq seq = 65'500;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto n = static_cast<std::int64_t>(i);
    for (std::size_t k = 0; k < pictures[i].size(); ++k)
      studio.packet("cam", seq++, static_cast<rtp::WireTimestamp>(n * 3000), k + 1 == pictures[i].size(), pictures[i][k], studio.at(20ms + n * 33'333us + k * 100us));
  }
  studio.stop(20ms + static_cast<std::int64_t>(pictures.size()) * 33'333us + 100ms);
  if (studio.finished->tracks.empty()) return {};
  const auto manifest = nlohmann::json::parse(studio.manifest());
  Recorded out;
  out.frames = studio.finished->tracks.at(0).frames;
  out.dropped = manifest["tracks"][0]["dropped"];
  TemporaryFolder folder;
  const std::string path = folder.write("a.mp4", studio.file(studio.finished->tracks[0].path)->data);
  out.decoder = run("ffmpeg -v error -i " + path + " -fps_mode passthrough -f null -").text;
  const auto counted = run("ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 " + path);
  out.decoded = static_cast<std::uint64_t>(std::atoll(counted.text.c_str()));
  return out;
}

std::vector<Payloads> packetized(const Units& units) {
  std::vector<Payloads> out;
  for (const auto& unit : units) out.push_back(packetize_h264(unit));
  return out;
}

}  // namespace

TEST(RealSenders, no_picture_of_a_real_encoder_is_refused) {
  struct Row {
    const char* parameters;
    const char* options = "";
    const char* source = "testsrc2=size=320x180:rate=30:duration=5";
  };
  for (const Row& row : {Row{"keyint=60:bframes=0", "-profile:v baseline"}, Row{"keyint=60", "-tune zerolatency"}, Row{"keyint=infinite:bframes=0:scenecut=0"},
                         Row{"keyint=60:threads=4:bframes=3"}, Row{"keyint=60:threads=4:sliced-threads=1", "-tune zerolatency"}, Row{"keyint=30:slices=5:bframes=0"},
                         Row{"keyint=60:slice-max-size=300"}, Row{"keyint=60:bframes=3:b-pyramid=normal:b-adapt=0:ref=5"}, Row{"keyint=60:bframes=3:b-pyramid=strict:b-adapt=0"},
                         Row{"keyint=60:bframes=8:b-pyramid=none:b-adapt=0:ref=16"}, Row{"keyint=30:open-gop=1:bframes=3:b-adapt=0"}, Row{"keyint=60:weightp=2:weightb=1:bframes=2"},
                         Row{"keyint=60:intra-refresh=1:bframes=0"}, Row{"keyint=300:intra-refresh=1"}, Row{"keyint=60:tff=1:bframes=2"}, Row{"keyint=60:bff=1:slices=2"}, Row{"keyint=60:fake-interlaced=1"},
                         Row{"keyint=60:constrained-intra=1:cabac=0"}, Row{"keyint=60:cqm=jvt:8x8dct=1", "-profile:v high"}, Row{"keyint=60:nal-hrd=cbr:vbv-maxrate=600:vbv-bufsize=300:filler=1"},
                         Row{"keyint=60:sps-id=3:bframes=2"}, Row{"keyint=1"}, Row{"keyint=2:min-keyint=1:bframes=1"}, Row{"keyint=60", "-pix_fmt yuv444p"}, Row{"keyint=60", "-pix_fmt yuv422p10le"}, Row{"keyint=60", "-pix_fmt gray"},
                         Row{"keyint=60:bframes=0", "-tune zerolatency", "color=size=320x180:rate=30:duration=5"}, Row{"keyint=60:bframes=3:scenecut=40", "", "color=size=320x180:rate=30:duration=5"},
                         Row{"keyint=60:bframes=3", "", "testsrc2=size=322x182:rate=30:duration=5"}}) {
    SCOPED_TRACE(std::string(row.parameters) + " " + row.options + " " + row.source);
    const Units units = encoded(row.parameters, row.options, row.source);
    ASSERT_EQ(units.size(), 150u);
    const Recorded got = record(packetized(units));
    EXPECT_EQ(got.frames, 150u);
    EXPECT_EQ(got.decoded, 150u);
    EXPECT_EQ(got.decoder, "");
    for (const auto& [why, count] : got.dropped.items()) EXPECT_EQ(count, 0) << why;
  }
}

TEST(RealSenders, disposable_pictures_may_be_left_out) {
  Units units = encoded("keyint=60:bframes=3:b-adapt=0:b-pyramid=none");
  std::size_t n = 0;
  std::erase_if(units, [&](const auto& picture) { return (at(picture.back(), 0) & 0x60) == 0 && ++n % 3 != 0; });
  ASSERT_LT(units.size(), 100u);
  const Recorded got = record(packetized(units));
  EXPECT_EQ(got.frames, units.size());
  EXPECT_EQ(got.decoder.find("error"), std::string::npos) << got.decoder;
}

TEST(RealSenders, what_a_decoder_cannot_take_is_not_written) {
  const Units units = encoded("keyint=30:bframes=0:scenecut=0", "-profile:v baseline");
  const Units other = encoded("keyint=30:bframes=0:scenecut=0", "-profile:v baseline", "testsrc2=size=640x360:rate=30:duration=5");
  const Units third = encoded("keyint=30:bframes=0:scenecut=0:sps-id=1", "-profile:v baseline", "testsrc2=size=640x360:rate=30:duration=5");
  const Bytes &sps = other[0][0], &pps = other[0][1];
  ASSERT_EQ(type_of(sps), 7u);
  ASSERT_EQ(type_of(pps), 8u);
  struct Row {
    const char* name;
    std::vector<Payloads> pictures;
    std::uint64_t frames;
  };
  std::vector<Row> rows;
  const auto each = [&](const char* name, std::uint64_t frames, auto change) {
    rows.push_back({name, {}, frames});
    for (std::size_t i = 0; i < 150; ++i) rows.back().pictures.push_back(change(i, units[i]));
  };
  const auto with_type = [](std::vector<Bytes> picture, unsigned from, unsigned to) {
    for (Bytes& unit : picture)
      if (type_of(unit) == from) unit[0] = static_cast<std::byte>((at(unit, 0) & 0xe0) | to);
    return picture;
  };
  each("parameter sets of another size before a P picture", 150, [&](std::size_t i, auto picture) {
    if (i % 30 == 12) picture.insert(picture.begin(), {sps, pps});
    return packetize_h264(picture);
  });
  each("P pictures of another parameter set", 45 + 30 + 45, [&](std::size_t i, const auto& picture) { return packetize_h264(i / 45 % 2 == 0 ? picture : third[i]); });
  each("P slices in IDR units", 5, [&](std::size_t, const auto& picture) { return packetize_h264(with_type(picture, 1, 5)); });
  each("no picture is a reference", 0, [&](std::size_t, auto picture) {
    for (Bytes& unit : picture) unit[0] &= std::byte{0x1f};
    return packetize_h264(picture);
  });
  each("pictures left out", 50, [&](std::size_t i, const auto& picture) { return i % 30 >= 10 && i % 30 < 13 ? Payloads{} : packetize_h264(picture); });
  each("a keyframe left out", 30 + 90, [&](std::size_t i, const auto& picture) { return i == 30 ? Payloads{} : packetize_h264(picture); });
  each("each P picture twice", 150, [&](std::size_t, const auto& picture) {
    Payloads twice = packetize_h264(picture);
    if (!is_key(picture))
      for (Bytes& payload : packetize_h264(picture)) twice.push_back(payload);
    return twice;
  });
  each("units that decoders ignore", 150, [&](std::size_t, const auto& picture) {
    Payloads out{joined({0x00, 0x11, 0x22}, {}), joined({0x7e, 1, 2}, {}), joined({0x16, 1, 2}, {})};
    for (const Bytes& payload : packetize_h264(picture)) out.push_back(payload), out.push_back(joined({0x7f, 1, 2}, {}));
    return out;
  });
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const Recorded got = record(row.pictures);
    EXPECT_EQ(got.frames, row.frames) << got.dropped;
    EXPECT_EQ(got.decoded, row.frames);
    EXPECT_EQ(got.decoder, "");
    EXPECT_EQ(got.dropped.value("ignored_unit", 0) > 300, std::string(row.name) == "units that decoders ignore") << got.dropped;
  }
}

}  // namespace amphi::recording::test
