// SPDX-License-Identifier: MIT
// What the terminal can show, and texts in columns.
#pragma once

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <unistd.h>

#include "colour.hpp"

namespace example {

/// printf to a string.
[[gnu::format(printf, 1, 2)]] inline std::string text(char const* form, ...) {
    char line[512];
    va_list values;
    va_start(values, form);
    int const length = std::vsnprintf(line, sizeof line, form, values);
    va_end(values);
    return {line, line + std::min<int>(std::max(length, 0), sizeof line - 1)};
}

/// 10240 as "10,240".
inline std::string grouped(std::ptrdiff_t number) {
    std::string digits = std::to_string(number);
    for (auto at = std::ssize(digits) - 3; at > (number < 0); at -= 3)
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    return digits;
}
/// A number of bytes in the unit that suits it, decimal: "2.41 MB".
inline std::string size_text(double bytes) {
    constexpr char const* units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
    return text(unit == 0 ? "%.0f %s" : bytes < 10 ? "%.2f %s" : "%.1f %s", bytes, units[unit]);
}

/// Where standard output goes: a terminal gets colours, unless NO_COLOR says otherwise.
class console {
public:
    console() {
        auto const is = [](char const* name, auto... values) {
            char const* const set = std::getenv(name);
            return set != nullptr && ((std::string_view(set) == values) || ...);
        };
        char const* const refused = std::getenv("NO_COLOR");
        colours_ = isatty(STDOUT_FILENO) == 1 && !(refused != nullptr && *refused != '\0') &&
                   !is("TERM", "dumb");
        millions_ = is("COLORTERM", "truecolor", "24bit");
    }
    bool colours() const noexcept { return colours_; }

    std::string bold(std::string const& what) const { return styled("1", what); }
    std::string dim(std::string const& what) const { return styled("2", what); }
    /// Text on a background, black or white, whichever reads better.
    std::string on(rgb ground, std::string const& what) const {
        return styled(code(48, ground) + ";" + code(38, legible_on(ground)), what);
    }
    /// Text on the colour of a number from 0 to 1.
    std::string on_heat(double x, std::string const& what) const {
        if (millions_) return on(heat(x), what);
        return styled(text("48;5;%d;", heat_256(x)) + code(38, legible_on(heat(x))), what);
    }
    std::string in(rgb ink, std::string const& what) const { return styled(code(38, ink), what); }
    void heading(std::string const& what) const {
        std::printf("\n%s\n", bold(colours_ ? what : "== " + what).c_str());
    }

private:
    bool colours_ = false, millions_ = false;

    std::string styled(std::string const& codes, std::string const& what) const {
        return colours_ ? "\033[" + codes + "m" + what + "\033[0m" : what;
    }
    std::string code(int base, rgb c) const {
        if (millions_) return text("%d;2;%d;%d;%d", base, c.red, c.green, c.blue);
        auto const level = [](int v) {
            return (v > 47) + (v > 114) + (v > 154) + (v > 194) + (v > 234);
        };
        return text("%d;5;%d", base, 16 + 36 * level(c.red) + 6 * level(c.green) + level(c.blue));
    }
};

} // namespace example
