// Which feed of the session each incoming video feed shows, and which feed it shows after its source was lost: because this session was
// joined anew, or because the owner of the source was lost and joins anew. A subscription follows its source by feed id, else by its
// owner's identity and label. After a loss of this session the label alone counts as well, where no other video feed had that label before;
// such a substitute yields to the owner's own feed when that returns.
// No I/O. Thread: its owner's.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace amphi::sdk {

class FeedCore;

struct VideoSource {
  std::string feed_id, identity, label;
};

class VideoSources {
 public:
  using Subscription = const FeedCore*;

  /// `present`: false while the session is being joined anew, so that the source is away already.
  void add(Subscription who, VideoSource source, bool present = true) {
    const std::string shown = present ? source.feed_id : std::string{};
    entries_.push_back({who, shown, std::move(source), present, false});
  }
  void remove(Subscription who) {
    std::erase_if(entries_, [&](const Entry& e) { return e.who == who; });
  }
  /// nullptr: no subscription shows this feed.
  Subscription of(const std::string& feed_id) const {
    const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return !feed_id.empty() && e.shown == feed_id; });
    return it == entries_.end() ? nullptr : it->who;
  }
  /// Empty: the source is away.
  std::string feed_of(Subscription who) const {
    const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.who == who; });
    return it == entries_.end() ? std::string{} : it->shown;
  }
  /// All sources are away from now on. `labels`: of all video feeds that were there.
  void lose_all(const std::vector<std::string>& labels) {
    for (Entry& e : entries_) {
      e.shown.clear();
      e.label_alone = e.label_alone && std::count(labels.begin(), labels.end(), e.source.label) <= 1;
      e.substitute = false;
    }
  }
  /// The owner of this feed was lost: its subscription waits for the same feed, or for one of the same owner and label.
  void lose(const std::string& feed_id) {
    for (Entry& e : entries_) {
      if (feed_id.empty() || e.shown != feed_id) continue;
      e.shown.clear();
      e.label_alone = e.substitute = false;
    }
  }
  struct Claim {
    Subscription who = nullptr;   // nullptr: no subscription waits for the feed
    std::string before;           // the substitute that it showed until now; empty: none
  };
  /// Which subscription shows this feed from now on.
  Claim claim(const VideoSource& appeared) {
    if (of(appeared.feed_id) != nullptr) return {};
    Entry* best = nullptr;
    int best_rank = 0;
    for (Entry& e : entries_) {
      const int rank = rank_of(e, appeared);
      if (rank > best_rank) best = &e, best_rank = rank;
    }
    if (best == nullptr) return {};
    best->substitute = best_rank == 1;
    best->label_alone = true;  // the next loss of this session decides anew
    return {best->who, std::exchange(best->shown, appeared.feed_id)};
  }

 private:
  struct Entry {
    Subscription who;
    std::string shown;        // empty: away
    VideoSource source;       // as it was subscribed
    bool label_alone;         // no other video feed had this label
    bool substitute;          // shown for its label alone
  };

  static int rank_of(const Entry& e, const VideoSource& appeared) {
    if (!e.shown.empty() && !e.substitute) return 0;
    if (e.source.feed_id == appeared.feed_id) return 3;
    if (e.source.label != appeared.label) return 0;
    if (e.source.identity == appeared.identity) return 2;
    return e.shown.empty() && e.label_alone ? 1 : 0;
  }

  std::vector<Entry> entries_;
};

}  // namespace amphi::sdk
