// A recording's folder after edits: media bytes, values and lines of the journal, values of the manifest, files that were cut. The hashes and the
// chain are made to fit again, so that the readers behind them see the edits. Verify, repair, and the export of tracks then read the folder.
//
// Verify finds every changed media byte whose hash was left, a folder that was only cut is sound after its repair, and each ends.
#include <nlohmann/json.hpp>
#include <set>

#include "fuzz.h"
#include "recorded.h"
#include "recording/export_matroska.h"
#include "recording/export_tracks.h"
#include "recording/journal.h"
#include "recording/mp4_header.h"
#include "recording/repair.h"
#include "recording/verify.h"

using namespace amphi;
using namespace amphi::recording;
using Json = nlohmann::ordered_json;

namespace {

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// The folder as it is edited. Lines and manifest are values until `write`.
class Edited {
 public:
  explicit Edited(const fuzz::Recorded& recorded) : folder(recorded.folder), manifest_(Json::parse(recorded.text("manifest.json"))) {
    const std::string journal = recorded.text("journal.jsonl");
    for (std::size_t at = 0, end = 0; (end = journal.find('\n', at)) != journal.npos; at = end + 1) lines_.push_back(Json::parse(journal.substr(at, end - at)));
    for (const auto& [name, data] : folder.files)
      if (name != "manifest.json" && name != "journal.jsonl") media_.push_back(name);
  }

  void edit(std::uint8_t what, fuzz::Input& in) {
    switch (what % 8) {
      case 0: overwrite(in); break;
      case 1: {
        Json& line = line_at(in.u8());
        set(line, in.u8(), in);
        break;
      }
      case 2: {
        Json& tracks = manifest_["tracks"];
        const std::uint8_t of = in.u8();  // the manifest itself, or one of its tracks
        const bool inner = of % 4 != 0 && tracks.is_array() && of % 4u <= tracks.size();
        set(inner ? tracks[of % 4 - 1] : manifest_, in.u8(), in);
        break;
      }
      case 3: remove(in.u8()); break;
      case 4: cut(in); break;
      case 5: {
        const Json line = line_at(in.u8());
        lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(in.u8() % lines_.size()), line);
        texts = true;
        break;
      }
      case 6:
        lines_.resize(1 + in.u8() % lines_.size());
        cuts = true;
        break;
      default:
        has_manifest_ = false;
        cuts = true;
    }
  }
  void write(bool hash, bool chain) {
    if (hash) hash_extents();
    std::string journal, head(64, '0');
    for (Json& line : lines_) {
      if (chain && line.is_object()) line["prev"] = head;
      const std::string text = text_of(line);
      head = to_hex(sha256(as_bytes(text)));
      journal += text + "\n";
    }
    folder.files["journal.jsonl"] = to_bytes(as_bytes(journal));
    if (chain && manifest_["evidence"].is_object()) {
      manifest_["evidence"]["head"] = head;
      manifest_["evidence"]["lines"] = lines_.size();
    }
    folder.files["manifest.json"] = to_bytes(as_bytes(text_of(manifest_)));
    if (!has_manifest_) folder.files.erase("manifest.json");
  }

  fuzz::MemoryFolder folder;
  bool media = false, texts = false, cuts = false;  // what was edited

 private:
  Json& line_at(std::uint8_t n) { return lines_[n % lines_.size()]; }
  void overwrite(fuzz::Input& in) {
    Bytes& file = folder.files[media_[in.u8() % media_.size()]];
    const std::size_t at = in.u16();
    const Bytes data = in.short_piece();
    for (std::size_t i = 0; i < data.size() && at + i < file.size(); ++i) {
      media = media || file[at + i] != data[i];
      file[at + i] = data[i];
    }
  }
  void set(Json& object, std::uint8_t key, fuzz::Input& in) {
    const Json value = Json::parse(as_text(in.short_piece()), nullptr, false);
    if (!object.is_object() || object.empty() || value.is_discarded()) return;
    std::next(object.begin(), key % static_cast<std::ptrdiff_t>(object.size())).value() = value;
    texts = true;
  }
  void remove(std::uint8_t n) {
    if (lines_.size() == 1) return;
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(n % lines_.size()));
    texts = true;
  }
  void cut(fuzz::Input& in) {
    Bytes& file = folder.files[media_[in.u8() % media_.size()]];
    file.resize(std::min<std::size_t>(file.size(), in.u16()));
    cuts = true;
  }
  void hash_extents() {
    std::map<Json, std::string> paths;
    for (Json& line : lines_) {
      if (!line.is_object() || !line.contains("file")) continue;
      if (line.contains("path") && line["path"].is_string()) paths[line["file"]] = line["path"];
      const auto file = folder.files.find(paths[line["file"]]);
      if (file == folder.files.end()) continue;
      for (Json* extent : {&line, line.contains("head") ? &line["head"] : nullptr, line.contains("tail") ? &line["tail"] : nullptr})
        if (extent != nullptr) hash_extent(*extent, file->second);
    }
  }
  static void hash_extent(Json& extent, const Bytes& file) {
    if (!extent.is_object() || !extent.contains("sha256") || !extent.contains("at") || !extent.contains("size")) return;
    if (!extent["at"].is_number_unsigned() || !extent["size"].is_number_unsigned()) return;
    const auto at = extent["at"].get<std::uint64_t>(), size = extent["size"].get<std::uint64_t>();
    if (at > file.size() || size > file.size() - at) return;
    extent["sha256"] = to_hex(sha256(ByteView(file).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size))));
  }

  std::vector<Json> lines_;
  Json manifest_;
  bool has_manifest_ = true;
  std::vector<std::string> media_;
};

