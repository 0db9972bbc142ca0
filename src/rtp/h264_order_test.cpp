// The picture order counts of built slices: the wrap of type 0, the cycles of type 1, and counts that begin anew.
#include "rtp/h264_order.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "rtp/test_nal_builder.h"

namespace amphi::rtp {
namespace {

enum class Anew { no, plain, behind_everything };

/// A picture, as its first slice says it.
struct Picture {
  char kind;  // I: IDR; P, B: references; p, b: none
  unsigned number = 0;  // frame_num
  unsigned lsb = 0;
  int delta = 0;  // of type 1: delta_pic_order_cnt[0]; of type 0: delta_pic_order_cnt_bottom
  Anew anew = Anew::no;
  char field = 'f';  // t, b: a field
};

class SliceBuilder : public NalBuilder<SliceBuilder> {
 public:
  SliceBuilder(const Picture& picture, const H264Sps& sps, const H264Pps& pps) : NalBuilder(header(picture)) {
    const bool is_b = picture.kind == 'B' || picture.kind == 'b';
    ue(0).ue(picture.kind == 'I' ? 7 : is_b ? 1 : 0).ue(0).put(picture.number & ((1u << sps.number_bits) - 1), sps.number_bits);
    if (sps.fields) put(picture.field != 'f', 1);
    if (picture.field != 'f') put(picture.field == 'b', 1);
    if (picture.kind == 'I') ue(1);
    if (sps.order_type == 0) put(picture.lsb & ((1u << sps.order_bits) - 1), sps.order_bits);
    const bool frame = picture.field == 'f';
    if (sps.order_type == 0 && pps.field_order && frame) se(picture.delta);
    if (sps.order_type == 1 && sps.cycle.deltas) se(picture.delta);
    if (sps.order_type == 1 && sps.cycle.deltas && pps.field_order && frame) se(0);
    if (pps.redundant) ue(0);
    if (picture.kind == 'I') {
      put(0, 2);
      return;
    }
    if (is_b) put(1, 1);
    const bool full = picture.anew == Anew::behind_everything;
    put(full, 1);  // more references than usual, modifications of their lists, weights
    if (full) ue(1);
    if (full && is_b) ue(0);
    for (int list = 0; list < (is_b ? 2 : 1); ++list) {
      put(full, 1);
      if (full) ue(0).ue(5).ue(1).ue(6).ue(2).ue(0).ue(3);
    }
    const unsigned first = full ? 2 : pps.references[0];
    if ((!is_b && pps.weighted) || (is_b && pps.weighted_bidirectional)) {
      ue(5).ue(5);
      for (unsigned i = 0; i < first + (is_b ? 1 : 0); ++i) put(1, 1).se(-3).se(4).put(1, 1).se(1).se(-1).se(2).se(-2);
    }
    if (picture.kind == 'p' || picture.kind == 'b') return;
    put(picture.anew != Anew::no, 1);
    if (full) ue(1).ue(0).ue(2).ue(1).ue(3).ue(1).ue(1).ue(4).ue(2).ue(6).ue(0);
    if (picture.anew != Anew::no) ue(5).ue(0);
  }

 private:
  static unsigned header(const Picture& picture) { return picture.kind == 'I' ? 0x65 : picture.kind == 'p' || picture.kind == 'b' ? 0x01 : 0x41; }
};

H264Pps plain_pps() {
  H264Pps pps;
  pps.complete = true;
  pps.references = {1, 1};
  return pps;
}
H264Sps type_0(std::uint8_t bits) {
  H264Sps sps;
  sps.number_bits = 4;
  sps.order_type = 0;
  sps.order_bits = bits;
  return sps;
}
H264Sps type_1(std::vector<std::int32_t> references, std::int32_t non_reference) {
  H264Sps sps;
  sps.number_bits = 4;
  sps.order_type = 1;
  sps.cycle = {true, non_reference, 1, std::move(references)};
  return sps;
}

struct Stream {
  H264Sps sps;
  H264Pps pps = plain_pps();
  H264OrderCounter counter{};

