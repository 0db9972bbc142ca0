// Checks a recording against itself: every byte of every file against the journal's hashes, the journal against its own chain,
// the chain's head against the manifest and its signature, what the files hold against what the manifest says. Reads only.
// Names the first range of bytes in each file that is not as it was written. Of a recording that is not finished it checks what is there: what the
// journal tells so far. Thread: any.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/folder.h"
#include "base/signature.h"
#include "recording/recorder.h"

namespace amphi::recording {

struct Finding {
  std::string file;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> bytes;  // from, to (not included)
  std::string what;
};

struct VerifiedTrack {
  std::string path;
  std::uint64_t frames = 0;       // counted in the file
  std::int64_t duration_ms = 0;   // as the file says
  std::uint64_t bytes = 0;
  bool finished = true;           // false: it grows, or was cut off; its pieces are checked, and not its head
  bool looked_inside = false;     // false: encrypted, and no key given
  bool hashed = false;            // false: the manifest of a long recording has no SHA-256 of the file (yet); the journal's hashes cover every byte
};

enum class SignatureState { none, valid, valid_by_unknown_key, invalid };

struct VerifyReport {
  std::string recording_id, session_id, state;
  bool finished = true;           // false: it is being recorded, or was cut off and is not repaired yet
  std::int64_t duration_ms = 0;
  std::vector<VerifiedTrack> tracks;
  std::string chain_head;
  std::uint64_t journal_lines = 0;
  SignatureState signature = SignatureState::none;
  std::string signed_by;  // the public key, in hexadecimal
  std::vector<Finding> findings;  // empty: all that is there is as it was written

  bool sound() const { return finished && findings.empty(); }
};

struct VerifyOptions {
  std::optional<PublicKey> trusted;  // whose signature is wanted; without one the signature is required to fit its own key only
  std::function<std::optional<Sealer>(const WrappedKey&, const RecordingInfo&)> unwrap;  // empty: no key
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;  // bytes; empty: nobody asks
};

VerifyReport verify(const FolderReader& folder, const VerifyOptions& options);

}  // namespace amphi::recording
