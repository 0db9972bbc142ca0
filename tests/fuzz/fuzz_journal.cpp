// The journal, its repair, and verify, on a folder that holds anything: sections separated by a line "---" are the journal's lines and then the manifest.
// The chain of hashes is made here, so that what lies behind the first line is read too. Every track that a journal names has a file of
// some bytes. A repair ends, and what it writes stays within the files that the journal names.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "fuzz.h"
#include "memory_folder.h"
#include "recording/journal.h"
#include "recording/repair.h"
#include "recording/verify.h"

using namespace amphi;
using namespace amphi::recording;

namespace {

/// Gives every line that is an object the hash of the line before it.
std::string chained(std::string_view text) {
  std::string out, head(64, '0');
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string line(text.substr(0, end));
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    auto object = nlohmann::ordered_json::parse(line, nullptr, false);
    if (object.is_object()) {
      object["prev"] = head;
      line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }
    head = to_hex(sha256(as_bytes(line)));
    out += line + "\n";
  }
  return out;
}

void run_repair(const RepairCase& found, const fuzz::MemoryFolder& folder) {
  Repair repair(found, folder, {1'795'000'000'000}, {});
  std::set<FileNumber> open;
  bool closed = false;
  int outputs = 0;
  while (auto output = repair.poll_output()) {
    fuzz::require(!closed && ++outputs < 1'000'000, "a repair comes to an end");
    if (std::holds_alternative<Closed>(*output)) closed = true;
    const auto* op = std::get_if<FileOp>(&*output);
    if (op == nullptr) continue;
    if (const auto* reopened = std::get_if<ReopenFile>(op)) {
      fuzz::require(is_safe_path_name(reopened->name), "a repaired file has a plain name");
      open.insert(reopened->file);
    } else if (const auto* opened = std::get_if<OpenFile>(op)) {
      open.insert(opened->file);
    } else if (const auto* write = std::get_if<WriteFile>(op)) {
      fuzz::require(open.contains(write->file), "only an open file is written");
    } else if (const auto* hash = std::get_if<HashFile>(op)) {
      repair.handle_hash(hash->file, {}, {});
    } else if (std::holds_alternative<ReplaceFile>(*op)) {
      repair.handle_replaced({});
    }
  }
  fuzz::require(closed, "a repair closes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::Input(data, size).text();
  const std::size_t border = text.find("\n---\n");
  const std::string journal = chained(text.substr(0, border == text.npos ? border : border + 1));
  std::optional<std::string_view> manifest;
  if (border != text.npos) manifest = text.substr(border + 5);

  newest_ms(journal);
  fuzz::MemoryFolder folder;
  folder.files[std::string(kJournalName)] = to_bytes(as_bytes(journal));
  if (manifest) folder.files["manifest.json"] = to_bytes(as_bytes(*manifest));
  if (const auto content = parse_journal(journal))
    for (const JournalTrack& track : content->tracks) folder.files[track.record.summary.path].resize(4096);
  verify(folder, {});
  const auto found = repair_case(manifest, journal);
  if (found && *found) run_repair(**found, folder);
  return 0;
}
