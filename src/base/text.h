// Text that people read: names and labels. Pure. Thread: any.
#pragma once

#include <cstddef>
#include <string_view>

namespace amphi {

/// The number of characters (code points) of a UTF-8 text. The message schemas count these, not bytes.
std::size_t characters(std::string_view utf8);

/// Valid UTF-8 without characters that hide or reorder what stands beside them: control characters (C0, DEL, C1), line and paragraph
/// separators, Unicode's bidirectional controls (Bidi_Control: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), the deprecated
/// format characters (U+206A to U+206F), the byte order mark (U+FEFF), annotation marks (U+FFF9 to U+FFFB) and tags (U+E0000 to U+E007F).
bool is_plain_text(std::string_view utf8);

/// For the error: "`label` ...".
inline constexpr std::string_view kPlainTextRule = "must have no control characters, no bidirectional controls and no hidden format characters";

/// Whether a reader sees anything of it: not only blanks, joiners, fillers and variation selectors. `utf8` is valid.
bool has_visible_character(std::string_view utf8);

/// One to any number of U+0021 to U+007E: what names an m-line (RFC 5888 4 allows a part of these).
bool is_printable_ascii(std::string_view text);

}  // namespace amphi
