#include "recording/commit_group.h"

#include <gtest/gtest.h>

#include "recording/journal.h"

namespace amphi::recording {
namespace {

/// "w1@7": 7 is where it is written. "s": synced. File 0 is the journal.
std::string word(const Output& output) {
  if (std::holds_alternative<KeyframeWanted>(output)) return "keyframe";
  if (std::holds_alternative<MediaChanged>(output)) return "media";
  const auto& op = std::get<FileOp>(output);
  if (const auto* write = std::get_if<WriteFile>(&op)) return "w" + std::to_string(write->file) + "@" + std::to_string(write->offset);
  if (const auto* sync = std::get_if<SyncFile>(&op)) return "s" + std::to_string(sync->file);
  if (const auto* close = std::get_if<CloseFile>(&op)) return "close" + std::to_string(close->file);
  return "other";
}
using Words = std::vector<std::string>;

FileOp write(FileNumber file, std::uint64_t at) { return WriteFile{file, at, {}}; }
FileOp sync(FileNumber file) { return SyncFile{file}; }
void add(std::deque<Output>& out, std::initializer_list<FileOp> ops) {
  for (const FileOp& op : ops) out.emplace_back(op);
}

/// All of them as they would be polled, with a bar behind each group.
Words polled(std::deque<Output> out) {
  Words words;
  while (!out.empty()) {
    for (std::size_t n = group_commits(out); n > 0; --n) {
      words.push_back(word(out.front()));
      out.pop_front();
    }
    words.push_back("|");
  }
  return words;
}

TEST(CommitGroup, writes_all_pieces_then_syncs_each_file_then_the_lines_that_tell_of_them) {
  std::deque<Output> out;
  add(out, {write(1, 10), sync(1), write(0, 100), sync(0)});
  out.emplace_back(KeyframeWanted{FeedId("fd")});
  add(out, {write(2, 20), sync(2), write(0, 200), sync(0), write(1, 30), sync(1), write(0, 300), sync(0)});
  EXPECT_EQ(polled(out), (Words{"keyframe", "w1@10", "w2@20", "w1@30", "s1", "s2", "w0@100", "w0@200", "w0@300", "s0", "|"}));
}

TEST(CommitGroup, leaves_in_its_place_what_others_rely_on) {
  std::deque<Output> out;
  add(out, {write(1, 10), sync(1), write(0, 100), sync(0)});
  out.emplace_back(MediaChanged{true});  // said of what is durable
  add(out, {write(1, 20), sync(1), write(1, 0), sync(1), CloseFile{1}, write(0, 200), sync(0)});  // its head is written when its tail is durable
  EXPECT_EQ(polled(out), (Words{"w1@10", "s1", "w0@100", "s0", "|", "media", "|", "w1@20", "s1", "|", "w1@0", "|", "s1", "|", "close1", "|", "w0@200", "s0", "|"}));
  EXPECT_EQ(polled({}), Words{});
}

}  // namespace
}  // namespace amphi::recording
