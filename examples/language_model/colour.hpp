// SPDX-License-Identifier: MIT
// Colours for numbers and for kinds.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace example {

struct rgb {
    int red = 0, green = 0, blue = 0;
};

/// Black or white, whichever stands out.
inline rgb legible_on(rgb ground) {
    bool const light = ground.red * 299 + ground.green * 587 + ground.blue * 114 > 128000;
    return light ? rgb{0, 0, 0} : rgb{255, 255, 255};
}

/// From dark (0) to light (1), even steps for the eye and readable without colour vision (viridis).
inline rgb heat(double x) {
    constexpr std::array<rgb, 9> stops{{{68, 1, 84},
                                        {71, 44, 122},
                                        {59, 81, 139},
                                        {44, 113, 142},
                                        {33, 144, 141},
                                        {39, 173, 129},
                                        {92, 200, 99},
                                        {170, 220, 50},
                                        {253, 231, 37}}};
    double const place = std::clamp(x, 0.0, 1.0) * (stops.size() - 1);
    auto const below = std::min(static_cast<std::size_t>(place), stops.size() - 2);
    double const part = place - static_cast<double>(below);
    auto const mix = [&](int a, int b) {
        return static_cast<int>(std::lround(a + part * (b - a)));
    };
    rgb const a = stops[below], b = stops[below + 1];
    return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

/// The same among the 256 colours of older terminals.
inline int heat_256(double x) {
    constexpr std::array<int, 11> stops{53, 54, 55, 25, 31, 36, 71, 113, 148, 184, 226};
    return stops[static_cast<std::size_t>(std::clamp(x, 0.0, 1.0) * (stops.size() - 1) + 0.5)];
}

/// A colour for each kind: neighbours in number lie far apart on the wheel.
inline rgb kind_colour(std::ptrdiff_t kind) {
    double const hue = std::fmod(0.08 + 0.618034 * static_cast<double>(kind), 1.0) * 6;
    double const light = kind % 2 == 0 ? 0.95 : 0.75, colour = light * 0.62;
    double const second = colour * (1 - std::abs(std::fmod(hue, 2.0) - 1)), base = light - colour;
    auto const level = [&](double v) { return static_cast<int>(std::lround((v + base) * 255)); };
    std::array<std::array<double, 3>, 6> const wheel{{{colour, second, 0},
                                                      {second, colour, 0},
                                                      {0, colour, second},
                                                      {0, second, colour},
                                                      {second, 0, colour},
                                                      {colour, 0, second}}};
    auto const& c = wheel[static_cast<std::size_t>(hue) % 6];
    return {level(c[0]), level(c[1]), level(c[2])};
}

} // namespace example
