// Text that people read: names and labels. Pure. Thread: any.
#pragma once

#include <string_view>

namespace amphi {

/// Valid UTF-8 without characters that hide or reorder what stands beside them: control characters (C0, DEL, C1), line and paragraph
/// separators, and Unicode's bidirectional controls (Bidi_Control: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
bool is_plain_text(std::string_view utf8);

/// For the error: "`label` ...".
inline constexpr std::string_view kPlainTextRule = "must have no control characters and no bidirectional controls";

}  // namespace amphi
