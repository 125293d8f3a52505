// SPDX-License-Identifier: MIT
// Text out of a file: is it UTF-8, and how errors print it.
#pragma once

#include <string>
#include <string_view>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// The text in quotes, at most 128 characters of it, with everything but printable ASCII escaped: a
/// name out of a file cannot forge a line of a log or steer a terminal.
///
/// Test      tests/io/text.test.cpp
inline std::string printable(std::string_view text) {
    constexpr std::size_t most = 128;
    constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (char const c : text.substr(0, most)) {
        auto const u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (u >= 0x20 && u < 0x7f) {
            out += c;
        } else {
            out += {'\\', 'x', digits[u >> 4], digits[u & 15]};
        }
    }
    return out += text.size() > most ? "\"..." : "\"";
}

/// Where the text stops being UTF-8 (overlong forms, surrogates and values above 10FFFF are not);
/// its size if it is UTF-8 to the end.
inline index_t utf8_end(std::string_view text) noexcept {
    std::size_t i = 0;
    while (i < text.size()) {
        auto const at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
        unsigned const lead = at(i);
        std::size_t const more = lead < 0x80   ? 0
                                 : lead < 0xc2 ? 4
                                 : lead < 0xe0 ? 1
                                 : lead < 0xf0 ? 2
                                               : 3;
        if (more > 3 || lead > 0xf4 || more >= text.size() - i) break;
        if (more > 0) { // the second byte alone has narrower limits, which depend on the first
            unsigned const low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
            unsigned const high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
            if (at(i + 1) < low || at(i + 1) > high) break;
        }
        bool whole = true;
        for (std::size_t k = 2; k <= more; ++k) whole = whole && (at(i + k) & 0xc0) == 0x80;
        if (!whole) break;
        i += more + 1;
    }
    return static_cast<index_t>(i);
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
