// Resume tokens: any text in place of a token, and a real token with some of its bytes replaced. Only the real token is taken.
#include "fuzz.h"
#include "server/resume_token.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  SeededRandom random(1);
  server::ResumeTokens tokens(Bytes(32, std::byte{7}), random);
  const SessionId session("theatre-1");
  const ParticipantId participant("par_1");
  const std::string real = tokens.make(session, "surgeon", participant);

  std::string changed = real;
  for (std::uint8_t n = in.u8() & 7; n > 0; --n) changed[in.u8() % changed.size()] = static_cast<char>(in.u8());
  const std::string other(in.text());
  for (const std::string& token : {changed, other}) {
    const auto holder = tokens.read(token, session, "surgeon");
    fuzz::require(!holder || (token == real && holder->participant == participant && holder->of_this_life), "a forged token names nobody");
  }
  fuzz::require(!tokens.read(real, session, other), "a token of another identity names nobody");
  fuzz::require(!tokens.read(real, SessionId("theatre-2"), "surgeon"), "a token of another session names nobody");
  return 0;
}
