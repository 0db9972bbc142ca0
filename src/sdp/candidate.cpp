// Candidates (RFC 8839 5.1), in descriptions and trickled, and what a format's parameters say.
#include "sdp/session_description.h"
#include "sdp/text.h"

namespace amphi::sdp {

std::optional<Candidate> parse_candidate(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with("a=")) text.remove_prefix(2);
  if (text.starts_with("candidate:")) text.remove_prefix(10);
  Candidate candidate;
  candidate.foundation = next_word(text);
  const auto component = number<std::uint32_t>(next_word(text));
  candidate.transport = lowered(next_word(text));
  const auto priority = number<std::uint32_t>(next_word(text));
  candidate.address = next_word(text);
  const auto port = number<std::uint16_t>(next_word(text));
  const bool typed = next_word(text) == "typ";
  candidate.type = next_word(text);
  if (component != 1u || !priority || !port || !typed || candidate.type.empty()) return std::nullopt;
  candidate.priority = *priority;
  candidate.port = *port;
  for (std::string_view key = next_word(text); !key.empty(); key = next_word(text)) {
    const std::string_view value = next_word(text);
    if (key == "tcptype") candidate.tcp_type = value;
  }
  return candidate;
}

std::string write_candidate(const Candidate& c) {
  std::string line = "candidate:" + c.foundation + " 1 " + c.transport + " " + std::to_string(c.priority) + " " +
                     c.address + " " + std::to_string(c.port) + " typ " + c.type;
  // A related address is mandatory for these types (RFC 8839 5.1); it tells nothing, as browsers write it.
  if (c.type != "host") line += " raddr 0.0.0.0 rport 0";
  if (!c.tcp_type.empty()) line += " tcptype " + c.tcp_type;
  return line;
}

std::string fmtp_value(std::string_view fmtp, std::string_view key) {
  std::string_view rest = fmtp;
  while (!rest.empty()) {
    std::string_view value = cut(rest, ';');
    if (value.find('=') == std::string_view::npos) continue;
    const std::string_view name = trimmed(cut(value, '='));
    if (equal_no_case(name, key)) return std::string(trimmed(value));
  }
  return {};
}

}  // namespace amphi::sdp
