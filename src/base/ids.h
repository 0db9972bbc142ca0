// Strong identifiers: text that is globally unique, and of which two kinds never mix.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace amphi {

template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string text) : value(std::move(text)) {}
  bool empty() const { return value.empty(); }
  auto operator<=>(const Id&) const = default;
};

using SessionId = Id<struct SessionTag>;
using ParticipantId = Id<struct ParticipantTag>;
using FeedId = Id<struct FeedTag>;
using RecordingId = Id<struct RecordingTag>;

}  // namespace amphi

template <class Tag>
struct std::hash<amphi::Id<Tag>> {
  std::size_t operator()(const amphi::Id<Tag>& id) const noexcept { return std::hash<std::string>{}(id.value); }
};
