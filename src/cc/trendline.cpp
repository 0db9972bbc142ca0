#include "cc/trendline.h"

#include <algorithm>
#include <cmath>

namespace amphi::cc {
namespace {

constexpr Duration kBurst = 5ms;
constexpr double kBurstMs = 5;
constexpr double kMaxBurstMs = 100;
constexpr double kSmoothing = 0.9;
constexpr double kGain = 4;
constexpr double kOveruseMs = 10;  // how long, before it is believed
constexpr double kAdaptUp = 0.0087;
constexpr double kAdaptDown = 0.039;

double ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

void Trendline::on_packet(Time sent, double arrival_ms) {
  if (current_ && sent < current_->first_sent) return;  // reported late; its group is closed
  if (!current_) {
    current_ = {sent, sent, arrival_ms, arrival_ms};
  } else if (belongs(sent, arrival_ms)) {
    current_->last_sent = std::max(current_->last_sent, sent);
    current_->last_arrival_ms = std::max(current_->last_arrival_ms, arrival_ms);
  } else {
    if (previous_) {
      on_group(ms(current_->last_sent - previous_->last_sent), current_->last_arrival_ms - previous_->last_arrival_ms,
               current_->last_arrival_ms);
    }
    previous_ = current_;
    current_ = {sent, sent, arrival_ms, arrival_ms};
  }
}

bool Trendline::belongs(Time sent, double arrival_ms) const {
  if (sent - current_->first_sent <= kBurst) return true;
  // A radio that was busy delivers what it held back at once: such a burst tells nothing of the queue behind it.
  const double arrival_delta = arrival_ms - current_->last_arrival_ms;
  return arrival_delta - ms(sent - current_->last_sent) < 0 && arrival_delta <= kBurstMs &&
         arrival_ms - current_->first_arrival_ms < kMaxBurstMs;
}

void Trendline::on_group(double sent_delta_ms, double arrival_delta_ms, double at_ms) {
  delay_ms_ += arrival_delta_ms - sent_delta_ms;
  smoothed_ms_ = kSmoothing * smoothed_ms_ + (1 - kSmoothing) * delay_ms_;
  points_[groups_++ % kPoints] = {at_ms, smoothed_ms_};
  if (groups_ < kPoints) return;
  const double trend = slope() * static_cast<double>(std::min<std::size_t>(groups_, 60)) * kGain;
  detect(trend, sent_delta_ms);
  adapt(trend, at_ms);
}

double Trendline::slope() const {
  Point mean{0, 0};
  for (const Point& p : points_) {
    mean.at_ms += p.at_ms / kPoints;
    mean.delay_ms += p.delay_ms / kPoints;
  }
  double covariance = 0;
  double variance = 0;
  for (const Point& p : points_) {
    covariance += (p.at_ms - mean.at_ms) * (p.delay_ms - mean.delay_ms);
    variance += (p.at_ms - mean.at_ms) * (p.at_ms - mean.at_ms);
  }
  return variance > 0 ? covariance / variance : 0;
}

void Trendline::detect(double trend, double sent_delta_ms) {
  if (trend > threshold_ms_) {
    overuse_ms_ += overuse_count_ == 0 ? sent_delta_ms / 2 : sent_delta_ms;
    if (++overuse_count_ > 1 && overuse_ms_ > kOveruseMs && trend >= last_trend_) {
      usage_ = Usage::overuse;
      overuse_ms_ = 0;
      overuse_count_ = 0;
    }
  } else {
    usage_ = trend < -threshold_ms_ ? Usage::underuse : Usage::normal;
    overuse_ms_ = 0;
    overuse_count_ = 0;
  }
  last_trend_ = trend;
}

void Trendline::adapt(double trend, double at_ms) {
  const double elapsed = std::clamp(at_ms - adapted_at_ms_.value_or(at_ms), 0.0, 100.0);
  adapted_at_ms_ = at_ms;
  const double size = std::abs(trend);
  if (size > threshold_ms_ + 15) return;  // a sudden spike, such as a change of route, says nothing of the path's noise
  threshold_ms_ += (size < threshold_ms_ ? kAdaptDown : kAdaptUp) * (size - threshold_ms_) * elapsed;
  threshold_ms_ = std::clamp(threshold_ms_, 6.0, 600.0);
}

}  // namespace amphi::cc
