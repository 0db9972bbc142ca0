// Named counters: every drop has a name. An enum of your own with a last member `count_`, and a function
// `std::string_view counter_name(YourEnum)` found by ADL; the owner's thread increments, metrics read a copy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace amphi {

template <class Enum>
class Counters {
 public:
  static constexpr std::size_t kSize = static_cast<std::size_t>(Enum::count_);

  void add(Enum which, std::uint64_t n = 1) { values_[static_cast<std::size_t>(which)] += n; }
  std::uint64_t operator[](Enum which) const { return values_[static_cast<std::size_t>(which)]; }

  Counters& operator+=(const Counters& other) {
    for (std::size_t i = 0; i < kSize; ++i) values_[i] += other.values_[i];
    return *this;
  }

  template <class Visit>  // visit(name, value) for each
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < kSize; ++i) visit(counter_name(static_cast<Enum>(i)), values_[i]);
  }

 private:
  std::array<std::uint64_t, kSize> values_{};
};

}  // namespace amphi
