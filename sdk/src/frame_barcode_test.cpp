#include "amphi/frame_barcode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace amphi::barcode {
namespace {

struct Picture {
  int width, height, stride;
  std::vector<std::uint8_t> luma;
  Picture(int w, int h) : width(w), height(h), stride(w + 32), luma(static_cast<std::size_t>(stride * h), 90) {}
  std::optional<std::uint32_t> read() const { return decode({luma.data(), width, height, stride}); }
};

TEST(FrameBarcode, numbers_come_back_at_every_common_size) {
  for (auto [w, h] : {std::pair{1920, 1080}, {1280, 720}, {960, 540}, {640, 480}, {640, 360}, {320, 240}, {176, 144}}) {
    for (std::uint32_t n : {0u, 1u, 29u, 255u, 256u, 65'535u, 0x55555555u, 0xaaaaaaaau, 0xffffffffu}) {
      Picture picture(w, h);
      ASSERT_TRUE(encode(n, picture.luma.data(), w, h, picture.stride)) << w << "x" << h;
      EXPECT_EQ(picture.read(), n) << w << "x" << h;
    }
  }
}

TEST(FrameBarcode, numbers_survive_noise_blur_and_a_shifted_level) {
  SeededRandom random(7);
  for (std::uint32_t n = 0; n < 200; ++n) {
    Picture picture(640, 360);
    ASSERT_TRUE(encode(n * 7919, picture.luma.data(), 640, 360, picture.stride));
    auto blurred = picture.luma;
    for (int y = 2; y < 20; ++y)  // the code is one row of blocks of 16
      for (int x = 2; x < 638; ++x) {
        int sum = 0;
        for (int dy = -2; dy <= 2; ++dy)
          for (int dx = -2; dx <= 2; ++dx) sum += picture.luma[static_cast<std::size_t>((y + dy) * picture.stride + x + dx)];
        const int noisy = sum / 25 + static_cast<int>(random.below(41)) - 20 + 15;
        blurred[static_cast<std::size_t>(y * picture.stride + x)] = static_cast<std::uint8_t>(std::clamp(noisy, 0, 255));
      }
    picture.luma = blurred;
    EXPECT_EQ(picture.read(), n * 7919);
  }
}

TEST(FrameBarcode, a_picture_without_a_code_has_no_number) {
  Picture picture(640, 360);
  for (int level : {0, 16, 90, 235, 255}) {
    std::fill(picture.luma.begin(), picture.luma.end(), static_cast<std::uint8_t>(level));
    EXPECT_EQ(picture.read(), std::nullopt) << level;
  }
}

TEST(FrameBarcode, one_wrong_block_is_noticed) {
  for (int wrong = 0; wrong < kBits; ++wrong) {
    Picture picture(640, 360);
    ASSERT_TRUE(encode(123'456, picture.luma.data(), 640, 360, picture.stride));
    for (int y = 0; y < 16; ++y)
      for (int x = wrong * 16; x < wrong * 16 + 16; ++x) {
        auto& pixel = picture.luma[static_cast<std::size_t>(y * picture.stride + x)];
        pixel = static_cast<std::uint8_t>(251 - pixel);
      }
    EXPECT_EQ(picture.read(), std::nullopt) << wrong;
  }
}

TEST(FrameBarcode, a_picture_too_small_is_left_alone) {
  Picture picture(64, 64);
  const auto before = picture.luma;
  EXPECT_FALSE(encode(1, picture.luma.data(), 64, 64, picture.stride));
  EXPECT_EQ(picture.luma, before);
  EXPECT_EQ(picture.read(), std::nullopt);
}

}  // namespace
}  // namespace amphi::barcode
