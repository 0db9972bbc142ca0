// The rate at which packets arrive at the far end, over its last half second. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>

namespace amphi::cc {

class AckedRate {
 public:
  void add(double arrival_ms, std::size_t bytes) {
    const auto bucket = static_cast<std::int64_t>(arrival_ms / kBucketMs);
    if (!newest_) newest_ = first_ = bucket;
    if (bucket <= *newest_ - kBuckets) return;
    for (; *newest_ < bucket; ++*newest_) at(*newest_ + 1) = 0;
    at(bucket) += bytes;
  }
  /// nullopt: not half a second yet.
  std::optional<double> bps() const {
    if (!newest_ || *newest_ - first_ < kBuckets) return std::nullopt;
    // The newest is still filling: it is left out.
    const std::size_t newest = buckets_[index(*newest_)];
    const std::size_t total = std::accumulate(buckets_.begin(), buckets_.end(), std::size_t{0}) - newest;
    return static_cast<double>(total) * 8'000 / (kBucketMs * (kBuckets - 1));
  }

 private:
  static constexpr std::int64_t kBuckets = 11;
  static constexpr double kBucketMs = 50;

  static std::size_t index(std::int64_t bucket) {
    return static_cast<std::size_t>((bucket % kBuckets + kBuckets) % kBuckets);
  }
  std::size_t& at(std::int64_t bucket) { return buckets_[index(bucket)]; }

  std::array<std::size_t, kBuckets> buckets_{};
  std::int64_t first_ = 0;
  std::optional<std::int64_t> newest_;
};

}  // namespace amphi::cc
