// A recorder that is fed by three hostile senders over a hostile network, in virtual time: thousands of worlds, each from its seed.
// AMPHI_SEED=n runs that world alone, AMPHI_SEEDS=n that many; both: that many from n on. In each world:
// verify finds nothing in the finished recording, nor in one that was cut off anywhere and repaired; every frame in a file is whole and
// parses; every packet is in a written frame or counted by name.
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "hostile_sender.h"
#include "recording/h264_picture.h"
#include "recording/inspect.h"
#include "recording/opus.h"
#include "recording/verify.h"
#include "rtp/vp8_frame.h"
#include "test_evidence.h"
#include "testing/worlds.h"

namespace amphi::recording::test {
namespace {

const std::set<std::string> kOfPackets{"late_packet", "duplicate_packet", "empty_payload", "malformed_packet", "incomplete_frame", "frame_before_keyframe", "oversized_frame", "invalid_frame", "missing_parameter_set", "unsupported_packetization", "no_picture"};

struct Arrival {
  rtp::Seq seq;
  HostileSender::Packet packet;
};

struct HostileFeed {
  FeedInfo info;
  HostileSender sender;
  double loss, twice, late, overflow, leaves, pauses, reports;
  rtp::Seq seq = 65'000;
  Time next = kStart;
  bool there = true;
  std::uint32_t source = 0;
  std::uint64_t given = 0;      // while it was there
  std::size_t ends = 1;         // where nothing tells whether a frame without markers is whole
  std::multimap<Time, Arrival> on_the_way{};
};

class HostileWorld {
 public:
  explicit HostileWorld(std::uint64_t seed) : random_(seed) {
    const rtp::Codec codecs[] = {vp8(), h264(), opus()};
    for (std::size_t i = 0; i < 3; ++i) {
      const rtp::Codec& codec = codecs[random_.unit() < 0.5 ? i : random_.below(3)];
      const auto odds = [&](double most) { return random_.unit() < 0.5 ? 0.0 : random_.unit() * most; };
      const std::string id = "feed" + std::to_string(i);
      feeds_.push_back({{FeedId(id), ParticipantId(i == 2 ? "par_feed0" : "par_" + id), id, "camera", codec}, HostileSender(codec.name, random_.u64()),
                        odds(0.1), odds(0.1), odds(0.1), odds(0.01), odds(0.01), odds(0.01), odds(0.05)});
    }
  }

  /// Until `most` operations of the disk, or the end.
  void run(EmulatedDisk& disk, std::size_t most = static_cast<std::size_t>(-1)) {
    Recorder recorder(kInfo, kStart, {});
    const auto drain = [&](Time now) {
      testing::serve(recorder, disk, now, [](const Output&) {}, most);
      return disk.operations() < most;
    };
    for (HostileFeed& feed : feeds_) recorder.add_feed(feed.info, kStart);
    const Time end = kStart + milliseconds(3000 + random_.below(5000));
    for (Time now = kStart; drain(now); now += 1ms) {
      for (Time due = recorder.next_timeout(); due <= now; due = recorder.next_timeout()) recorder.handle_timeout(due);
      if (now >= end) break;
      for (HostileFeed& feed : feeds_) step(recorder, feed, now);
    }
    if (disk.operations() >= most) return;
    recorder.stop(end, WallTime{1'700'000'004'000});
    drain(end);
  }
  const std::vector<HostileFeed>& feeds() const { return feeds_; }

 private:
  bool happens(double odds) { return odds > 0 && random_.unit() < odds; }

