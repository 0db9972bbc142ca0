// `amphi-server verify RECORDING`: checks a recording's folder (recording/verify.h) and says what it found, for people or as JSON.
// Thread: main.
#pragma once

#include <string>

namespace amphi::server {

struct VerifyConfig {
  std::string folder;
  std::string public_key;     // PEM: whose signature is wanted; empty: any that fits
  std::string recording_key;  // the key file that it is encrypted under; empty: media are checked by their hashes alone
  bool json = false;
};

/// The exit status: 0 sound, 1 not, 2 it could not be looked at.
int verify_recording(const VerifyConfig& config);

}  // namespace amphi::server
