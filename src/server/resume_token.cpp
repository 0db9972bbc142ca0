// "rt_" life "." nonce "." participant "." HMAC-SHA256 over all of it and whom it is for.
#include "server/resume_token.h"

#include "base/digest.h"

namespace amphi::server {
namespace {

constexpr std::string_view kPrefix = "rt_";
constexpr std::size_t kMaxToken = 256;

}  // namespace

ResumeTokens::ResumeTokens(Bytes key, Random& random) : key_(std::move(key)), random_(random), life_(random.token(8)) {}

std::string ResumeTokens::signature(std::string_view text, const SessionId& session, const std::string& identity) const {
  // Lengths first, so that no two different triples read the same.
  std::string signed_text = "amphi resume 1\n" + std::to_string(session.value.size()) + " " + std::to_string(identity.size()) + "\n";
  signed_text.append(session.value).append("\n").append(identity).append("\n").append(text);
  return to_hex(hmac_sha256(key_, as_bytes(signed_text)));
}

std::string ResumeTokens::make(const SessionId& session, const std::string& identity, const ParticipantId& participant) {
  const std::string text = std::string(kPrefix) + life_ + "." + random_.token(16) + "." + participant.value;
  return text + "." + signature(text, session, identity);
}

std::optional<ResumeTokens::Holder> ResumeTokens::read(std::string_view token, const SessionId& session, const std::string& identity) const {
  if (token.size() > kMaxToken || token.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  const std::size_t last = token.rfind('.');
  if (last == std::string_view::npos) return std::nullopt;
  const std::string_view text = token.substr(0, last);
  if (!equal_constant_time(as_bytes(token.substr(last + 1)), as_bytes(signature(text, session, identity)))) return std::nullopt;
  const std::string_view rest = text.substr(kPrefix.size());
  const std::size_t life_end = rest.find('.');
  const std::size_t nonce_end = rest.find('.', life_end + 1);
  return Holder{ParticipantId(std::string(rest.substr(nonce_end + 1))), rest.substr(0, life_end) == life_};
}

}  // namespace amphi::server
