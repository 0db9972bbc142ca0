// The two container writers, judged by independent parsers: structure, times, indexes, and the growing file.
#include <gtest/gtest.h>

#include "recording/frame_clock.h"
#include "recording/matroska.h"
#include "recording/mp4.h"
#include "recording/test_containers.h"
#include "recording/test_files.h"
#include "rtp/h264.h"

namespace amphi::recording::test {
namespace {

Frame frame(bool keyframe, std::size_t size, unsigned fill) {
  Frame out;
  out.keyframe = keyframe;
  out.width = keyframe ? 320 : 0;
  out.height = keyframe ? 180 : 0;
  out.data = Bytes(size, static_cast<std::byte>(fill));
  if (keyframe) {
    for (const unsigned byte : {0x67, 0x42, 0xc0, 0x1f, 0x01})
      out.sps.resize(1), out.sps[0].push_back(static_cast<std::byte>(byte));
    for (const unsigned byte : {0x68, 0xce, 0x3c})
      out.pps.resize(1), out.pps[0].push_back(static_cast<std::byte>(byte));
  }
  return out;
}

struct Writing {
  std::deque<Output> out;
  MemoryFiles files;
  std::unique_ptr<TrackFile> track;

  Journal journal{out};

  TrackOutput output() { return {1, out, journal, nullptr}; }
  const Bytes& data() {
    if (!files.files.contains(kJournalFile)) files.apply(OpenFile{kJournalFile, "journal.jsonl"});
    for (; !out.empty(); out.pop_front())
      std::visit([this](const auto& op) { files.apply(op); }, std::get<FileOp>(out.front()));
    return files.files.at(1).data;
  }
  std::int64_t per_second = 1'000;
  void add(Frame each, Duration at, Time now) { track->add(std::move(each), to_ticks(at, per_second), now); }
  /// 25 frames a second, a keyframe each second.
  void write(int frames, Duration from = 80ms) {
    for (int i = 0; i < frames; ++i) add(frame(i % 25 == 0, 100, static_cast<unsigned>(i)), from + i * 40ms, Time(from + i * 40ms));
  }
};

struct Block {
  std::int64_t time_ms;
  bool keyframe;
  std::size_t size;
};
std::vector<Block> blocks(const Node& segment) {
  std::vector<Block> found;
  for (const Node* cluster : segment.all("1f43b675")) {
    const auto base = static_cast<std::int64_t>(cluster->get("e7").number());
    for (const Node* block : cluster->all("a3")) {
      EXPECT_EQ(block->number(0, 1), 0x81u) << "the one track";
      found.push_back(
          {base + static_cast<std::int16_t>(block->number(1, 2)), block->number(3, 1) == 0x80, block->data.size() - 4});
    }
  }
  return found;
}

}  // namespace

TEST(WebmFile, while_it_grows_it_is_a_live_file_of_whole_synced_clusters) {
  Writing w;
  w.track = std::make_unique<WebmFile>(w.output(), "a.webm", vp8_codec(), frame(true, 100, 0));
  w.write(60);
  const Bytes grown = w.data();
  const Node file = tree(parse_ebml(grown));
  EXPECT_EQ(file.get("1a45dfa3").get("4282").text(), "webm");
  const Node& segment = file.get("18538067");
  EXPECT_TRUE(segment.unknown_size);
  EXPECT_FALSE(segment.find("114d9b74")) << "no seek head yet";
  EXPECT_FALSE(segment.get("1549a966").find("4489")) << "no duration yet";
  EXPECT_EQ(segment.get("1654ae6b").get("ae").get("86").text(), "V_VP8");
  EXPECT_EQ(segment.get("1654ae6b").get("ae").get("e0").get("b0").number(), 320u);
  for (const Node* cluster : segment.all("1f43b675")) {
    EXPECT_LE(cluster->all("a3").size(), 15u) << "at most 600 ms";
    const auto& synced = w.files.files.at(1).synced;
    const std::uint64_t end = static_cast<std::uint64_t>(cluster->data.data() + cluster->data.size() - grown.data());
    EXPECT_NE(std::find(synced.begin(), synced.end(), end), synced.end()) << "synced by itself";
  }
  const auto all = blocks(segment);
  ASSERT_GE(all.size(), 50u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].time_ms, 80 + static_cast<std::int64_t>(i) * 40);
    EXPECT_EQ(all[i].keyframe, i % 25 == 0);
    EXPECT_EQ(all[i].size, 100u);
  }
}