std::optional<std::string> file_in(const fuzz::MemoryFolder& folder, const std::string& name) {
  const auto found = folder.files.find(name);
  return found == folder.files.end() ? std::nullopt : std::optional(std::string(as_text(found->second)));
}

/// Whether there was something to repair, and it ended well.
bool repaired(fuzz::MemoryFolder& folder) {
  const auto manifest = file_in(folder, "manifest.json"), journal = file_in(folder, "journal.jsonl");
  auto found = repair_case(manifest, journal);
  if (!found || !*found) return false;
  Repair repair(std::move(**found), folder, {1'795'000'000'000}, {});
  fuzz::MemoryDisk disk(folder);
  bool well = false, closed = false;
  int outputs = 0;
  while (auto output = repair.poll_output()) {
    fuzz::require(!closed && ++outputs < 1'000'000, "a repair comes to an end");
    closed = std::holds_alternative<Closed>(*output);
    if (const auto* finished = std::get_if<Finished>(&*output)) well = !finished->error;
    if (const auto* op = std::get_if<FileOp>(&*output)) disk.carry_out(*op, repair, Time{1h});
  }
  fuzz::require(closed, "a repair closes");
  return well;
}

MatroskaExport::Track described(const ExportPiece& piece, const JournalTrack& recorded) {
  MatroskaExport::Track track{piece.name, piece.codec, recorded.first.width, recorded.first.height, {}, {{"LABEL", piece.label}}};
  if (piece.codec.name == rtp::CodecName::h264) track.avc = avc_configuration(recorded.first);
  return track;
}

/// Every track by itself, as `export --tracks` reads it.
void export_each(const fuzz::MemoryFolder& folder) {
  const auto text = file_in(folder, "manifest.json"), journal_text = file_in(folder, "journal.jsonl");
  const auto manifest = text ? parse_manifest(*text) : tl::unexpected(Error{});
  const auto journal = parse_journal(*journal_text);
  const auto plan = manifest && journal ? plan_export({{*manifest, "folder"}}, {}) : tl::unexpected(Error{});
  if (!plan) return;
  for (const ExportTrack& made : export_tracks(*plan)) {
    for (const ExportPiece& piece : made.pieces) {
      const auto recorded = std::find_if(journal->tracks.begin(), journal->tracks.end(), [&](const JournalTrack& t) { return t.record.summary.path == piece.path; });
      if (recorded == journal->tracks.end()) continue;
      (void)keyframe_before(*recorded, piece.file_from_ms);
      ExportFrames frames(piece, *recorded, [&](const Extent& extent) { return folder.read(piece.path, extent.at, extent.size); });
      MatroskaExport file({{described(piece, *recorded)}, plan->chapters, plan->duration_ms, "", plan->begun});
      for (int count = 0;; ++count) {
        const auto frame = frames.next();
        if (!frame || !*frame) break;
        fuzz::require(count < 100'000, "a track comes to an end");
        fuzz::require((*frame)->decoded_ms <= (*frame)->at_ms, "a frame is decoded before it is shown");
        file.add(0, (*frame)->at_ms, (*frame)->decoded_ms, (*frame)->keyframe, (*frame)->data);
        (void)file.take();
      }
      (void)file.finish();
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Recorded recorded;
  fuzz::Input in(data, size);
  const std::uint8_t mode = in.u8();
  const bool hash = mode & 1, chain = !(mode & 2);
  Edited edited(recorded);
  for (int edits = 0; edits < 32 && !in.done(); ++edits) edited.edit(in.u8(), in);
  edited.write(hash, chain);

  const VerifyReport report = verify(edited.folder, {});
  if (!edited.media && !edited.texts && !edited.cuts && !hash) fuzz::require(report.sound(), "an untouched recording is sound");
  if (edited.media && !edited.texts && !edited.cuts && !hash) fuzz::require(!report.findings.empty(), "a changed byte is found");
  export_each(edited.folder);
  if (repaired(edited.folder) && !edited.media && !edited.texts && chain && !hash)
    fuzz::require(verify(edited.folder, {}).sound(), "what was only cut is sound after its repair");
  return 0;
}
