// Selects the active source (ssrc) of one m-line. A pure machine: packets and times in, a choice out. Forwarding and recording see the
// packets of the selected source only, so neither of them arbitrates. See docs/decisions/0018-source-selection.md.
//
//  - The first source that sends media is selected. It stays selected while it sends.
//  - Another source is selected once the selected one has been silent for `patience()`: twice its longest recent packet interval, within
//    kLeastPatience and kMostPatience. A BYE ends the patience at once.
//  - Until then the packets of a newcomer are held. They are replayed in order when their source is selected, so that a switch within
//    one packet loses nothing. A straggler of the replaced source is held too, and is dropped when the selected source goes on.
//  - A source that has sent for longer than kOverlap beside the selected one is a simultaneous source: its packets are dropped.
//  - A larger simultaneous source does not take over. Each change of the source costs the recording a gap and every subscriber a wait for a
//    keyframe. A simulcast sender pauses and resumes its upper layers with its bandwidth estimate, so a preference for them would change the
//    source again and again. Bit rate tells a larger layer from a livelier picture only over seconds.
//
// Memory is bounded: kMostHeld packets, kMostHeldBytes, kMostOthers known sources. Nothing is allocated while one source sends.
// Thread: its owner's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/time.h"
#include "rtp/packet.h"

namespace amphi::rtp {

class SourceSelector {
 public:
  static constexpr Duration kLeastPatience = 100ms;
  static constexpr Duration kMostPatience = 1s;
  static constexpr Duration kUnknownPatience = 500ms;  // of a source whose packet interval is not known yet
  static constexpr Duration kOverlap = 500ms;            // stragglers of a replaced source come within it
  static constexpr Duration kAbsent = 100ms;           // a source that was silent for longer is a newcomer again
  static constexpr std::size_t kMostHeld = 1024;
  static constexpr std::size_t kMostHeldBytes = 2'000'000;
  static constexpr std::size_t kMostOthers = 8;

  enum class Choice {
    selected,
    held,          // poll() gives the packet back if its source is selected
    not_selected,  // dropped
  };
  struct Held {
    RtpHeader header;
    Bytes payload;
    std::optional<std::uint8_t> audio_level;
    Time arrival;
  };

  /// A packet of the line's codec, in the order of arrival. Padding (an empty payload) neither selects a source nor keeps it selected.
  Choice choose(const RtpHeader& header, ByteView payload, std::optional<std::uint8_t> audio_level, Time now);
  /// The next held packet whose source is selected by now; call until nullopt after each choose() that gave `held`, and on a timeout.
  std::optional<Held> poll(Time now);
  /// When the selected source will have been silent for long enough for a held one; Time::max(): nothing is held.
  Time next_timeout() const { return held_.empty() ? Time::max() : heard_ + patience(); }
  /// The source said that it ends (RTCP BYE).
  void end(std::uint32_t ssrc);

  std::optional<std::uint32_t> selected() const { return selected_; }
  /// How many held packets were dropped since the last call.
  std::uint64_t take_dropped() { return std::exchange(dropped_, 0); }
  std::size_t held() const { return held_.size(); }

 private:
  struct Other {
    std::uint32_t ssrc = 0;
    Time since = Time::min(), heard = Time::min();  // the beginning and the end of its current presence
  };

  void select(std::uint32_t ssrc, Time now);
  /// `learns_interval`: no other source waits. Otherwise this may be a straggler, and the interval between stragglers is no regular one.
  void on_selected_media(Time now, bool learns_interval);
  Duration patience() const;
  bool is_silent(Time now) const { return ended_ || now - heard_ >= patience(); }
  Other& find_other(std::uint32_t ssrc, Time now);
  bool hold(const RtpHeader& header, ByteView payload, std::optional<std::uint8_t> audio_level, Time now);
  const Held* next_source();
  void drop_front();
  void drop_held_of(std::uint32_t ssrc);
  void drop_outdated();

  std::optional<std::uint32_t> selected_;
  Time heard_;          // when media of the selected source came
  bool ended_ = false;  // it said BYE
  Duration longest_{}, longest_before_{};  // its longest packet interval: of this window, and of the one before
  Time window_since_;
  std::array<Other, kMostOthers> others_;
  std::deque<Held> held_;  // in the order of arrival
  std::size_t held_bytes_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace amphi::rtp