TEST(WebmFile, when_it_is_finished_every_place_that_it_points_to_holds_what_it_says) {
  Writing w;
  w.track = std::make_unique<WebmFile>(w.output(), "a.webm", vp8_codec(), frame(true, 100, 0));
  w.write(60);
  w.track->finish(2500ms);
  const Node file = tree(parse_ebml(w.data()));
  const Node& segment = file.get("18538067");
  EXPECT_FALSE(segment.unknown_size);
  EXPECT_EQ(blocks(segment).size(), 60u);
  EXPECT_EQ(segment.get("1549a966").get("4489").floating(), 2500.0);
  const std::uint64_t base = static_cast<std::uint64_t>(segment.data.data() - w.data().data());
  std::size_t sought = 0;
  for (const Node* seek : segment.get("114d9b74").all("4dbb")) {
    const std::uint64_t position = base + seek->get("53ac").number();
    const std::string id = to_hex(seek->get("53ab").data);
    const Node* target = segment.find(id);
    ASSERT_NE(target, nullptr);
    EXPECT_EQ(target->offset, position);
    ++sought;
  }
  EXPECT_EQ(sought, 3u);
  const auto cues = segment.get("1c53bb6b").all("bb");
  EXPECT_EQ(cues.size(), 3u);
  for (const Node* cue : cues) {
    bool found = false;
    for (const Node* cluster : segment.all("1f43b675")) {
      if (cluster->offset != base + cue->get("b7").get("f1").number()) continue;
      found = true;
      EXPECT_EQ(cluster->get("e7").number(), cue->get("b3").number());
      EXPECT_EQ(cluster->get("a3").number(3, 1), 0x80u) << "begins with a keyframe";
    }
    EXPECT_TRUE(found);
  }
}

