// Sound and picture lie together in the finished files, whatever the clocks, the reports and the network do: whole recorders in
// virtual time, packets in, files out, and every frame's time read back from the files. Each frame carries its number, and so the
// instant at which it was captured. A row is a world; AMPHI_SEED=n replays it with another seed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <queue>

#include "recording/test_files.h"
#include "recording_rig.h"

namespace amphi::recording::test {
namespace {

constexpr Time kStart = Time(77'000s);
constexpr Duration kAudioEvery = 60ms, kVideoEvery = 100ms;  // sparse, so that eight hours take seconds

struct World {
  const char* name;
  Duration length = 10min;
  double ntp_ppm = 0, audio_ppm = 0, video_ppm = 0;  // against the server's clock
  Duration encoding = 90ms;                          // of a picture
  Duration jitter = 40ms;
  double loss = 0.05;         // of packets; seven in ten of them come with a retransmission
  double held_up = 0.03;      // of packets, by up to 250 ms: behind later ones
  Duration report_every = 5s;  // half to one and a half of it
  double report_loss = 0.05;
  Duration report_late{};     // by up to that much
  Duration least_report_late{};
  Duration set_every{};       // how often somebody sets the clock, by `set_by` at most, forth or back
  Duration set_by{};
  Duration settled = 20s;     // from when on the files must agree: before, no report can have come
};

struct Publisher {
  std::string name;
  Sender audio, video;
  double ntp_ppm, audio_ppm, video_ppm;
  Duration ntp_zero;
};

Duration stretched(Duration t, double ppm) { return t + Duration(static_cast<std::int64_t>(static_cast<double>(t.count()) * ppm * 1e-6)); }

/// Everything that happens, in the order of its arrival.
class Stage {
 public:
  Stage(const World& world, std::uint64_t seed) : world_(world), random_(seed), studio_(kStart) {
    add({"near", {"mic_n", opus(), kAudioEvery, 1, 0}, {"cam_n", vp8(), kVideoEvery, 100, 0}, world.ntp_ppm, world.audio_ppm, world.video_ppm, 3'900'000'000s});
    add({"far", {"mic_f", opus(), kAudioEvery, 1, 0}, {"cam_f", h264(), kVideoEvery, 100, 0}, -world.ntp_ppm / 2, world.video_ppm, world.audio_ppm, 500'000s});
  }

  Studio& run() {
    while (!events_.empty() && events_.top().at < kStart + world_.length) {
      const Event event = events_.top();
      events_.pop();
      happen(event);
      for (; answered_ < studio_.keyframes_wanted.size(); ++answered_)
        for (Feed& feed : feeds_) feed.key_wanted |= feed.sender.id == studio_.keyframes_wanted[answered_].first;
    }
    studio_.stop(world_.length);
    return studio_;
  }

 private:
  enum class Kind { capture, packet, report, report_arrives, set_clock };
  struct Event {
    Time at;
    Kind kind;
    std::size_t who = 0;  // a feed; of set_clock: a publisher
    std::uint32_t number = 0;
    bool key = false;
    rtp::NtpTime ntp{};
    rtp::WireTimestamp rtp = 0;
    bool operator<(const Event& other) const { return at > other.at; }  // the earliest on top
  };
  struct Feed {
    Sender sender;
    std::size_t publisher;
    double ppm;
    rtp::WireTimestamp zero;
    bool key_wanted = true;
  };

  void add(Publisher publisher) {
    const std::size_t number = publishers_.size();
    for (const bool sound : {true, false}) {
      const Sender& sender = sound ? publisher.audio : publisher.video;
      FeedInfo info = sender.info();
      info.participant = ParticipantId(publisher.name);
      studio_.recorder.add_feed(info, kStart);
      feeds_.push_back({sender, number, sound ? publisher.audio_ppm : publisher.video_ppm, random_.u32()});
      events_.push({kStart, Kind::capture, feeds_.size() - 1});
      events_.push({kStart + some(world_.report_every), Kind::report, feeds_.size() - 1});
    }
    if (world_.set_every > 0s) events_.push({kStart + 30s + some(world_.set_every), Kind::set_clock, number});
    publishers_.push_back(std::move(publisher));
  }

  Duration some(Duration most) { return Duration(static_cast<std::int64_t>(random_.unit() * static_cast<double>(most.count()))); }
  Duration transit() {
    const double slow = random_.unit() * random_.unit();
    return 20ms + Duration(static_cast<std::int64_t>(slow * static_cast<double>(world_.jitter.count())));
  }
  rtp::WireTimestamp rtp_at(const Feed& feed, Time at) const {
    const double ticks = std::chrono::duration<double>(stretched(at - kStart, feed.ppm)).count() * feed.sender.codec.clock_rate;
    return static_cast<rtp::WireTimestamp>(feed.zero + static_cast<std::uint64_t>(std::llround(ticks)));
  }
  rtp::NtpTime ntp_at(const Publisher& publisher, Time at) const {
    const auto ns = static_cast<std::uint64_t>((publisher.ntp_zero + stretched(at - kStart, publisher.ntp_ppm)).count());
    return {(ns / 1'000'000'000) << 32 | ((ns % 1'000'000'000) << 32) / 1'000'000'000};
  }

  void happen(const Event& event) {
    switch (event.kind) {
      case Kind::capture: return capture(event);
      case Kind::packet: {
        const Feed& feed = feeds_[event.who];
        const Bytes payload = feed.sender.payload(event.number, event.key);
        return studio_.packet(feed.sender.id, event.number, event.rtp, true, payload, event.at, static_cast<std::uint32_t>(event.who + 1));
      }
      case Kind::report: return report(event);
      case Kind::report_arrives:
        studio_.run_until(event.at);
        return studio_.recorder.handle_sender_report(FeedId(feeds_[event.who].sender.id), event.ntp, event.rtp, event.at);
      case Kind::set_clock: {
        const Duration by = 2 * some(world_.set_by) - world_.set_by;
        publishers_[event.who].ntp_zero += by;
        return events_.push({event.at + world_.set_every / 2 + some(world_.set_every), Kind::set_clock, event.who});
      }
    }
  }

  void capture(const Event& event) {
    Feed& feed = feeds_[event.who];
    const bool sound = feed.sender.codec.kind() == rtp::Kind::audio;
    Event packet{event.at, Kind::packet, event.who, event.number, std::exchange(feed.key_wanted, false), {}, rtp_at(feed, event.at)};
    packet.at += (sound ? kAudioEvery : world_.encoding + some(10ms)) + transit();
    const double fate = random_.unit();
    if (fate < world_.loss) packet.at += 60ms + some(200ms);
    if (fate < world_.loss + world_.held_up) packet.at += some(250ms);
    if (fate >= world_.loss * 0.3) events_.push(packet);
    events_.push({event.at + feed.sender.interval, Kind::capture, event.who, event.number + 1});
  }

  void report(const Event& event) {
    const Feed& feed = feeds_[event.who];
    Event arrival{event.at, Kind::report_arrives, event.who, 0, false, ntp_at(publishers_[feed.publisher], event.at), rtp_at(feed, event.at)};
    arrival.at += transit() + world_.least_report_late + some(world_.report_late - world_.least_report_late);
    if (random_.unit() >= world_.report_loss) events_.push(arrival);
    events_.push({event.at + world_.report_every / 2 + some(world_.report_every), Kind::report, event.who});
  }

  const World& world_;
  SeededRandom random_;
  Studio studio_;
  std::vector<Publisher> publishers_;
  std::vector<Feed> feeds_;
  std::priority_queue<Event> events_;
  std::size_t answered_ = 0;
};

/// Where a frame lies in its file, on the recording's line, and how much later that is than when it was captured.
struct Placed {
  double captured_ms, late_ms;
};

std::vector<Placed> read_back(const Studio& studio, const nlohmann::json& track, Duration interval) {
  const std::string path = track.at("path");
  const FileFacts facts = facts_of(path, studio.file(path)->data);
  std::vector<Placed> frames;
  for (std::size_t i = 0; i < facts.frames.size(); ++i) {
    const double captured = facts.frames[i] * std::chrono::duration<double, std::milli>(interval).count();
    frames.push_back({captured, track.at("offsetMs").get<double>() + facts.times_ms[i] - captured});
    if (i == 0) continue;
    EXPECT_GT(facts.times_ms[i], facts.times_ms[i - 1]) << path << ": times grow";
    EXPECT_GT(facts.frames[i], facts.frames[i - 1]) << path;
  }
  return frames;
}

std::uint64_t seed_of(std::size_t row) {
  const char* given = std::getenv("AMPHI_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : row + 1;
}

struct Worst {
  double apart = 0, at_s = 0, from_clock = 0;
};

/// For each picture, the sound that was captured nearest to it.
Worst compare(const std::vector<Placed>& pictures, const std::vector<Placed>& sounds, double settled_ms) {
  Worst worst;
  std::size_t near = 0;
  for (const Placed& picture : pictures) {
    while (near + 1 < sounds.size() && std::abs(sounds[near + 1].captured_ms - picture.captured_ms) <= std::abs(sounds[near].captured_ms - picture.captured_ms)) ++near;
    worst.from_clock = std::max(worst.from_clock, std::abs(picture.late_ms));
    if (picture.captured_ms < settled_ms) continue;
    const double apart = std::abs(picture.late_ms - sounds[near].late_ms);
    if (apart > worst.apart) worst.apart = apart, worst.at_s = picture.captured_ms / 1000;
  }
  return worst;
}

void expect_in_sync(const World& world, std::uint64_t seed) {
  SCOPED_TRACE(std::string(world.name) + ", AMPHI_SEED=" + std::to_string(seed));
  Stage stage(world, seed);
  const Studio& studio = stage.run();
  ASSERT_TRUE(studio.finished);
  const auto manifest = nlohmann::json::parse(studio.manifest());
  const auto length = static_cast<double>(to_ms(world.length));
  EXPECT_NEAR(manifest.at("durationMs").get<double>(), length, 250);
  std::map<std::string, std::vector<Placed>> files;
  for (const auto& track : manifest.at("tracks")) {
    const std::string feed = track.at("feedId");
    files[feed] = read_back(studio, track, feed.starts_with("mic") ? kAudioEvery : kVideoEvery);
    // Unrecovered loss takes sound alone, and of pictures those up to the next keyframe.
    const double all = length / to_ms(feed.starts_with("mic") ? kAudioEvery : kVideoEvery);
    EXPECT_GT(static_cast<double>(files[feed].size()), all * (feed.starts_with("mic") ? 0.97 : 0.75)) << feed;
    EXPECT_NEAR(files[feed].back().captured_ms + files[feed].back().late_ms, length, 1500) << feed;
    EXPECT_NEAR(track.at("offsetMs").get<double>() + track.at("durationMs").get<double>(), length, 250) << feed;
  }
  ASSERT_EQ(files.size(), 4u);
  Worst worst;
  for (const char* who : {"n", "f"}) {
    const Worst one = compare(files[std::string("cam_") + who], files[std::string("mic_") + who], static_cast<double>(to_ms(world.settled)));
    EXPECT_LE(one.apart, 20) << who << " at " << one.at_s << " s";
    EXPECT_LE(one.from_clock, 250) << who;
    if (one.apart >= worst.apart) worst.apart = one.apart, worst.at_s = one.at_s;
    worst.from_clock = std::max(worst.from_clock, one.from_clock);
  }
  std::printf("%6.1f ms apart at most (at %.0f s), %5.1f ms from the server's clock: %s\n", worst.apart, worst.at_s, worst.from_clock, world.name);
}

std::vector<World> worlds() {
  std::vector<World> rows;
  const auto row = [&](const char* name) -> World& {
    rows.push_back(World{name});
    return rows.back();
  };
  row("true clocks on a poor network");
  {
    World& w = row("200 ppm for eight hours: the sender's clock fast, its sound slow, its pictures fast");
    w.length = 8h;
    w.ntp_ppm = 200, w.audio_ppm = -200, w.video_ppm = 200;
  }
  {
    World& w = row("a machine that is 200 ppm slow in everything");
    w.length = 2h;
    w.ntp_ppm = w.audio_ppm = w.video_ppm = -200;
  }
  {
    World& w = row("2,000 ppm apart");
    w.ntp_ppm = 500, w.audio_ppm = -1000, w.video_ppm = 1000;
    w.report_every = 2s;
  }
  {
    World& w = row("reports come up to 2 s late");
    w.length = 30min;
    w.ntp_ppm = 200, w.audio_ppm = -200, w.video_ppm = 200;
    w.report_late = 2s;
  }
  {
    World& w = row("every report comes 1.5 s to 2 s late");
    w.length = 30min;
    w.ntp_ppm = 200, w.audio_ppm = -200, w.video_ppm = 200;
    w.least_report_late = 1500ms, w.report_late = 2s;
  }
  {
    World& w = row("every report comes 400 ms to 900 ms late");
    w.ntp_ppm = 200, w.audio_ppm = -200, w.video_ppm = 200;
    w.least_report_late = 400ms, w.report_late = 900ms;
  }
  {
    World& w = row("half of the reports are lost");
    w.length = 1h;
    w.ntp_ppm = 200, w.audio_ppm = -100, w.video_ppm = 100;
    w.report_loss = 0.5;
    w.settled = 90s;
  }
  {
    World& w = row("the sender's clock is set every minute, by up to 5 s, forth and back");
    w.length = 1h;
    w.ntp_ppm = 200, w.audio_ppm = -200, w.video_ppm = 200;
    w.set_every = 1min, w.set_by = 5s;
  }
  {
    World& w = row("the sender's clock is set every minute, by up to an hour");
    w.length = 1h;
    w.set_every = 1min, w.set_by = 1h;
  }
  {
    World& w = row("the sender's clock is set every 20 s by up to 400 ms, and reports come up to 2 s late");
    w.length = 1h;
    w.ntp_ppm = 100, w.audio_ppm = -100, w.video_ppm = 100;
    w.set_every = 20s, w.set_by = 400ms;
    w.report_late = 2s;
  }
  return rows;
}

}  // namespace

TEST(Sync, sound_and_picture_lie_within_20_ms_in_the_files_at_every_point) {
  const auto rows = worlds();
  for (std::size_t row = 0; row < rows.size(); ++row) expect_in_sync(rows[row], seed_of(row));
}

}  // namespace amphi::recording::test