  void step(Recorder& recorder, HostileFeed& feed, Time now) {
    while (feed.next <= now) {
      feed.next += feed.sender.interval();
      if (happens(feed.pauses)) feed.next += milliseconds(random_.below(3000));
      if (happens(feed.leaves)) {
        feed.there ? recorder.remove_feed(feed.info.id, now) : recorder.add_feed(feed.info, now);
        feed.there = !feed.there;
        ++feed.ends;
      }
      if (happens(feed.overflow)) {
        const std::uint64_t lost = 1 + random_.below(20);
        feed.seq += static_cast<rtp::Seq>(lost);
        recorder.handle_overflow(feed.info.id, lost, now);
      }
      const std::uint32_t ssrc = ssrc_[feed.info.id.value];
      for (HostileSender::Packet& packet : feed.sender.next_frame()) {
        if (packet.ssrc != ssrc) ssrc_[feed.info.id.value] = packet.ssrc, ++feed.ends;
        if (happens(feed.reports)) recorder.handle_sender_report(feed.info.id, {random_.unit() < 0.3 ? 0 : random_.u64()}, packet.timestamp, now);
        const rtp::Seq seq = feed.seq++;
        if (happens(feed.loss)) continue;
        const Duration delay = happens(feed.late) ? milliseconds(random_.below(600)) : 0ms;
        if (happens(feed.twice)) feed.on_the_way.emplace(now + milliseconds(random_.below(100)), Arrival{seq, packet});
        feed.on_the_way.emplace(now + delay, Arrival{seq, std::move(packet)});
      }
    }
    while (!feed.on_the_way.empty() && feed.on_the_way.begin()->first <= now) {
      const Arrival in = std::move(feed.on_the_way.begin()->second);
      feed.on_the_way.erase(feed.on_the_way.begin());
      if (in.packet.ssrc < feed.source) continue;  // a straggler of a source that was replaced does not come here
      feed.source = in.packet.ssrc;
      const rtp::RtpHeader header{in.packet.marker, 96, static_cast<rtp::WireSeq>(in.seq), in.packet.timestamp, in.packet.ssrc};
      recorder.handle_packet(feed.info.id, in.seq, header, in.packet.payload, now);
      if (feed.there) ++feed.given;
    }
  }

