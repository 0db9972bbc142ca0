#include "rtp/h264_sprop.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "rtp/h264.h"
#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

using namespace h264;

constexpr std::size_t kMostSets = 16, kMostBytes = 1024;

std::optional<unsigned> sextet(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<unsigned>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<unsigned>(c - 'a' + 26);
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0' + 52);
  if (c == '+') return 62u;
  if (c == '/') return 63u;
  return std::nullopt;
}

/// RFC 4648 4; padding may be missing.
std::optional<Bytes> from_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1 || text.size() > kMostBytes * 4 / 3 + 4) return std::nullopt;
  Bytes out;
  unsigned bits = 0, held = 0;
  for (const char c : text) {
    const auto value = sextet(c);
    if (!value) return std::nullopt;
    bits = (bits << 6 | *value) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<std::byte>(bits >> held));
  }
  return out.size() <= kMostBytes ? std::optional(std::move(out)) : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Takes the text up to the next `separator` from the front of `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return trimmed(part);
}

bool is_named(std::string_view name, std::string_view wanted) {
  return std::equal(name.begin(), name.end(), wanted.begin(), wanted.end(),
                    [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

std::string_view value_of(std::string_view fmtp, std::string_view wanted) {
  while (!fmtp.empty()) {
    std::string_view parameter = next_part(fmtp, ';');
    const std::string_view name = next_part(parameter, '=');
    if (is_named(name, wanted)) return trimmed(parameter);
  }
  return {};
}

bool add(SpropParameterSets& sets, Bytes nal) {
  if (nal.size() < 2 || (static_cast<unsigned>(nal[0]) & kForbiddenBit) != 0) return false;
  switch (static_cast<unsigned>(nal[0]) & kTypeMask) {
    case kSps: {
      const auto sps = parse_sps(nal);
      if (!sps || sps->width == 0 || sps->height == 0) return false;
      sets.sps.push_back(std::move(nal));
      return true;
    }
    case kPps: sets.pps.push_back(std::move(nal)); return true;
    default: return false;
  }
}

}  // namespace

SpropParameterSets parse_sprop(std::string_view fmtp) {
  std::string_view list = value_of(fmtp, "sprop-parameter-sets");
  SpropParameterSets sets;
  if (list.empty()) return sets;
  std::size_t count = 0;
  while (!list.empty()) {
    auto nal = from_base64(next_part(list, ','));
    if (++count > kMostSets || !nal || !add(sets, std::move(*nal))) return {{}, {}, true};
  }
  if (sets.sps.empty() || sets.pps.empty()) return {{}, {}, true};
  return sets;
}

Bytes aggregate(const SpropParameterSets& sets, std::size_t most) {
  if (sets.empty()) return {};
  Bytes out{std::byte{0x60 | kStapA}};
  for (const auto* list : {&sets.sps, &sets.pps})
    for (const Bytes& nal : *list) {
      out.push_back(static_cast<std::byte>(nal.size() >> 8));
      out.push_back(static_cast<std::byte>(nal.size()));
      out.insert(out.end(), nal.begin(), nal.end());
    }
  return out.size() <= most ? out : Bytes{};
}

}  // namespace amphi::rtp