TEST(WebmFile, opus_says_how_it_is_to_be_decoded) {
  Writing w;
  w.track = std::make_unique<WebmFile>(w.output(), "a.webm", opus_codec(), frame(true, 3, 0));
  for (int i = 0; i < 100; ++i) w.add(frame(true, 3, 0xfc), i * 20ms, Time(i * 20ms));
  w.track->finish(2s);
  const Node file = tree(parse_ebml(w.data()));
  const Node& entry = file.get("18538067").get("1654ae6b").get("ae");
  EXPECT_EQ(entry.get("86").text(), "A_OPUS");
  EXPECT_EQ(entry.get("e1").get("b5").floating(), 48'000.0);
  EXPECT_EQ(entry.get("e1").get("9f").number(), 2u);
  EXPECT_EQ(to_hex(entry.get("63a2").data), "4f707573486561640102380180bb0000000000");
  EXPECT_EQ(entry.get("56aa").number(), 6'500'000u);
  EXPECT_EQ(entry.get("56bb").number(), 80'000'000u);
  EXPECT_EQ(file.get("18538067").get("1c53bb6b").all("bb").size(), 1u) << "a cue each five seconds";
}

TEST(WebmFile, a_cluster_is_written_when_its_time_is_up_though_nothing_follows) {
  Writing w;
  w.track = std::make_unique<WebmFile>(w.output(), "a.webm", vp8_codec(), frame(true, 100, 0));
  EXPECT_EQ(w.track->next_timeout(), Time::max());
  w.add(frame(true, 100, 1), 0ms, Time(5s));
  EXPECT_EQ(w.track->next_timeout(), Time(5s) + TrackFile::kSpan);
  w.track->handle_timeout(Time(5s));
  const std::size_t before = w.data().size();
  w.track->handle_timeout(Time(5s) + TrackFile::kSpan);
  EXPECT_GT(w.data().size(), before);
  EXPECT_EQ(w.track->next_timeout(), Time::max());
}

TEST(Mp4File, frames_that_are_sent_in_another_order_than_shown_have_composition_times) {
  // Pairs of B frames; then a pyramid of three, whose deeper order begins in a fragment of its own.
  const std::vector<int> shown{0, 3, 1, 2, 6, 4, 5, 7, 8, 9, 10, 14, 12, 11, 13, 18, 16, 15, 17, 19, 20, 24, 22, 21, 23, 25};
  Writing w;
  w.per_second = 90'000;
  w.track = std::make_unique<Mp4File>(w.output(), "a.mp4", frame(true, 100, 0));
  for (std::size_t i = 0; i < shown.size(); ++i) w.add(frame(i == 0 || shown[i] == 19, 100, static_cast<unsigned>(shown[i])), 40ms * shown[i], Time(40ms * i));
  w.track->finish(1200ms);
  const Node file = tree(parse_boxes(w.data()));
  std::vector<std::int64_t> found;
  std::int64_t decoded = -1;
  for (const Node* moof : file.all("moof")) {
    const Node& trun = moof->get("traf").get("trun");
    const bool reordered = trun.number(1, 3) == 0x000f01;
    const std::size_t width = reordered ? 16 : 12;
    auto at = static_cast<std::int64_t>(moof->get("traf").get("tfdt").number(4, 8));
    EXPECT_GT(at, decoded) << "decode times grow from fragment to fragment";
    for (std::size_t i = 0; i < trun.number(4, 4); ++i) {
      EXPECT_GT(trun.number(12 + width * i, 4), 0u);
      const auto offset = reordered ? static_cast<std::int32_t>(trun.number(24 + width * i, 4)) : 0;
      EXPECT_GE(offset, 0) << "decoded before it is shown";
      found.push_back((at + offset) / 3600);
      EXPECT_EQ((at + offset) % 3600, 0);
      decoded = at;
      at += static_cast<std::int64_t>(trun.number(12 + width * i, 4));
    }
  }
  EXPECT_EQ(found, std::vector<std::int64_t>(shown.begin(), shown.end()));
  const Node& sidx = file.get("sidx");
  EXPECT_EQ(sidx.number(30, 2), 1u);
  EXPECT_EQ(sidx.number(36, 4), 108'000u);
}

TEST(Mp4File, while_it_grows_it_is_a_header_and_whole_synced_fragments) {
  Writing w;
  w.per_second = 90'000;
  w.track = std::make_unique<Mp4File>(w.output(), "a.mp4", frame(true, 100, 0));
  w.write(60);
  const Bytes grown = w.data();
  const Node file = tree(parse_boxes(grown));
  EXPECT_EQ(file.children[0].type, "ftyp");
  const Node& moov = file.get("moov");
  EXPECT_FALSE(moov.get("mvex").find("mehd")) << "no duration yet";
  EXPECT_EQ(moov.get("mvhd").number(16, 4), 0u);
  const Node& stsd = moov.get("trak").get("mdia").get("minf").get("stbl").get("stsd");
  EXPECT_NE(stsd.text().find("avc1"), std::string::npos);
  EXPECT_NE(to_hex(stsd.data).find("61766343"
                                   "0142c01fff"
                                   "e10005"
                                   "6742c01f01"
                                   "01"
                                   "0003"
                                   "68ce3c"),
            std::string::npos)
      << "avcC";
  std::int64_t expected = 7200;
  std::size_t samples = 0;
  const auto fragments = file.all("moof");
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const Node& traf = fragments[i]->get("traf");
    EXPECT_EQ(fragments[i]->get("mfhd").number(4, 4), i + 1);
    EXPECT_EQ(traf.get("tfdt").number(4, 8), static_cast<std::uint64_t>(expected));
    const Node& trun = traf.get("trun");
    const std::uint64_t count = trun.number(4, 4);
    const std::size_t data = static_cast<std::size_t>(fragments[i]->offset + trun.number(8, 4));
    for (std::uint64_t s = 0; s < count; ++s, ++samples) {
      EXPECT_EQ(trun.number(12 + 12 * s, 4), 3600u);
      EXPECT_EQ(trun.number(16 + 12 * s, 4), 100u);
      EXPECT_EQ(trun.number(20 + 12 * s, 4), samples % 25 == 0 ? 0x02000000u : 0x01010000u);
      EXPECT_EQ(static_cast<unsigned>(grown[data + 100 * s]), samples) << "the data of this sample";
      expected += 3600;
    }
    EXPECT_LE(count, 15u) << "at most 600 ms";
  }
  EXPECT_GE(samples, 50u);
}

TEST(Mp4File, when_it_is_finished_it_has_durations_and_two_indexes_that_agree_with_it) {
  for (const std::size_t capacity : {std::size_t{100}, std::size_t{2}}) {
    Writing w;
    w.per_second = 90'000;
    w.track = std::make_unique<Mp4File>(w.output(), "a.mp4", frame(true, 100, 0), capacity);
    w.write(130);
    w.track->finish(6s);
    const Bytes& data = w.data();
    const Node file = tree(parse_boxes(data));
    const Node& moov = file.get("moov");
    EXPECT_EQ(moov.get("mvhd").number(16, 4), 6000u);
    EXPECT_EQ(moov.get("trak").get("tkhd").number(20, 4), 6000u);
    EXPECT_EQ(moov.get("trak").get("mdia").get("mdhd").number(16, 4), 540'000u);
    EXPECT_EQ(moov.get("mvex").get("mehd").number(4, 4), 6000u);

    const Node& sidx = file.get("sidx");
    std::uint64_t position = sidx.offset + 8 + sidx.data.size() + sidx.number(20, 8);
    std::uint64_t time = sidx.number(12, 8);
    const std::uint64_t entries = sidx.number(30, 2);
    EXPECT_LE(entries, capacity);
    EXPECT_GE(entries, std::min<std::size_t>(capacity, 6));
    for (std::uint64_t i = 0; i < entries; ++i) {
      const Node* fragment = nullptr;
      for (const Node* moof : file.all("moof")) {
        if (moof->offset == position) fragment = moof;
      }
      ASSERT_NE(fragment, nullptr) << "entry " << i;
      EXPECT_EQ(fragment->get("traf").get("tfdt").number(4, 8), time);
      EXPECT_EQ(sidx.number(40 + 12 * i, 4), 0x90000000u);
      position += sidx.number(32 + 12 * i, 4);
      time += sidx.number(36 + 12 * i, 4);
    }
    EXPECT_EQ(time, 540'000u);
    EXPECT_EQ(position, file.get("mfra").offset);
    const Node& tfra = file.get("mfra").get("tfra");
    ASSERT_EQ(tfra.number(12, 4), 6u);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(tfra.number(16 + 19 * i, 8), 7200 + i * 90'000);
      EXPECT_EQ(as_text(ByteView(data).subspan(tfra.number(24 + 19 * i, 8) + 4, 4)), "moof");
    }
    EXPECT_EQ(file.get("mfra").get("mfro").number(4, 4), file.get("mfra").data.size() + 8);
  }
}

TEST(Mp4File, the_newest_frame_is_written_though_nothing_follows) {
  Writing w;
  w.per_second = 90'000;
  w.track = std::make_unique<Mp4File>(w.output(), "a.mp4", frame(true, 100, 0));
  w.add(frame(true, 100, 1), 0ms, Time(0s));
  EXPECT_EQ(w.track->next_timeout(), Time(TrackFile::kSpan));
  w.track->handle_timeout(Time(TrackFile::kSpan));
  EXPECT_EQ(tree(parse_boxes(w.data())).all("moof").size(), 1u);
  w.add(frame(false, 100, 2), 10s, Time(10s));
  w.track->finish(20s);
  const Node file = tree(parse_boxes(w.data()));
  ASSERT_EQ(file.all("moof").size(), 2u);
  EXPECT_EQ(file.all("moof")[1]->get("traf").get("tfdt").number(4, 8), 900'000u) << "where it belongs";
  EXPECT_EQ(file.all("moof")[1]->get("traf").get("trun").number(12, 4), 900'000u) << "stands until the end";
}

TEST(Mp4File, after_a_fragment_that_its_time_wrote_the_next_ones_are_as_long_as_ever) {
  Writing w;
  w.per_second = 90'000;
  w.track = std::make_unique<Mp4File>(w.output(), "a.mp4", frame(true, 100, 0));
  w.add(frame(true, 100, 0), 0ms, Time(0ms));
  for (Duration t = 40ms; t <= 4s; t += 40ms) {
    for (Time due = w.track->next_timeout(); due <= Time(t); due = w.track->next_timeout()) w.track->handle_timeout(due);
    w.add(frame(false, 100, 1), t, Time(t));
  }
  EXPECT_LE(tree(parse_boxes(w.data())).all("moof").size(), 8u);
}

}  // namespace amphi::recording::test
