// SPDX-License-Identifier: MIT
// Scalar quantisers in double precision, each from its formula; nothing of the library is used.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "twin/reference.hpp"

namespace twin {

/// What a row of weights becomes, and how far each may be off.
struct quantised {
    row values, bound;
};

/// x with so many bits, ties to even.
inline double with_bits(double x, int bits) {
    if (x == 0) return 0;
    int const place = std::ilogb(x) - bits + 1;
    return std::ldexp(std::nearbyint(std::ldexp(x, -place)), place);
}
inline double largest(row const& w, std::size_t first, std::size_t last) {
    double most = 0;
    for (std::size_t i = first; i < last; ++i) most = std::max(most, std::abs(w[i]));
    return most;
}
/// Calls f(first, last) for every block.
template <class F>
void each_block(std::size_t count, std::size_t size, F const& f) {
    for (std::size_t i = 0; i < count; i += size) f(i, std::min(count, i + size));
}

/// s = max|w| / most over a block, w ≈ s · clamp(nearest(w / s)); s has so many bits.
inline quantised symmetric(row const& w, std::size_t size, double most, int bits) {
    quantised all{row(w.size()), row(w.size())};
    double const floor = bits < 24 ? 0x1p-33 * largest(w, 0, w.size()) : 0;
    each_block(w.size(), size, [&](std::size_t first, std::size_t last) {
        double const s = with_bits(largest(w, first, last) / most, bits);
        for (std::size_t i = first; i < last; ++i) {
            all.values[i] = s == 0 ? 0 : s * std::clamp(std::nearbyint(w[i] / s), -most, most);
            all.bound[i] = s / 2 + floor;
        }
    });
    return all;
}
/// s = (high - low) / 15, z = nearest(-low / s), w ≈ s · (clamp(nearest(w / s) + z, 0, 15) - z).
inline quantised with_zero_point(row const& w, std::size_t size) {
    quantised all{row(w.size()), row(w.size())};
    double const floor = 0x1p-33 * largest(w, 0, w.size());
    each_block(w.size(), size, [&](std::size_t first, std::size_t last) {
        double low = 0, high = 0;
        for (std::size_t i = first; i < last; ++i) {
            low = std::min(low, w[i]);
            high = std::max(high, w[i]);
        }
        double const s = with_bits((high - low) / 15, 11),
                     z = s == 0 ? 0 : std::nearbyint(-low / s);
        for (std::size_t i = first; i < last; ++i) {
            all.values[i] =
                s == 0 ? 0 : s * (std::clamp(std::nearbyint(w[i] / s) + z, 0., 15.) - z);
            all.bound[i] = 0.51 * s + floor;
        }
    });
    return all;
}
/// s = max(mean|w|, 1e-5), w ≈ s · clamp(nearest(w / s), -1, 1).
inline quantised absmean(row const& w) {
    quantised all{row(w.size()), row(w.size())};
    double sum = 0;
    for (double const x : w) sum += std::abs(x);
    double const s = std::max(sum / static_cast<double>(w.size()), 1e-5);
    for (std::size_t i = 0; i < w.size(); ++i) {
        all.values[i] = s * std::clamp(std::nearbyint(w[i] / s), -1., 1.);
        all.bound[i] = std::max(s / 2, std::abs(w[i]) - s);
    }
    return all;
}
/// e = floor(log2 max|w|) - 2 over 32, w ≈ 2^e · the nearest of 0, ½, 1, 1½, 2, 3, 4, 6, signed;
/// a tie goes to the even place in this list.
inline quantised four_bit_floats(row const& w) {
    static constexpr double list[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    quantised all{row(w.size()), row(w.size())};
    each_block(w.size(), 32, [&](std::size_t first, std::size_t last) {
        double const most = largest(w, first, last);
        double const s =
            most == 0 ? 1 : std::ldexp(1, std::max(static_cast<int>(std::ilogb(most)) - 2, -127));
        for (std::size_t i = first; i < last; ++i) {
            double const x = std::abs(w[i]) / s;
            std::size_t best = 0;
            for (std::size_t j = 1; j < 8; ++j) {
                double const a = std::abs(x - list[j]), b = std::abs(x - list[best]);
                if (a < b || (a == b && j % 2 == 0)) best = j;
            }
            all.values[i] = std::copysign(list[best] * s, w[i]);
            all.bound[i] = most / 4;
        }
    });
    return all;
}

} // namespace twin
