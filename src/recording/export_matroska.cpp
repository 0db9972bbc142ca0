#include "recording/export_matroska.h"

#include <algorithm>

#include "recording/matroska_elements.h"

namespace amphi::recording {
namespace {

using namespace matroska;

constexpr std::size_t kSeekHeadBytes = 160;  // five entries, and a Void that fills it
constexpr std::int64_t kClusterMs = 1000;
constexpr std::size_t kClusterBytes = 4u << 20;
constexpr std::int64_t kPictureCueMs = 1000, kSoundCueMs = 5000;  // apart, at least
constexpr std::int64_t kMatroskaEpochMs = 978'307'200'000;        // 2001-01-01, in Unix time

Bytes info(const MatroskaExport::Content& content) {
  EbmlWriter out;
  const auto info = out.begin(kInfo);
  out.unsigned_integer(kTimestampScale, 1'000'000);
  out.floating(kDurationId, static_cast<double>(content.duration_ms));
  out.id(kDateUtc);
  out.length(8, 1);
  out.number(static_cast<std::uint64_t>((content.begun.unix_ms - kMatroskaEpochMs) * 1'000'000), 8);
  out.text(kMuxingApp, "amphi");
  out.text(kWritingApp, "amphi");
  out.end(info);
  return out.take();
}

Bytes tracks(const std::vector<MatroskaExport::Track>& all) {
  EbmlWriter out;
  const auto tracks = out.begin(kTracks);
  bool is_first[2] = {true, true};  // sound, picture: what a player takes unless it is told otherwise
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& track = all[i];
    const auto entry = out.begin(kTrackEntry);
    write_track_basics(out, i + 1, track.codec);
    out.unsigned_integer(kFlagDefault, std::exchange(is_first[track.codec.kind() == rtp::Kind::video ? 1 : 0], false) ? 1 : 0);
    out.text(kName, track.name);
    out.text(kLanguage, "und");
    write_codec(out, track.codec, track.width, track.height, track.avc);
    out.end(entry);
  }
  out.end(tracks);
  return out.take();
}

Bytes chapters(const std::vector<ExportChapter>& all) {
  EbmlWriter out;
  if (all.empty()) return {};
  const auto chapters = out.begin(kChapters);
  const auto edition = out.begin(kEditionEntry);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto atom = out.begin(kChapterAtom);
    out.unsigned_integer(kChapterUid, i + 1);
    out.unsigned_integer(kChapterTimeStart, static_cast<std::uint64_t>(all[i].from_ms) * 1'000'000);
    out.unsigned_integer(kChapterTimeEnd, static_cast<std::uint64_t>(all[i].to_ms) * 1'000'000);
    const auto display = out.begin(kChapterDisplay);
    out.text(kChapString, all[i].title);
    out.text(kChapLanguage, "und");
    out.end(display);
    out.end(atom);
  }
  out.end(edition);
  out.end(chapters);
  return out.take();
}

/// `track`: its number; 0: of the file.
void write_tag(EbmlWriter& out, std::size_t track, const std::vector<std::pair<std::string, std::string>>& values) {
  const auto tag = out.begin(kTag);
  const auto targets = out.begin(kTargets);
  if (track > 0) out.unsigned_integer(kTagTrackUid, track);
  out.end(targets);
  for (const auto& [name, value] : values) {
    const auto simple = out.begin(kSimpleTag);
    out.text(kTagName, name);
    out.text(kTagString, value);
    out.end(simple);
  }
  out.end(tag);
}

Bytes tags(const MatroskaExport::Content& content) {
  EbmlWriter out;
  const auto tags = out.begin(kTags);
  write_tag(out, 0, {{"COMMENT", content.comment}});
  for (std::size_t i = 0; i < content.tracks.size(); ++i) write_tag(out, i + 1, content.tracks[i].tags);
  out.end(tags);
  return out.take();
}

}  // namespace

MatroskaExport::MatroskaExport(Content content)
    : content_(std::move(content)),
      has_pictures_(std::any_of(content_.tracks.begin(), content_.tracks.end(), [](const Track& track) { return track.codec.kind() == rtp::Kind::video; })) {
  append(head(std::nullopt, EbmlWriter::kUnknownSize));
}

