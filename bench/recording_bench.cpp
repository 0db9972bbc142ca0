// What recording costs on top of forwarding, and how long a stop takes: the server's own sink, writer thread, recorder and files, on the
// disk under --folder.
//
// 1. In real time, N feeds of 2.5 Mbit/s (VP8, 720p, 30 frames a second): the CPU time of the writer thread, and that of the tap on the
//    media worker's side, each as a share of one core for each feed.
// 2. An hour of two such feeds and a microphone is recorded as fast as the disk takes it; then the time from the stop to the confirmation
//    that every file is complete and its manifest says so is taken. SHA-256 of the whole files follows, and is shown apart.
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/clock.h"
#include "server/recording_catalogue.h"
#include "server/recording_repair.h"
#include "server/recording_writer.h"

namespace amphi::server {
namespace {

constexpr int kFramesPerSecond = 30, kPacketsPerFrame = 10;
constexpr std::size_t kPayload = 1040;  // 2.5 Mbit/s
constexpr Duration kFrame = Duration(1s) / kFramesPerSecond;

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

sfu::FeedInfo feed_info(const std::string& id, rtp::CodecName codec) {
  sfu::FeedInfo info;
  info.id = FeedId(id);
  info.participant = ParticipantId("par_" + id);
  info.participant_identity = id;
  info.label = "camera";
  info.codec = codec == rtp::CodecName::opus ? rtp::Codec{codec, 48'000, 2, ""} : rtp::Codec{codec, 90'000, 0, ""};
  return info;
}

/// One feed's packets: frames of ten packets, a keyframe every ten seconds.
class Feed {
 public:
  explicit Feed(int number) : id_("fd_" + std::to_string(number)), payload_(kPayload, std::byte{0x5a}) {}
  const FeedId& id() const { return id_; }

  void frame(RecordingSink& sink, Time now) {
    const bool key = frame_ % (10 * kFramesPerSecond) == 0;
    for (int i = 0; i < kPacketsPerFrame; ++i) {
      static constexpr unsigned char kKey[] = {0x10, 0x90, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02, 0, 0, 0, 0};
      static constexpr unsigned char kDelta[] = {0x10, 0x91, 0, 0, 0, 0, 0, 0};
      static constexpr unsigned char kRest[] = {0x00, 0x00};
      const auto begin = i > 0 ? std::span<const unsigned char>(kRest) : key ? std::span<const unsigned char>(kKey) : std::span<const unsigned char>(kDelta);
      std::transform(begin.begin(), begin.end(), payload_.begin(), [](unsigned char c) { return static_cast<std::byte>(c); });
      peer::ReceivedRtp packet;
      packet.seq = seq_;
      packet.header = {i + 1 == kPacketsPerFrame, 96, static_cast<rtp::WireSeq>(seq_), static_cast<rtp::WireTimestamp>(frame_ * 90'000 / kFramesPerSecond), 7};
      packet.payload = payload_;
      sink.packet(id_, packet, now);
      ++seq_;
    }
    ++frame_;
  }

 private:
  FeedId id_;
  Bytes payload_;
  rtp::Seq seq_ = 0;
  std::int64_t frame_ = 0;
};

/// Waited for by the thread that measures.
class Moment {
 public:
  void reach() {
    {
      const std::lock_guard lock(mutex_);
      at_ = runtime::now();
    }
    changed_.notify_all();
  }
  Time wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return at_.has_value(); });
    return *at_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Time> at_;
};

RecordingPlan plan(const std::filesystem::path& folder, const std::string& id, const Safe& safe) {
  RecordingPlan made;
  made.info = {RecordingId(id), SessionId("bench"), "bench", runtime::wall_now(), Duration{}, RecordingId()};
  made.session_folder = folder.string();
  made.safe = &safe;
  made.start = runtime::now();
  return made;
}

/// No figures of a recording that failed. Leaves its folder.
[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "bench: the recording has failed: %s\n", error.message.c_str());
  std::_Exit(1);
}

struct Cost {
  double writer = 0, tap = 0;  // per cent of a core for each feed
};

Cost measure_cost(const std::filesystem::path& folder, int feeds, int seconds, int round) {
  const Safe safe;
  Moment started, finished;
  RecordingEvents events;
  events.started = [&](Time) { started.reach(); };
  events.finished = [&](Duration, std::optional<Error> error) {
    if (error) give_up(*error);
    finished.reach();
  };
  events.keyframe_wanted = [](const FeedId&) {};
  auto sink = std::make_shared<RecordingSink>();
  RecordingWriter writer("recording");
  auto job = std::make_shared<RecordingJob>(plan(folder, "cost-" + std::to_string(round), safe), std::move(events));
  writer.add(job, sink, Duration::zero());
  started.wait();
  std::vector<Feed> all;
  for (int i = 0; i < feeds; ++i) all.emplace_back(i);
  for (const Feed& feed : all) sink->feed_added(feed_info(feed.id().value, rtp::CodecName::vp8), runtime::now());

  const double process = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID), own = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  double tap = 0;
  const Time begin = runtime::now();
  for (int frame = 0; frame < seconds * kFramesPerSecond; ++frame) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point((begin + kFrame * frame + kFrame * static_cast<int>(i) / feeds).time_since_epoch()));
      const double before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
      all[i].frame(*sink, runtime::now());
      tap += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - before;
    }
    if (frame % kFramesPerSecond == 0 && isatty(STDERR_FILENO)) std::fprintf(stderr, "\r  recording %d of %d s", frame / kFramesPerSecond, seconds);
  }
  const double writing = (cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - process) - (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - own);
  const double wall = std::chrono::duration<double>(runtime::now() - begin).count();
  writer.post([job, at = runtime::now()] { job->stop(at); });
  finished.wait();
  writer.stop();
  return {100 * writing / wall / feeds, 100 * tap / wall / feeds};
}

