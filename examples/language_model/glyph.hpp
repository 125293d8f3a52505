// SPDX-License-Identifier: MIT
// Any bytes as something a terminal can safely show.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace example {

/// A piece of text as the terminal shows it: the bytes it has, its glyph and the columns of that.
struct glyph {
    std::ptrdiff_t bytes = 1;
    std::string shown;
    std::ptrdiff_t columns = 1;
};

/// The character that begins at a byte; what cannot be shown becomes a sign that can.
inline glyph glyph_at(std::string_view text, std::size_t at) {
    auto const byte = static_cast<unsigned char>(text[at]);
    if (byte == '\n') return {1, "↵"};
    if (byte == '\t') return {1, "→"};
    if (byte < 32 || byte == 127) return {1, "¤"};
    if (byte < 128) return {1, std::string(1, text[at])};
    std::size_t const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 0;
    bool whole = length > 0 && byte < 0xf5 && at + length <= text.size();
    std::uint32_t code = whole ? byte & (0xffu >> (length + 1)) : 0;
    for (std::size_t i = 1; whole && i < length; ++i) {
        auto const next = static_cast<unsigned char>(text[at + i]);
        whole = (next & 0xc0) == 0x80;
        code = code << 6 | (next & 0x3fu);
    }
    constexpr std::uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000}; // below 0xa0: control codes
    if (!whole || code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
        (code >= 0x300 && code < 0x370) || (code >= 0x200b && code < 0x2010) ||
        (code >= 0x2028 && code < 0x2030) || (code >= 0x2066 && code < 0x206a))
        return {1, "¤"};
    bool const wide = code >= 0x1100 && (code < 0x1160 || code >= 0x2e80) &&
                      (code < 0xd7a4 || code >= 0xf900) && (code < 0xfb00 || code >= 0xfe30);
    return {static_cast<std::ptrdiff_t>(length), std::string(text.substr(at, length)),
            wide ? 2 : 1};
}

/// A line of text in just so many columns: filled up with blanks, or cut with an ellipsis.
inline std::string fitted(std::string_view text, std::ptrdiff_t columns) {
    std::string all;
    std::ptrdiff_t used = 0;
    for (std::size_t at = 0; at < text.size();) {
        glyph const g = glyph_at(text, at);
        at += static_cast<std::size_t>(g.bytes);
        if (used + g.columns > columns - (at < text.size())) {
            all += "…";
            ++used;
            break;
        }
        all += g.shown;
        used += g.columns;
    }
    return all.append(static_cast<std::size_t>(std::max<std::ptrdiff_t>(columns - used, 0)), ' ');
}

/// A text that is safe to print: its lines kept, long ones broken at a blank, all indented by two;
/// `column` is where it begins and then where it ends.
inline std::string readable(std::string_view text, std::ptrdiff_t& column) {
    constexpr std::ptrdiff_t wide = 72;
    std::string all;
    for (std::size_t at = 0; at < text.size();) {
        glyph const g = glyph_at(text, at);
        at += static_cast<std::size_t>(g.bytes);
        if (text[at - 1] == '\n' || (g.shown == " " && column >= wide)) {
            all += "\n  ";
            column = 0;
            continue;
        }
        bool const tab = g.shown == "→" && text[at - 1] == '\t';
        all += tab ? "    " : g.shown;
        column += tab ? 4 : g.columns;
    }
    return all;
}

} // namespace example
