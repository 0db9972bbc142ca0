// Streams as the numbers of their pictures, with pictures left out.
#include "rtp/h264_references.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace amphi::rtp {
namespace {

/// "I0": an IDR picture, frame_num 0. P: a reference; b: disposable; M: a reference with memory_management_control_operation 5;
/// F, f: the first and second field of a reference; L: pictures were dropped here.
std::string refused(const std::string& stream, bool gaps_allowed = false) {
  H264Sps sps;
  sps.number_bits = 4;
  sps.number_gaps = gaps_allowed;
  H264References references;
  std::string out;
  std::istringstream in(stream);
  for (std::string picture; in >> picture;) {
    const char kind = picture[0];
    if (kind == 'L') references.forget();
    if (kind == 'L') continue;
    H264SliceHeader header;
    header.idr = kind == 'I';
    header.reference = kind != 'b';
    header.anew = kind == 'M';
    header.field = kind == 'F' || kind == 'f';
    header.number = std::stoi(picture.substr(1)) % 16;
    if (references.add(header, sps)) continue;
    out += picture + " ";
    references.forget();
  }
  return out;
}

}  // namespace

TEST(H264References, are_missing_where_the_numbers_have_a_gap) {
  struct Row {
    const char* name;
    const char* stream;
    const char* refused;
    bool gaps_allowed = false;
  };
  for (const Row& row : {
           Row{"each follows the one before", "I0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11 P12 P13 P14 P15 P16 P17 I0 P1", ""},
           Row{"one is left out", "I0 P1 P2 P3 P4 P6 P7", "P6 "},
           Row{"one is left out at the wrap", "I0 P13 I0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11 P12 P13 P14 P15 P17", "P17 "},
           Row{"a keyframe is left out", "I0 P1 P2 P3 P4 P5 P1 P2", "P1 "},
           Row{"after a keyframe that was believed before", "I0 P1 P2 I0 P1 P2 I0 P2 P3", "P2 "},
           Row{"gaps are allowed", "I0 P1 P2 P3 P4 P6 P9", "", true},
           Row{"of pictures that were dropped nothing is said", "I0 P1 P2 P3 P4 L P9 P12 I0 P1", ""},
           Row{"disposable pictures repeat the number of the next reference", "I0 P1 P2 P3 P4 b5 b5 P5 b6 P6 P7 b8", ""},
           Row{"disposable pictures are left out", "I0 P1 P2 b3 b3 P3 P4 P5 b6 P6 P7", ""},
           Row{"a reference between disposable pictures is left out", "I0 P1 P2 P3 b4 P4 b5 b6", "b6 "},
           Row{"an encoder that counts disposable pictures", "I0 P1 P2 P3 P4 b5 P6 b7 P8 P9", ""},
           Row{"an encoder that never counts them", "I0 P1 P2 P3 P4 b4 b4 P5 b5 P6 P7", ""},
           Row{"numbers that begin anew", "I0 P1 P2 P3 P4 P5 M6 P1 P2", ""},
           Row{"fields share a number", "I0 P1 P2 P3 F4 f4 F5 f5 F6 f6", ""},
           Row{"an encoder that does not count", "I0 P0 P0 P0 P0 P0 P7 P0", ""},
           Row{"temporal layers dropped upstream", "I0 P2 P4 P6 P8 P10 I0 P2 P4 P6", ""},
       })
    EXPECT_EQ(refused(row.stream, row.gaps_allowed), row.refused) << row.name;
}

}  // namespace amphi::rtp