struct StopTime {
  double complete_ms = 0, hash_ms = 0;
  std::uint64_t bytes = 0;
};

StopTime measure_stop(const std::filesystem::path& folder, int media_seconds) {
  const Safe safe;
  RecordingEvents events;
  std::optional<Time> confirmed;
  events.started = [](Time) {};
  events.finished = [&](Duration, std::optional<Error> error) {
    if (error) give_up(*error);
    confirmed = runtime::now();
  };
  events.keyframe_wanted = [](const FeedId&) {};
  auto sink = std::make_shared<RecordingSink>();
  RecordingPlan made = plan(folder, "hour", safe);
  RecordingJob job(made, std::move(events));
  job.begin(sink, Duration::zero());
  std::vector<Feed> all{Feed(0), Feed(1)};
  for (const Feed& feed : all) sink->feed_added(feed_info(feed.id().value, rtp::CodecName::vp8), made.start);
  sink->feed_added(feed_info("fd_mic", rtp::CodecName::opus), made.start);
  peer::ReceivedRtp sound;
  const Bytes opus(80, std::byte{0x78});
  sound.payload = opus;
  const int frames = media_seconds * kFramesPerSecond;
  for (int frame = 0; frame < frames; ++frame) {
    const Time now = made.start + Duration(1s) * frame / kFramesPerSecond;
    for (Feed& feed : all) feed.frame(*sink, now);
    for (; Duration(20ms) * sound.seq <= now - made.start; ++sound.seq) {
      sound.header = {false, 111, static_cast<rtp::WireSeq>(sound.seq), static_cast<rtp::WireTimestamp>(sound.seq * 960), 8};
      sink->packet(FeedId("fd_mic"), sound, now);
    }
    job.step(now);
    if (frame % (60 * kFramesPerSecond) == 0 && isatty(STDERR_FILENO)) std::fprintf(stderr, "\r  an hour as fast as it goes: minute %d", frame / kFramesPerSecond / 60);
  }
  StopTime taken;
  const Time stop = runtime::now();
  job.stop(made.start + seconds(media_seconds));
  while (job.step(made.start + seconds(media_seconds))) {}
  if (!confirmed) return taken;
  const Time complete = runtime::now();
  if (const auto hashed = repair_recording((folder / "hour").string(), safe, {recording::Hashes::all, {}, {}}); !hashed) return taken;
  taken.complete_ms = std::chrono::duration<double, std::milli>(*confirmed - stop).count();
  taken.hash_ms = std::chrono::duration<double, std::milli>(runtime::now() - complete).count();
  for (const auto& entry : std::filesystem::directory_iterator(folder / "hour")) taken.bytes += entry.file_size();
  return taken;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(int argc, char** argv) {
  int feeds = 4, seconds = 10, rounds = 3, minutes = 60;
  std::string json_file, folder = ".";
  CLI::App app("What recording costs on top of forwarding, and how long a stop takes.", "recording_bench");
  app.add_option("--feeds", feeds, "feeds of 2.5 Mbit/s at once")->check(CLI::Range(1, 64));
  app.add_option("--seconds", seconds, "length of a round")->check(CLI::Range(1, 3600));
  app.add_option("--rounds", rounds, "the median of so many is given")->check(CLI::Range(1, 99));
  app.add_option("--minutes", minutes, "length of the recording that is stopped")->check(CLI::Range(1, 600));
  app.add_option("--folder", folder, "where to record: a folder on the disk in question");
  app.add_option("--json", json_file, "write the figures here");
  CLI11_PARSE(app, argc, argv);

  std::string pattern = folder + "/recording-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return std::fprintf(stderr, "bench: cannot make a folder in %s\n", folder.c_str()), 1;
  const std::filesystem::path root = pattern;
  std::vector<double> writer, tap, sum;
  for (int round = 0; round < rounds; ++round) {
    const Cost cost = measure_cost(root, feeds, seconds, round);
    writer.push_back(cost.writer);
    tap.push_back(cost.tap);
    sum.push_back(cost.writer + cost.tap);
  }
  const StopTime stop = measure_stop(root, minutes * 60);
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);

  if (isatty(STDERR_FILENO)) std::fputs("\r                                                \r", stderr);
  std::printf("A recorded feed of 2.5 Mbit/s costs %.3f %% of a core (median of %d rounds of %d s with %d feeds):\n", median(sum), rounds, seconds, feeds);
  std::printf("  the recorder (writer thread)      %.3f %%\n  the tap (on the media worker)     %.3f %%\n", median(writer), median(tap));
  std::printf("A recording of %d min, %.2f GB, is complete %.1f ms after the stop; its SHA-256 follows in %.0f ms.\n", minutes,
              static_cast<double>(stop.bytes) / 1e9, stop.complete_ms, stop.hash_ms);
  if (!json_file.empty()) {
    const nlohmann::ordered_json json{{"corePercentPerFeed", median(sum)}, {"recorderPercentPerFeed", median(writer)}, {"tapPercentPerFeed", median(tap)},
                                      {"feeds", feeds}, {"seconds", seconds}, {"rounds", rounds}, {"bitsPerSecondPerFeed", kFramesPerSecond * kPacketsPerFrame * kPayload * 8},
                                      {"stopToCompleteMs", stop.complete_ms}, {"hashMs", stop.hash_ms}, {"recordedMinutes", minutes}, {"recordedBytes", stop.bytes}};
    std::ofstream(json_file) << json.dump(2) << "\n";
  }
  return stop.bytes == 0 ? 1 : 0;
}

}  // namespace
}  // namespace amphi::server

int main(int argc, char** argv) { return amphi::server::run(argc, argv); }
