// SPDX-License-Identifier: MIT
// Products with formats of codes: against doubles, against exact integers, and the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "prytany/kernel/gemm.hpp"
#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

namespace coded {

using namespace prytany;

inline std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
inline bool same_bits(std::vector<float> const& a, std::vector<float> const& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <auto Format>
constexpr index_t most_rows = kernel::detail::micro_kernel<Format>::most_rows;
template <auto Format>
constexpr bool is_coded = kernel::coded<Format>;

/// Rows as the products of a format read them, each of its own, with soiled memory before.
template <auto Format>
struct inputs {
    using element = kernel::input_of<Format>;
    index_t count, cols;
    std::vector<float> from;
    buffer<std::byte> memory;
    kernel::picked<element> rows;

    inputs(std::vector<float> const& x, index_t width)
        : count(static_cast<index_t>(x.size()) / width), cols(width), from(x),
          memory(count * kernel::read_stride<Format>(cols) * index_t{sizeof(element)}) {
        for (index_t i = 0; i < memory.size(); ++i) memory[i] = std::byte{0xa5};
        rows = kernel::as_read<Format>({from.data(), cols}, count, cols, memory.data());
    }
    /// Number k of row r as the product sees it.
    double seen(index_t r, index_t k) const {
        auto const x = static_cast<double>(rows[r][k]);
        if constexpr (kernel::rounds<Format>())
            return x * static_cast<double>(kernel::rounded_row<Format>::scale(rows[r], cols));
        else return x;
    }
};

/// Takes sums as a caller would; counts how often a panel was given, and what is not zero beyond.
struct taken {
    index_t outputs, panels;
    std::vector<float> all;
    std::vector<int> given;
    int beyond = 0;

    taken(index_t count, index_t width)
        : outputs(width), panels((width + panel_lanes - 1) / panel_lanes),
          all(at(count * width), std::numeric_limits<float>::signaling_NaN()),
          given(at(count * panels)) {}
    void operator()(index_t row, index_t panel, simd::float_pair sum) {
        ++given[at(row * panels + panel)];
        float got[static_cast<std::size_t>(panel_lanes)];
        simd::store_pair(got, sum, panel_lanes);
        for (index_t j = 0; j < panel_lanes; ++j) {
            index_t const column = panel * panel_lanes + j;
            if (column < outputs) all[at(row * outputs + column)] = got[j];
            else if (got[j] != 0) ++beyond; // NaN where the row is NaN
        }
    }
    bool once() const {
        return std::all_of(given.begin(), given.end(), [](int g) { return g == 1; });
    }
};

template <auto Format>
std::vector<float> product(kernel::picked<kernel::input_of<Format>> rows, index_t count,
                           packed<Format> const& w, bool* padded = nullptr) {
    taken to(count, w.rows());
    kernel::multiply<Format>(rows, count, w, 0, w.panels(), to);
    if (!to.once()) return {};
    if (padded != nullptr) *padded = to.beyond == 0;
    return to.all;
}

template <auto Format>
packed<Format> normal_weights(index_t outputs, index_t cols, std::uint64_t seed) {
    packed<Format> w(outputs, cols);
    for (index_t r = 0; r < outputs; ++r)
        w.pack(r, twin::floats(twin::normal(at(cols), seed + at(r) * 31, 0.3)));
    return w;
}
inline std::vector<float> normal_rows(index_t count, index_t cols, std::uint64_t seed) {
    return twin::floats(twin::normal(at(count * cols), seed));
}

/// Σ (got - y)² / Σ y², y the product in doubles of what is stored and what is seen.
template <auto Format>
void near_double() {
    for (index_t const cols : {1, 2, 3, 7, 31, 32, 33, 64, 100, 128, 300, 512, 515, 1030, 2048})
        for (index_t const outputs : {index_t{1}, panel_lanes - 1, 2 * panel_lanes + 3}) {
            CAPTURE(cols, outputs);
            index_t const count = 9;
            auto const w = normal_weights<Format>(outputs, cols, at(cols));
            inputs<Format> const x(normal_rows(count, cols, at(outputs)), cols);
            bool padded = false;
            auto const got = product<Format>(x.rows, count, w, &padded);
            REQUIRE(padded);
            twin::row wanted;
            std::vector<float> stored(at(cols * outputs));
            for (index_t o = 0; o < outputs; ++o)
                w.unpack(o, std::span(stored).subspan(at(o * cols), at(cols)));
            for (index_t r = 0; r < count; ++r)
                for (index_t o = 0; o < outputs; ++o) {
                    double sum = 0;
                    for (index_t k = 0; k < cols; ++k)
                        sum += x.seen(r, k) * static_cast<double>(stored[at(o * cols + k)]);
                    wanted.push_back(sum);
                }
            double const off = twin::nmse(got, wanted);
            CAPTURE(off);
            REQUIRE(off <= 1e-12);
        }
}

/// One token alone, in any batch, picked, and in any panels: the same bits.
template <auto Format>
void same_bits_everywhere() {
    constexpr index_t most = most_rows<Format>;
    for (index_t const cols : {33, 130, 600}) {
        index_t const outputs = 5 * panel_lanes + 3, count = 200;
        CAPTURE(cols);
        auto const w = normal_weights<Format>(outputs, cols, at(cols));
        auto const x = normal_rows(count, cols, 3);
        inputs<Format> const all(x, cols);
        auto const right = product<Format>(all.rows, count, w);
        REQUIRE(right.size() == at(count * outputs));
        auto const part = [&](index_t first, index_t some) {
            return std::vector<float>(right.begin() + first * outputs,
                                      right.begin() + (first + some) * outputs);
        };
        std::vector<index_t> counts{30, 97};
        for (index_t c = 1; c <= 2 * most + 3; ++c) counts.push_back(c);
        for (index_t const some : counts)
            for (index_t const first : {index_t{0}, index_t{7}, count - some})
                REQUIRE(
                    same_bits(product<Format>(all.rows.from(first), some, w), part(first, some)));
        // rounded by itself
        inputs<Format> const alone({x.begin() + 5 * cols, x.begin() + 6 * cols}, cols);
        REQUIRE(same_bits(product<Format>(alone.rows, 1, w), part(5, 1)));
        // picked in any order, some more than once
        std::vector<std::int32_t> pick;
        for (index_t i = 0; i < 60; ++i)
            pick.push_back(static_cast<std::int32_t>((i * 29 + cols) % 50));
        for (index_t const some : {index_t{1}, index_t{2}, most, most + 1, index_t{60}}) {
            auto const got =
                product<Format>({all.rows.base, all.rows.stride, pick.data()}, some, w);
            for (index_t i = 0; i < some; ++i)
                REQUIRE(same_bits({got.begin() + i * outputs, got.begin() + (i + 1) * outputs},
                                  part(pick[at(i)], 1)));
        }
        // some panels only
        for (index_t const some : {index_t{1}, index_t{2}, index_t{3}, most, index_t{30}})
            for (index_t first = 0; first <= w.panels(); ++first)
                for (index_t last = first; last <= w.panels(); ++last) {
                    taken to(some, outputs);
                    kernel::multiply<Format>(all.rows, some, w, first, last, to);
                    for (index_t r = 0; r < some; ++r)
                        for (index_t p = 0; p < w.panels(); ++p) {
                            bool const in = p >= first && p < last;
                            REQUIRE(to.given[at(r * w.panels() + p)] == (in ? 1 : 0));
                            if (!in) continue;
                            index_t const from = r * outputs + p * panel_lanes;
                            index_t const length = std::min(panel_lanes, outputs - p * panel_lanes);
                            REQUIRE(std::memcmp(to.all.data() + from, right.data() + from,
                                                at(length) * sizeof(float)) == 0);
                        }
                }
    }
}

/// Any walk that the tiles allow gives the same bits.
template <auto Format>
void same_bits_any_walk() {
    constexpr index_t most = most_rows<Format>, unit = kernel::detail::micro_kernel<Format>::unit;
    for (index_t const cols : {70, 515, 1100}) {
        index_t const outputs = 9 * panel_lanes - 1, count = 2 * most + 1;
        auto const w = normal_weights<Format>(outputs, cols, at(cols));
        inputs<Format> const x(normal_rows(count, cols, 3), cols);
        auto const right = product<Format>(x.rows, count, w);
        for (index_t const panels : {1, 2, 4})
            for (index_t const times : {1, 2})
                for (index_t const tall : {index_t{1}, index_t{2}, most})
                    for (index_t part = unit; part <= 512; part *= 2)
                        for (index_t const ahead : {0, 4096}) {
                            if (512 % part != 0 || (panels == 4 && tall > 1) ||
                                (panels == 2 && tall > 2) || part < 8)
                                continue;
                            kernel::loop const how{tall, panels, panels * times, part, ahead};
                            CAPTURE(cols, tall, panels, times, part, ahead);
                            taken to(count, outputs);
                            index_t const some = 128 / how.together; // the room for sums
                            for (index_t r = 0; r < count; r += some)
                                kernel::detail::multiply_as<Format>(how, x.rows, r,
                                                                    std::min(some, count - r), w, 0,
                                                                    w.panels(), to);
                            REQUIRE(to.once());
                            REQUIRE(same_bits(to.all, right));
                        }
    }
}

/// A row with a NaN or an infinity is NaN, or what floats make of it; no other row changes a bit.
template <auto Format>
void isolates() {
    index_t const cols = 77, outputs = panel_lanes + 5, count = 29;
    auto const w = normal_weights<Format>(outputs, cols, 8);
    auto x = normal_rows(count, cols, 9);
    auto const clean = product<Format>(inputs<Format>(x, cols).rows, count, w);
    for (float const soil : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        x[at(7 * cols + 76)] = soil;
        inputs<Format> const in(x, cols);
        auto const got = product<Format>(in.rows, count, w);
        for (index_t i = 0; i < count * outputs; ++i) {
            if (i / outputs != 7) REQUIRE(got[at(i)] == clean[at(i)]);
            else if (std::isnan(soil) || kernel::rounds<Format>()) REQUIRE(std::isnan(got[at(i)]));
            else REQUIRE(!std::isfinite(got[at(i)]));
        }
    }
    // an output whose weights are not finite is NaN, no other changes
    if constexpr (is_coded<Format>) {
        auto soiled = w;
        std::vector<float> bad(at(cols), 1.0f);
        bad[3] = -std::numeric_limits<float>::infinity();
        soiled.pack(2, bad);
        auto const rows = normal_rows(count, cols, 9);
        auto const got = product<Format>(inputs<Format>(rows, cols).rows, count, soiled);
        for (index_t i = 0; i < count * outputs; ++i) {
            if (i % outputs == 2) REQUIRE(std::isnan(got[at(i)]));
            else REQUIRE(got[at(i)] == clean[at(i)]);
        }
    }
}

template <auto Format>
void keeps() {
    near_double<Format>();
    same_bits_everywhere<Format>();
    same_bits_any_walk<Format>();
    isolates<Format>();
}

// ---- exact integers ------------------------------------------------------------------------------

/// What the scalar reference must know of a format, from its description.
struct described {
    int most;      ///< of a code, in units of half a scale for four-bit floats
    index_t group; ///< inputs that share a scale, 0: the row
    index_t chunk; ///< inputs whose products are summed before they become a float
    bool zeros = false, floats = false, mean = false;
};

enum class numbers { random, upper, lower, alternating };

/// Weights that are scales times codes to the last bit, so that packing finds these codes again.
template <auto Format>
struct exact {
    described d;
    index_t outputs, cols;
    packed<Format> stored;
    std::vector<int> code;    // [outputs, cols]
    std::vector<float> scale; // [outputs, groups]
    std::vector<float> factor;

    exact(described const& what, index_t rows, index_t width, numbers kind, std::uint32_t seed)
        : d(what), outputs(rows), cols(width), stored(rows, width), code(at(rows * width)),
          scale(at(rows * groups()), 1.0f), factor(at(rows), 1.0f) {
        std::mt19937 engine(seed);
        auto const below = [&](std::uint32_t n) { return static_cast<int>(engine() % n); };
        static constexpr int halves[] = {0, 1, 2, 3, 4, 6, 8, 12};
        std::vector<float> w(at(cols));
        for (index_t o = 0; o < outputs; ++o) {
            for (index_t g = 0; g < groups(); ++g) {
                index_t const first = g * width_of(), last = std::min(cols, first + width_of());
                int const zero = !d.zeros                 ? 0
                                 : kind == numbers::upper ? 0
                                 : kind == numbers::lower ? 15
                                                          : below(16);
                int const low = d.zeros ? -zero : -d.most, high = d.zeros ? 15 - zero : d.most;
                for (index_t k = first; k < last; ++k) {
                    int c = low + below(static_cast<std::uint32_t>(high - low + 1));
                    if (d.floats) c = halves[below(8)] * (below(2) == 0 ? 1 : -1);
                    if (kind == numbers::upper) c = high;
                    if (kind == numbers::lower) c = low;
                    if (kind == numbers::alternating) c = k % 4 < 2 ? high : low;
                    code[at(o * cols + k)] = c;
                }
                int& one = code[at(o * cols + first)]; // the ends show what the scale is
                if (d.zeros && last - first == 1) one = one > 0 ? 15 : -15;
                else if (d.zeros) one = low, code[at(o * cols + last - 1)] = high;
                else if (kind == numbers::random) one = below(2) == 0 ? low : high;
                float& s = scale[at(o * groups() + g)];
                if (d.floats) s = std::ldexp(1.0f, -below(6));
                else if (d.group > 0)
                    s = std::ldexp(static_cast<float>(1024 + below(1024)), -12 - below(3));
            }
            float const step = d.group > 0 ? 1.0f
                               : d.mean    ? std::ldexp(1.0f, -below(5))
                                           : 0.001f * static_cast<float>(1 + below(1000));
            double sum = 0;
            for (index_t k = 0; k < cols; ++k) {
                float const s = scale[at(o * groups() + k / width_of())];
                w[at(k)] =
                    static_cast<float>(code[at(o * cols + k)]) * (d.floats ? s / 2 : s) * step;
                sum += std::abs(static_cast<double>(w[at(k)]));
            }
            if (d.mean) factor[at(o)] = static_cast<float>(sum / static_cast<double>(cols));
            else if (d.group == 0)
                factor[at(o)] = static_cast<float>(d.most) * step / static_cast<float>(d.most);
            stored.pack(o, w);
        }
    }
    index_t width_of() const { return d.group > 0 ? d.group : cols; }
    index_t groups() const { return (cols + width_of() - 1) / width_of(); }

    /// Whether packing found the codes again.
    bool found() const {
        std::vector<float> back(at(cols));
        for (index_t o = 0; o < outputs; ++o) {
            stored.unpack(o, back);
            for (index_t k = 0; k < cols; ++k) {
                float const s = scale[at(o * groups() + k / width_of())];
                if (back[at(k)] != static_cast<float>(code[at(o * cols + k)]) *
                                       (d.floats ? s / 2 : s) * factor[at(o)])
                    return false;
            }
        }
        return true;
    }
    /// The product with whole numbers times `unit`: exact sums, then floats in the stated order.
    float dot(int const* x, float unit, index_t o) const {
        float total = 0;
        for (index_t first = 0; first < cols; first += d.chunk) {
            std::int64_t sum = 0;
            for (index_t k = first; k < std::min(cols, first + d.chunk); ++k)
                sum += std::int64_t{x[k]} * code[at(o * cols + k)];
            auto const whole = static_cast<float>(sum);
            if (d.group == 0) {
                total += whole;
                continue;
            }
            float const s = scale[at(o * groups() + first / d.group)] * (d.floats ? 0.5f : 1.0f);
#if defined(__FMA__) || defined(__AVX512F__)
            total = std::fma(whole, s, total);
#else
            total = whole * s + total;
#endif
        }
        return total * factor[at(o)] * unit;
    }
};

/// Rounded activations at their ends, random and of one sign, times weights at theirs: the bits
/// that exact integers give.
template <auto Format>
void equals_integers(described const& d) {
    constexpr int most = Format.activations == activations::int16 ? 32767 : 127;
    constexpr numbers kinds[] = {numbers::random, numbers::upper, numbers::lower,
                                 numbers::alternating};
    for (index_t const cols : {1, 2, 5, 32, 47, 64, 129, 512, 700, 1024, 4096, 16384})
        for (numbers const kind : kinds) {
            index_t const outputs = cols > 2000 ? panel_lanes - 1 : 2 * panel_lanes + 3;
            index_t const count = cols > 2000 ? 4 : 7;
            CAPTURE(cols, static_cast<int>(kind));
            exact<Format> const w(d, outputs, cols, kind, static_cast<std::uint32_t>(cols));
            REQUIRE(w.found());
            std::mt19937 engine(5);
            std::vector<int> q(at(count * cols));
            std::vector<float> x(q.size());
            std::vector<float> unit(at(count));
            for (index_t r = 0; r < count; ++r) {
                unit[at(r)] = std::ldexp(1.0f, static_cast<int>(r) * 3 - 12);
                for (index_t k = 0; k < cols; ++k) {
                    int v = static_cast<int>(engine() % static_cast<unsigned>(2 * most + 1)) - most;
                    if (r == 0) v = most;
                    if (r == 1) v = -most;
                    if (r == 2) v = k % 4 < 2 ? most : -most;
                    if (k == 0) v = most;
                    q[at(r * cols + k)] = v;
                    x[at(r * cols + k)] = static_cast<float>(v) * unit[at(r)];
                }
            }
            inputs<Format> const in(x, cols);
            auto const got = product<Format>(in.rows, count, w.stored);
            REQUIRE(got.size() == at(count * outputs));
            std::vector<float> wanted;
            for (index_t r = 0; r < count; ++r)
                for (index_t o = 0; o < outputs; ++o)
                    wanted.push_back(w.dot(q.data() + r * cols, unit[at(r)], o));
            int others = 0;
            for (std::size_t i = 0; i < got.size(); ++i) others += got[i] != wanted[i];
            REQUIRE(others == 0);
        }
}

} // namespace coded