Bytes MatroskaExport::head(std::optional<std::uint64_t> cues, std::uint64_t size) {
  EbmlWriter out;
  write_ebml_head(out, "matroska");
  out.id(kSegment);
  out.length(size, 8);
  segment_data_ = out.size();
  const Bytes parts[] = {info(content_), recording::tracks(content_.tracks), chapters(content_.chapters), tags(content_)};
  const std::uint64_t at_tracks = kSeekHeadBytes + parts[0].size(), at_chapters = at_tracks + parts[1].size(), at_tags = at_chapters + parts[2].size();
  if (cues && !content_.chapters.empty())
    write_seek_head(out, {{kInfo, kSeekHeadBytes}, {kTracks, at_tracks}, {kChapters, at_chapters}, {kTags, at_tags}, {kCues, *cues}});
  else if (cues)
    write_seek_head(out, {{kInfo, kSeekHeadBytes}, {kTracks, at_tracks}, {kTags, at_tags}, {kCues, *cues}});
  // A Void is of 128 bytes at most.
  for (std::size_t left; (left = segment_data_ + kSeekHeadBytes - out.size()) > 0;) out.padding(left > 128 ? left / 2 : left);
  for (const Bytes& part : parts) out.bytes(part);
  return out.take();
}

bool MatroskaExport::is_cue(std::size_t track, std::int64_t at_ms, bool keyframe) const {
  const bool picture = content_.tracks[track].codec.kind() == rtp::Kind::video;
  if (!keyframe || picture != has_pictures_) return false;
  const auto last = last_cue_.find(track);
  return last == last_cue_.end() || at_ms - last->second >= (picture ? kPictureCueMs : kSoundCueMs);
}

void MatroskaExport::add(std::size_t track, std::int64_t at_ms, std::int64_t decoded_ms, bool keyframe, ByteView data) {
  const bool cue = is_cue(track, at_ms, keyframe);
  if (cluster_ && (cue || decoded_ms - cluster_->at_ms >= kClusterMs || cluster_->writer.size() + data.size() > kClusterBytes)) end_cluster();
  if (!cluster_) {
    cluster_.emplace(Cluster{{}, 0, decoded_ms});
    cluster_->master = cluster_->writer.begin(kCluster);
    cluster_->writer.unsigned_integer(kTimestamp, static_cast<std::uint64_t>(decoded_ms));
  }
  if (cue) {
    cues_.push_back({at_ms, track, size_ - segment_data_});
    last_cue_[track] = at_ms;
  }
  EbmlWriter& out = cluster_->writer;
  const int width = track + 1 < 127 ? 1 : 2;
  out.id(kSimpleBlock);
  out.length(data.size() + static_cast<std::size_t>(width) + 3, 4);
  out.length(track + 1, width);
  out.number(static_cast<std::uint64_t>(at_ms - cluster_->at_ms), 2);
  out.number(keyframe ? 0x80 : 0, 1);
  out.bytes(data);
}

void MatroskaExport::append(Bytes data) {
  size_ += data.size();
  if (ready_.empty()) ready_ = std::move(data);
  else ready_.insert(ready_.end(), data.begin(), data.end());
}

void MatroskaExport::end_cluster() {
  if (!cluster_) return;
  cluster_->writer.end(cluster_->master);
  append(cluster_->writer.take());
  cluster_.reset();
}

Bytes MatroskaExport::take() { return std::exchange(ready_, {}); }

Bytes MatroskaExport::cues() const {
  EbmlWriter out;
  const auto cues = out.begin(kCues);
  for (const Cue& cue : cues_) {
    const auto point = out.begin(kCuePoint);
    out.unsigned_integer(kCueTime, static_cast<std::uint64_t>(cue.at_ms));
    const auto positions = out.begin(kCueTrackPositions);
    out.unsigned_integer(kCueTrack, cue.track + 1);
    out.unsigned_integer(kCueClusterPosition, cue.position);
    out.end(positions);
    out.end(point);
  }
  out.end(cues);
  return out.take();
}

MatroskaExport::End MatroskaExport::finish() {
  end_cluster();
  const std::uint64_t at = size_ - segment_data_;
  append(cues());
  return {take(), head(at, size_ - segment_data_)};
}

}  // namespace amphi::recording
