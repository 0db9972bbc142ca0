// Whether a queue on the path grows: the slope of the one-way delay over the last packet groups, against a threshold
// that adapts to the path (draft-ietf-rmcat-gcc-02 5.1 to 5.4, with a line fitted where the draft has a Kalman filter).
// One thread.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/time.h"

namespace amphi::cc {

enum class Usage { normal, overuse, underuse };

class Trendline {
 public:
  /// In the order of sending. `arrival_ms` is on the receiver's line: only differences count.
  void on_packet(Time sent, double arrival_ms);
  Usage usage() const { return usage_; }

 private:
  struct Group {  // packets sent, or arrived, as one burst
    Time first_sent;
    Time last_sent;
    double first_arrival_ms;
    double last_arrival_ms;
  };
  struct Point {
    double at_ms;
    double delay_ms;
  };
  static constexpr std::size_t kPoints = 20;

  bool belongs(Time sent, double arrival_ms) const;
  void on_group(double sent_delta_ms, double arrival_delta_ms, double at_ms);
  double slope() const;
  void detect(double trend, double sent_delta_ms);
  void adapt(double trend, double at_ms);

  std::optional<Group> previous_;
  std::optional<Group> current_;
  std::array<Point, kPoints> points_{};
  std::size_t groups_ = 0;
  double delay_ms_ = 0;  // accumulated over the groups
  double smoothed_ms_ = 0;
  double threshold_ms_ = 12.5;
  std::optional<double> adapted_at_ms_;
  double overuse_ms_ = 0;
  int overuse_count_ = 0;
  double last_trend_ = 0;
  Usage usage_ = Usage::normal;
};

}  // namespace amphi::cc