  SeededRandom random_;
  std::vector<HostileFeed> feeds_;
  std::map<std::string, std::uint32_t> ssrc_;
};

/// The parts that a frame's bytes tell of. Empty: they are not those of one frame in their order.
std::vector<unsigned> parts_of(ByteView data, unsigned& count) {
  std::vector<unsigned> parts;
  std::uint32_t frame = 0;
  for (std::size_t i = 0; i + 8 <= data.size(); ++i) {
    if (data[i] != std::byte{0xa5} || data[i + 7] != std::byte{0x5a}) continue;
    const std::uint32_t number = last_number(data.subspan(i + 1, 4));
    if (!parts.empty() && number != frame) return {};
    frame = number;
    parts.push_back(static_cast<unsigned>(data[i + 5]) & 0x7fu);
    count = static_cast<unsigned>(data[i + 6]) & 0x7fu;
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (parts[i] != i) return {};
  return parts;
}

bool parses(rtp::CodecName codec, ByteView data, H264Stream& stream) {
  if (codec == rtp::CodecName::opus) return is_opus_packet(data);
  if (codec == rtp::CodecName::vp8) return rtp::parse_vp8_frame(data).has_value();
  H264Picture picture;
  for (ByteReader in(data); in.remaining() > 0;) {
    const ByteView nal = in.bytes(in.u32());
    if (!in.ok() || nal.empty()) return false;
    stream.sets.add(nal);
    if (picture.take(to_bytes(nal), stream)) return false;
  }
  return picture.has_slices();
}

/// What is wrong with a track's frames; empty: nothing.
std::string judge_frames(const EmulatedDisk& disk, const JournalTrack& track, const HostileFeed& feed) {
  const rtp::CodecName codec = track.record.feed.codec.name;
  H264Stream stream;
  std::size_t cut_short = 0;
  bool first = true;
  for (const Piece& piece : track.pieces) {
    const auto data = disk.read(track.record.summary.path, piece.extent.at, piece.extent.size);
    const auto frames = data ? frames_of_piece(codec, *data) : std::nullopt;
    if (!frames) return "a piece does not parse";
    for (const PieceFrame& frame : *frames) {
      const std::string where = " at tick " + std::to_string(frame.time);
      if (std::exchange(first, false) && !frame.keyframe) return "it does not begin with a keyframe";
      if (!parses(codec, frame.data, stream)) return "a frame does not parse" + where + ": " + to_hex(frame.data);
      unsigned count = 0;
      const auto parts = parts_of(frame.data, count);
      if (parts.empty() && feed.sender.has_garbage()) continue;
      if (parts.empty()) return "a frame holds parts of another" + where;
      if (parts.size() != count && (feed.sender.marks() == HostileSender::Marks::right || ++cut_short > feed.ends + 1))
        return "a frame is cut short" + where + ", marks " + std::to_string(static_cast<int>(feed.sender.marks())) + ", ends " + std::to_string(feed.ends);
    }
  }
  return "";
}

JournalContent journal_of(const EmulatedDisk& disk) {
  auto parsed = parse_journal(as_text(disk.content(std::string(kJournalName))));
  return parsed ? std::move(*parsed) : JournalContent{};
}

std::string judge_packets(const nlohmann::json& manifest, const HostileFeed& feed) {
  std::uint64_t packets = 0;
  bool has_track = false;
  for (const auto& track : manifest["tracks"]) {
    if (track["feedId"] != feed.info.id.value) continue;
    has_track = true;
    std::uint64_t told = track["recordedPackets"].get<std::uint64_t>();
    for (const auto& [name, value] : track["dropped"].items())
      if (kOfPackets.contains(name)) told += value.get<std::uint64_t>();
    if (told != track["packets"]) return "of " + track["packets"].dump() + " packets " + std::to_string(told) + " are told of: " + track.dump();
    packets += track["packets"].get<std::uint64_t>();
  }
  return has_track && packets != feed.given ? std::to_string(packets) + " packets are told of, and it sent " + std::to_string(feed.given) : "";
}

std::string judge(const EmulatedDisk& disk, const HostileWorld& world, bool finished) {
  const VerifyReport report = verify(disk, {});
  if (!report.sound()) return "verify: " + all(report);
  const JournalContent journal = journal_of(disk);
  const auto manifest = nlohmann::json::parse(as_text(disk.content("manifest.json")));
  for (const HostileFeed& feed : world.feeds()) {
    std::string broken = finished ? judge_packets(manifest, feed) : "";
    for (const JournalTrack& track : journal.tracks)
      if (broken.empty() && track.record.feed.id == feed.info.id) broken = judge_frames(disk, track, feed);
    if (!broken.empty()) return feed.info.id.value + " (" + std::string(rtp::text(feed.info.codec.name)) + "): " + broken;
  }
  return "";
}

void repair(EmulatedDisk& disk) {
  auto found = testing::repair_case(disk);
  if (!found || !*found) return;
  Repair machine(std::move(**found), disk, WallTime{1'700'000'100'000}, {});
  testing::serve(machine, disk, kStart + 100s, [](const Output&) {});
}

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

}  // namespace

TEST(HostileFeeds, are_recorded_as_far_as_they_can_be_and_every_packet_is_accounted_for) {
  const std::uint64_t first = number_from("AMPHI_SEED", 1);
  const std::uint64_t count = number_from("AMPHI_SEEDS", std::getenv("AMPHI_SEED") == nullptr ? testing::worlds(3000) : 1);
  std::uint64_t frames = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    EmulatedDisk whole;
    HostileWorld world(seed);
    world.run(whole);
    ASSERT_EQ(judge(whole, world, true), "") << "replay with AMPHI_SEED=" << seed;
    for (const VerifiedTrack& track : verify(whole, {}).tracks) frames += track.frames;

    SeededRandom random(seed);
    EmulatedDisk cut;
    HostileWorld again(seed);
    again.run(cut, 1 + random.below(whole.operations()));
    random.unit() < 0.5 ? cut.kill() : cut.cut_power(random);
    repair(cut);
    if (cut.content("manifest.json").empty()) continue;  // it had not begun
    ASSERT_EQ(judge(cut, again, false), "") << "cut off and repaired: replay with AMPHI_SEED=" << seed;
  }
  EXPECT_GT(frames, 50 * count) << "frames were recorded";
}

}  // namespace amphi::recording::test
