// For tests: the file layer in memory, which also checks that a recorder asks only for what a file system can do, and a
// recorder whose every wish is answered at once. Includes no recorder internals.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "recording/recorder.h"

namespace amphi::recording::test {

struct MemoryFile {
  std::string name;
  Bytes data;
  bool open = true;
  bool hashed = false;
  std::vector<std::size_t> synced;  // its size at every sync
};

class MemoryFiles {
 public:
  void apply(const OpenFile& op) {
    for (const auto& [number, file] : files) EXPECT_NE(file.name, op.name) << "a name is used once";
    EXPECT_TRUE(files.emplace(op.file, MemoryFile{op.name, {}, true, false, {}}).second);
  }
  void apply(const ReopenFile& op) {
    MemoryFile& file = at(op.file);
    EXPECT_EQ(file.name, op.name);
    EXPECT_FALSE(file.open);
    EXPECT_LE(op.size, file.data.size());
    file.data.resize(static_cast<std::size_t>(op.size));
    file.open = true;
  }
  void apply(const RemoveFile& op) {
    std::erase_if(files, [&](const auto& each) { return each.second.name == op.name; });
  }
  void apply(const WriteFile& op) {
    MemoryFile& file = at(op.file);
    EXPECT_TRUE(file.open);
    EXPECT_LE(op.offset, file.data.size()) << "no holes";
    const std::size_t end = static_cast<std::size_t>(op.offset) + op.data.size();
    EXPECT_TRUE(op.offset == file.data.size() || end <= file.data.size()) << "a patch stays inside";
    if (file.data.size() < end) file.data.resize(end);
    std::copy(op.data.begin(), op.data.end(), file.data.begin() + static_cast<std::ptrdiff_t>(op.offset));
  }
  void apply(const SyncFile& op) { at(op.file).synced.push_back(at(op.file).data.size()); }
  void apply(const CloseFile& op) {
    EXPECT_TRUE(at(op.file).open);
    at(op.file).open = false;
  }
  void apply(const HashFile& op) {
    EXPECT_FALSE(at(op.file).open);
    at(op.file).hashed = true;
  }
  void apply(const ReplaceFile& op) {
    replaced[op.name] = std::string(as_text(op.data));
    ++replacements;
  }

  MemoryFile& at(FileNumber number) {
    const auto found = files.find(number);
    if (found == files.end()) throw std::runtime_error("an operation on a file that was never opened");
    return found->second;
  }

  std::map<FileNumber, MemoryFile> files;
  std::map<std::string, std::string> replaced;
  std::size_t replacements = 0;
};

inline rtp::Codec vp8_codec() {
  return {rtp::CodecName::vp8, 90'000, 0, ""};
}
inline rtp::Codec h264_codec() {
  return {rtp::CodecName::h264, 90'000, 0, "packetization-mode=1"};
}
inline rtp::Codec opus_codec() {
  return {rtp::CodecName::opus, 48'000, 2, ""};
}

inline FeedInfo feed(std::string id, rtp::Codec codec, std::string participant = "p1") {
  return {FeedId(std::move(id)), ParticipantId(participant), participant + "@example.org", "camera", std::move(codec)};
}

/// A recorder, its files, and what it said.
class Studio {
 public:
  explicit Studio(Time start = Time(1000s))
      : start_(start),
        recorder({RecordingId("rec-1"), SessionId("session-1"), "surgeon@example.org", WallTime{1'700'000'000'250}},
                 start) {
    drain(start);
  }
  Time at(Duration since_start) const { return start_ + since_start; }

  void drain(Time now) {
    while (auto output = recorder.poll_output()) {
      if (auto* op = std::get_if<FileOp>(&*output)) {
        std::visit([&](const auto& it) { files.apply(it); }, *op);
        ++ops;
        if (!answer) continue;
        if (auto* hash = std::get_if<HashFile>(op))
          recorder.handle_hash(hash->file, sha256(files.at(hash->file).data), now);
        if (std::holds_alternative<ReplaceFile>(*op)) recorder.handle_replaced(now);
      } else if (auto* wanted = std::get_if<KeyframeWanted>(&*output)) {
        keyframes_wanted.emplace_back(wanted->feed.value, now - start_);
      } else if (auto* changed = std::get_if<MediaChanged>(&*output)) {
        media.push_back(changed->writing);
      } else if (auto* report = std::get_if<FeedsChanged>(&*output)) {
        reports.emplace_back(now - start_, std::move(*report));
      } else if (std::holds_alternative<Closed>(*output)) {
        EXPECT_TRUE(finished) << "the last word";
        ++closed;
      } else if (std::holds_alternative<Started>(*output)) {
        ++started;
      } else {
        EXPECT_FALSE(finished) << "only once";
        finished = std::get<Finished>(std::move(*output));
      }
    }
  }
  /// Lets the recorder's timers run up to and including `now`.
  void run_until(Time now) {
    for (Time next = recorder.next_timeout(); next <= now; next = recorder.next_timeout()) {
      recorder.handle_timeout(next);
      drain(next);
    }
  }
  void packet(const std::string& id, rtp::Seq seq, rtp::WireTimestamp timestamp, bool marker, ByteView payload,
              Time now, std::uint32_t ssrc = 1) {
    run_until(now);
    recorder.handle_packet(FeedId(id), seq, {marker, 96, static_cast<rtp::WireSeq>(seq), timestamp, ssrc}, payload,
                           now);
    drain(now);
  }
  void stop(Duration after) {
    run_until(at(after));
    recorder.stop(at(after), WallTime{1'700'000'000'250 + to_ms(after)});
    drain(at(after));
  }
  const MemoryFile* file(const std::string& name) const {
    for (const auto& [number, file] : files.files) {
      if (file.name == name) return &file;
    }
    return nullptr;
  }
  std::string manifest() const {
    const auto found = files.replaced.find("manifest.json");
    return found == files.replaced.end() ? "" : found->second;
  }

 private:
  Time start_;

 public:
  Recorder recorder;
  MemoryFiles files;
  bool answer = true;
  int started = 0;
  int closed = 0;
  std::vector<bool> media;  // each change
  std::vector<std::pair<Duration, FeedsChanged>> reports;
  std::size_t ops = 0;
  std::vector<std::pair<std::string, Duration>> keyframes_wanted;
  std::optional<Finished> finished;
};

/// A folder of its own, gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "amphi-recording-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) != nullptr ? pattern : "";
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, ByteView data) const {
    std::ofstream(file(name), std::ios::binary).write(as_text(data).data(), static_cast<std::streamsize>(data.size()));
    return file(name);
  }

 private:
  std::string path_;
};

}  // namespace amphi::recording::test