  std::vector<std::int64_t> counts(const std::vector<Picture>& pictures) {
    std::vector<std::int64_t> counts;
    for (const Picture& picture : pictures) {
      const auto order = counter.next(SliceBuilder(picture, sps, pps).nal(), sps, pps);
      EXPECT_TRUE(order);
      if (!order) return counts;
      EXPECT_EQ(order->begins, picture.kind == 'I' || picture.anew != Anew::no);
      counts.push_back(order->count);
    }
    return counts;
  }
};

using Counts = std::vector<std::int64_t>;

}  // namespace

TEST(H264OrderCounter, counts_of_type_0_go_on_over_their_wrap_for_hours) {
  for (const std::uint8_t bits : {4, 5, 8, 16}) {
    Stream stream{type_0(bits)};
    EXPECT_EQ(stream.counts({{'I', 0, 0}}), Counts{0});
    for (unsigned n = 1; n < 100'000; ++n) {  // P pictures with two B pictures before each
      const unsigned at = 6 * n;
      ASSERT_EQ(stream.counts({{'P', n, at}, {'b', n + 1, at - 4}, {'B', n + 1, at - 2}}), (Counts{at, at - 4, at - 2})) << "bits " << int(bits);
    }
    EXPECT_EQ(stream.counts({{'I', 0, 0}, {'P', 1, 2}}), (Counts{0, 2}));
  }
}

TEST(H264OrderCounter, fields_and_frames_whose_bottom_field_comes_first_are_counted) {
  Stream stream{type_0(8)};
  stream.sps.fields = true;
  stream.pps.field_order = true;
  EXPECT_EQ(stream.counts({{'I', 0, 1, -1}, {'P', 1, 4, 0, Anew::no, 't'}, {'P', 1, 5, 0, Anew::no, 'b'}, {'b', 2, 3, -1}}), (Counts{0, 4, 5, 2}));
}

TEST(H264OrderCounter, counts_of_type_1_follow_their_cycle_and_the_slices_deltas) {
  // IbPbPbP: references 4 apart, others 2 before the reference that was sent before them.
  Stream pairs{type_1({4}, -2)};
  EXPECT_EQ(pairs.counts({{'I', 0}, {'P', 1}, {'b', 2}, {'P', 2}, {'b', 3}, {'P', 3}}), (Counts{0, 4, 2, 8, 6, 12}));
  Stream triples{type_1({6}, -4)};
  EXPECT_EQ(triples.counts({{'I', 0}, {'P', 1}, {'b', 2}, {'b', 2, 0, 2}, {'P', 2}, {'b', 3}}), (Counts{0, 6, 2, 4, 12, 8}));
  Stream uneven{type_1({2, 6}, 0)};
  EXPECT_EQ(uneven.counts({{'I', 0}, {'P', 1}, {'P', 2}, {'P', 3}, {'P', 4}}), (Counts{0, 2, 8, 10, 16}));
  Stream none{type_1({}, 0)};
  EXPECT_EQ(none.counts({{'I', 0}, {'P', 1, 0, 2}, {'P', 2, 0, 4}}), (Counts{0, 2, 4})) << "the deltas alone";
  Stream long_one{type_1({2}, 0)};
  long_one.counts({{'I', 0}});
  for (unsigned n = 1; n < 1000; ++n) ASSERT_EQ(long_one.counts({{'P', n}}), Counts{2 * n}) << "frame_num wraps each 16 pictures";
  EXPECT_EQ(long_one.counts({{'I', 0}, {'P', 1}}), (Counts{0, 2}));
}

TEST(H264OrderCounter, counts_begin_anew_after_memory_management_control_operation_5) {
  for (const Anew anew : {Anew::plain, Anew::behind_everything}) {
    for (const bool weighted : {false, true}) {
      for (const char kind : {'P', 'B'}) {
        Stream lsb{type_0(8)}, cycle{type_1({4}, -2)};
        for (Stream* stream : {&lsb, &cycle}) stream->pps.weighted = stream->pps.weighted_bidirectional = weighted;
        lsb.pps.redundant = true;
        EXPECT_EQ(lsb.counts({{'I', 0, 0}, {'P', 1, 40}, {kind, 2, 80, 0, anew}, {'P', 1, 6}, {'b', 2, 2}, {'b', 2, 4}}), (Counts{0, 40, 0, 6, 2, 4}));
        EXPECT_EQ(cycle.counts({{'I', 0}, {'P', 1}, {kind, 2, 0, 0, anew}, {'P', 1}, {'b', 2}}), (Counts{0, 4, 0, 4, 2}));
      }
    }
  }
}

TEST(H264OrderCounter, a_stream_that_is_shown_as_it_is_sent_has_no_counts) {
  H264Sps sps = type_0(8);
  sps.order_type = 2;
  EXPECT_FALSE(H264OrderCounter().next(SliceBuilder({'I'}, sps, plain_pps()).nal(), sps, plain_pps()));
}

TEST(H264OrderCounter, every_truncation_and_random_slices_are_survived) {
  H264Pps pps = plain_pps();
  pps.weighted = pps.weighted_bidirectional = true;
  SeededRandom random(4);
  for (const H264Sps& sps : {type_0(16), type_1({4, 0x7fffffff, -0x7fffffff}, -2)}) {
    const Bytes whole = SliceBuilder({'B', 2, 80, 0, Anew::behind_everything}, sps, pps).nal();
    for (std::size_t size = 0; size < whole.size(); ++size) H264OrderCounter().next(ByteView(whole).first(size), sps, pps);
    H264OrderCounter counter;
    for (int round = 0; round < 200'000; ++round) {
      Bytes slice(random.below(40));
      random.fill(slice);
      if (!slice.empty()) slice[0] = std::byte{0x41};
      counter.next(slice, sps, pps);
    }
  }
}

}  // namespace amphi::rtp
