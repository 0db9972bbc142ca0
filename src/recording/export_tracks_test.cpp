// An export's tracks: what goes on in which, the frames that are copied, and the Matroska file that holds them, read by a parser that knows
// nothing of how it was written.
#include "recording/export_tracks.h"

#include <gtest/gtest.h>

#include "recording/export_matroska.h"
#include "recording/test_containers.h"

namespace amphi::recording {
namespace {

using test::Node;

ExportPiece piece(const std::string& feed, const std::string& who, std::int64_t at_ms, std::int64_t duration_ms, rtp::CodecName codec = rtp::CodecName::vp8) {
  ExportPiece made;
  made.feed = FeedId(feed);
  made.participant = who;
  made.label = "camera";
  made.at_ms = at_ms;
  made.duration_ms = duration_ms;
  made.codec.name = codec;
  return made;
}

/// "feed@at feed@at | feed@at"
std::string tracks_of(std::vector<ExportPiece> pictures, std::vector<ExportPiece> sounds = {}) {
  ExportPlan plan;
  plan.pictures = std::move(pictures);
  plan.sounds = std::move(sounds);
  std::string text;
  for (const ExportTrack& track : export_tracks(plan)) {
    text += text.empty() ? "" : " | ";
    for (const ExportPiece& each : track.pieces) text += (&each == &track.pieces.front() ? "" : " ") + each.feed.value + "@" + std::to_string(each.at_ms);
  }
  return text;
}

TEST(ExportTracks, a_feed_goes_on_in_its_track_through_all_recordings) {
  EXPECT_EQ(tracks_of({piece("a", "Ana", 0, 1000), piece("b", "Ben", 200, 800), piece("b", "Ben", 1000, 500), piece("a", "Ana", 1100, 900)}), "a@0 a@1100 | b@200 b@1000");
}

TEST(ExportTracks, who_comes_back_goes_on_where_they_were_and_others_do_not) {
  EXPECT_EQ(tracks_of({piece("a", "Ana", 0, 1000), piece("b", "Ben", 0, 1000), piece("c", "Ana", 1500, 500), piece("d", "Eve", 1500, 500)}), "a@0 c@1500 | b@0 | d@1500");
}

TEST(ExportTracks, what_is_there_at_once_never_shares_a_track) {
  EXPECT_EQ(tracks_of({piece("a", "Ana", 0, 1000), piece("b", "Ana", 999, 1000)}), "a@0 | b@999");
  EXPECT_EQ(tracks_of({piece("a", "Ana", 0, 1000), piece("b", "Ana", 0, 1000), piece("b", "Ana", 1000, 1000), piece("a", "Ana", 1000, 1000)}), "a@0 a@1000 | b@0 b@1000")
      << "and a feed keeps its own, although both have one name";
}

TEST(ExportTracks, another_codec_is_another_track) {
  EXPECT_EQ(tracks_of({piece("a", "Ana", 0, 1000), piece("a", "Ana", 1000, 1000, rtp::CodecName::h264)}), "a@0 | a@1000");
  auto mono = piece("m", "Ana", 1000, 1000, rtp::CodecName::opus);
  mono.codec.channels = 1;
  EXPECT_EQ(tracks_of({}, {piece("m", "Ana", 0, 1000, rtp::CodecName::opus), mono}), "m@0 | m@1000");
}

// --- frames -----------------------------------------------------------------------------------------------------------------------

/// A WebM track of frames of one byte, their number, 100 ms apart; a cluster of `per_cluster` frames each; a keyframe begins each n-th cluster.
struct RecordedTrack {
  RecordedTrack(int frames, int per_cluster, int keyframe_every) {
    track.record.feed.codec = {rtp::CodecName::vp8, 90'000, 0, ""};
    for (int i = 0; i < frames; i += per_cluster) {
      const int count = std::min(per_cluster, frames - i);
      const bool keyframe = i / per_cluster % keyframe_every == 0;
      EbmlWriter out;
      const auto cluster = out.begin(0x1f43b675);
      out.unsigned_integer(0xe7, static_cast<std::uint64_t>(i) * 100);
      for (int k = 0; k < count; ++k) {
        out.id(0xa3);
        out.length(5, 1);
        out.length(1, 1);
        out.number(static_cast<std::uint64_t>(k) * 100, 2);
        out.number(keyframe && k == 0 ? 0x80 : 0, 1);
        out.number(static_cast<std::uint64_t>(i + k), 1);
      }
      out.end(cluster);
      const Bytes data = out.take();
      track.pieces.push_back({{file.size(), data.size(), {}, std::nullopt}, i * 100, (i + count) * 100, static_cast<std::uint64_t>(count), keyframe});
      file.insert(file.end(), data.begin(), data.end());
    }
  }
  /// "number@at" of each frame, K before a keyframe's; or the error.
  std::string frames(const ExportPiece& of) {
    ExportFrames reader(of, track, [this](const Extent& extent) -> Result<Bytes> {
      ++reads;
      return to_bytes(ByteView(file).subspan(extent.at, extent.size));
    });
    std::string text;
    for (;;) {
      const auto next = reader.next();
      if (!next) return text + "! " + next.error().message;
      if (!*next) return text;
      text += (text.empty() ? "" : " ") + std::string((*next)->keyframe ? "K" : "") + std::to_string(static_cast<int>((*next)->data[0])) + "@" + std::to_string((*next)->at_ms);
    }
  }
  JournalTrack track;
  Bytes file;
  int reads = 0;
};

TEST(ExportFrames, every_frame_lies_where_it_was_from_the_pieces_place_on) {
  RecordedTrack recorded(5, 2, 1);
  EXPECT_EQ(recorded.frames(piece("a", "Ana", 7000, 500)), "K0@7000 1@7100 K2@7200 3@7300 K4@7400");
}

TEST(ExportFrames, a_cut_begins_with_a_keyframe_and_ends_before_its_end) {
  RecordedTrack recorded(60, 2, 3);  // keyframes 600 ms apart
  ExportPiece cut = piece("a", "Ana", 0, 0);
  cut.file_from_ms = 2400;
  cut.file_to_ms = 2900;
  EXPECT_EQ(recorded.frames(cut), "K24@0 25@100 26@200 27@300 28@400");
  EXPECT_LE(recorded.reads, 3) << "what lies before is not read";
  cut.file_from_ms = 2500;
  cut.file_to_ms = 3100;
  EXPECT_EQ(recorded.frames(cut), "K30@500") << "not before one can be decoded";
}

TEST(ExportFrames, the_keyframe_before_a_time_is_found) {
  const RecordedTrack recorded(60, 2, 3);
  EXPECT_EQ(keyframe_before(recorded.track, 0), 0);
  EXPECT_EQ(keyframe_before(recorded.track, 599), 0);
  EXPECT_EQ(keyframe_before(recorded.track, 600), 600);
  EXPECT_EQ(keyframe_before(recorded.track, 100'000), 5400);
  EXPECT_EQ(keyframe_before(recorded.track, -1), std::nullopt);
}

TEST(ExportFrames, a_piece_that_is_not_what_was_written_is_an_error_and_no_crash) {
  for (std::size_t at = 0; at < 12; ++at) {
    RecordedTrack recorded(4, 2, 1);
    recorded.file[at] ^= std::byte{0xff};
    (void)recorded.frames(piece("a", "Ana", 0, 400));
  }
  RecordedTrack recorded(4, 2, 1);
  recorded.file[0] = std::byte{0};
  EXPECT_NE(recorded.frames(piece("a", "Ana", 0, 400)).find("!"), std::string::npos);
}

// --- the file ----------------------------------------------------------------------------------------------------------------------

MatroskaExport::Content content(std::size_t pictures, std::size_t sounds) {
  MatroskaExport::Content made;
  for (std::size_t i = 0; i < pictures; ++i) made.tracks.push_back({"Ana (camera)", {rtp::CodecName::vp8, 90'000, 0, ""}, 320, 180, {}, {{"PARTICIPANT", "Ana"}}});
  for (std::size_t i = 0; i < sounds; ++i) made.tracks.push_back({"Ana (voice)", {rtp::CodecName::opus, 48'000, 2, ""}, 0, 0, {}, {}});
  made.chapters = {{0, 400, "Begin"}, {400, 9000, "incision"}};
  made.duration_ms = 9000;
  made.comment = "fingerprint";
  made.begun = WallTime{1'700'000'000'250};
  return made;
}

/// The file as it lies on the disk, with its head written anew.
struct Written {
  explicit Written(MatroskaExport& file, Bytes before) : data(std::move(before)) {
    const MatroskaExport::End end = file.finish();
    data.insert(data.end(), end.rest.begin(), end.rest.end());
    EXPECT_LT(end.head.size(), data.size());
    std::copy(end.head.begin(), end.head.end(), data.begin());
    top = test::parse_ebml(data);
  }
  const Node& segment() const { return top.at(1); }
  /// "track@ms" of each block, in the order of the file.
  std::string blocks() const {
    std::string text;
    for (const Node* cluster : segment().all("1f43b675")) {
      text += "[";
      for (const Node* block : cluster->all("a3")) {
        std::size_t at = 0;
        const std::uint64_t track = test::vint(block->data, at, false);
        text += std::to_string(track) + "@" + std::to_string(cluster->get("e7").number() + block->number(at, 2)) + " ";
      }
      text.back() = ']';
    }
    return text;
  }
  Bytes data;
  std::vector<Node> top;
};

void append(Bytes& all, const Bytes& more) { all.insert(all.end(), more.begin(), more.end()); }

TEST(MatroskaExport, everything_lies_where_the_head_and_the_cues_say) {
  MatroskaExport file(content(1, 1));
  Bytes data;
  const Bytes frame(10, std::byte{7});
  for (int ms = 0; ms < 9000; ms += 250) {
    file.add(0, ms, ms, ms % 3000 == 0, frame);
    file.add(1, ms + 20, ms + 20, true, frame);
    append(data, file.take());
  }
  const Written written(file, data);
  ASSERT_EQ(written.top.size(), 2u);
  const Node& segment = written.segment();
  EXPECT_FALSE(segment.unknown_size);
  const std::uint64_t begin = segment.offset + 12;
  for (const Node* seek : segment.get("114d9b74").all("4dbb")) {
    const auto found = std::find_if(segment.children.begin(), segment.children.end(),
                                    [&](const Node& node) { return node.offset == begin + seek->get("53ac").number(); });
    ASSERT_NE(found, segment.children.end());
    EXPECT_EQ(found->type, to_hex(seek->get("53ab").data));
  }
  std::vector<std::uint64_t> cued;
  for (const Node* cue : segment.get("1c53bb6b").all("bb")) {
    cued.push_back(cue->get("b3").number());
    EXPECT_EQ(cue->get("b7").get("f7").number(), 1u) << "pictures are what one seeks by";
    const auto found = std::find_if(segment.children.begin(), segment.children.end(),
                                    [&](const Node& node) { return node.offset == begin + cue->get("b7").get("f1").number(); });
    ASSERT_NE(found, segment.children.end());
    EXPECT_EQ(found->type, "1f43b675");
    EXPECT_EQ(found->get("e7").number(), cued.back()) << "a keyframe begins its cluster";
  }
  EXPECT_EQ(cued, (std::vector<std::uint64_t>{0, 3000, 6000}));
  EXPECT_EQ(segment.get("1549a966").get("4489").floating(), 9000);
  EXPECT_EQ(segment.get("1549a966").get("4461").number(), (1'700'000'000'250 - 978'307'200'000) * 1'000'000u);
  const auto tracks = segment.get("1654ae6b").all("ae");
  ASSERT_EQ(tracks.size(), 2u);
  EXPECT_EQ(tracks[0]->get("536e").text(), "Ana (camera)");
  EXPECT_EQ(tracks[1]->get("22b59c").text(), "und");
  const auto chapters = segment.get("1043a770").get("45b9").all("b6");
  ASSERT_EQ(chapters.size(), 2u);
  EXPECT_EQ(chapters[1]->get("91").number(), 400'000'000u);
  EXPECT_EQ(chapters[1]->get("80").get("85").text(), "incision");
  const auto tags = segment.get("1254c367").all("7373");
  EXPECT_EQ(tags.at(0)->get("67c8").get("4487").text(), "fingerprint");
  EXPECT_EQ(tags.at(1)->get("63c0").get("63c5").number(), 1u);
  EXPECT_EQ(tags.at(1)->get("67c8").get("4487").text(), "Ana");
}

TEST(MatroskaExport, a_long_silence_of_all_moves_nothing) {
  MatroskaExport file(content(1, 1));
  const Bytes frame(10, std::byte{7});
  file.add(0, 5, 5, true, frame);
  file.add(1, 6, 6, true, frame);
  file.add(1, 7'200'000, 7'200'000, true, frame);
  file.add(0, 7'200'001, 7'200'001, false, frame);
  EXPECT_EQ(Written(file, file.take()).blocks(), "[1@5 2@6][2@7200000 1@7200001]");
}

TEST(MatroskaExport, memory_holds_a_cluster_however_much_there_is) {
  MatroskaExport file(content(1, 0));
  file.take();
  const Bytes frame(1 << 20, std::byte{7});
  std::size_t held = 0;
  for (int i = 0; i < 40; ++i) {
    file.add(0, i, i, i == 0, frame);
    held += frame.size();
    held -= std::min(held, file.take().size());
    EXPECT_LE(held, 5u << 20);
  }
}

TEST(MatroskaExport, without_pictures_one_seeks_by_the_sound) {
  MatroskaExport file(content(0, 2));
  Bytes data;
  for (int ms = 0; ms < 11'000; ms += 20) {
    file.add(0, ms, ms, true, Bytes(3, std::byte{1}));
    append(data, file.take());
  }
  std::string cued;
  const Written written(file, data);
  for (const Node* cue : written.segment().get("1c53bb6b").all("bb")) cued += std::to_string(cue->get("b3").number()) + " ";
  EXPECT_EQ(cued, "0 5000 10000 ");
}

TEST(MatroskaExport, hundreds_of_tracks_have_a_number_each) {
  MatroskaExport file(content(300, 0));
  file.add(125, 0, 0, true, Bytes(1, std::byte{1}));
  file.add(126, 1, 1, false, Bytes(1, std::byte{1}));
  file.add(299, 2, 2, false, Bytes(1, std::byte{1}));
  EXPECT_EQ(Written(file, file.take()).blocks(), "[126@0 127@1 300@2]");
}

}  // namespace
}  // namespace amphi::recording
