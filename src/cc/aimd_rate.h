// The delay-based rate (draft-ietf-rmcat-gcc-02 5.5): it grows while no queue does, faster far from where the link was
// last found full, and falls to a share of what arrives when one grows. One thread.
#pragma once

#include <optional>

#include "base/time.h"
#include "cc/trendline.h"

namespace amphi::cc {

class AimdRate {
 public:
  AimdRate(double start_bps, double min_bps, double max_bps) : bps_(start_bps), min_bps_(min_bps), max_bps_(max_bps) {}

  void update(Usage usage, std::optional<double> acked_bps, Duration round_trip, Time now);
  double bps() const { return bps_; }

 private:
  void increase(std::optional<double> acked_bps, Duration round_trip, double elapsed_s);
  void decrease(double acked_bps);
  double capacity_margin() const;

  double bps_;
  double min_bps_;
  double max_bps_;
  bool ever_full_ = false;
  std::optional<double> capacity_bps_;  // what arrived when the link was full, averaged
  double capacity_variance_ = 0;        // relative to capacity, in kbit/s
  std::optional<Time> last_update_;
  Time last_decrease_ = Time::min();
};

}  // namespace amphi::cc
