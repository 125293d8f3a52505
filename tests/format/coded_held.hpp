// SPDX-License-Identifier: MIT
// What every format of codes must keep, against a scalar quantiser in double precision.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"
#include "support/catch.hpp"
#include "twin/quantised.hpp"

namespace coded {

using namespace prytany;

inline std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

/// A row as the format keeps it.
template <auto Format>
std::vector<float> kept(std::vector<float> const& w) {
    packed<Format> m(1, static_cast<index_t>(w.size()));
    std::vector<float> back(w.size(), -1.0f);
    m.pack(0, w);
    m.unpack(0, back);
    return back;
}
inline bool same_bits(std::vector<float> const& a, std::vector<float> const& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}
inline std::vector<float> normal(index_t count, std::uint64_t seed, double scale = 1) {
    return twin::floats(twin::normal(at(count), seed, scale));
}

/// How many weights are not the twin's: where w / s is almost a tie either neighbour is right.
struct agreement {
    int weights = 0, others = 0;
};

/// Whether a row keeps the bound of its quantiser; counts where it differs.
template <auto Format, class Twin>
bool keeps_bound(std::vector<float> const& w, Twin const& twin, agreement& all) {
    auto const got = kept<Format>(w);
    auto const wanted = twin(twin::doubles(w));
    for (std::size_t i = 0; i < w.size(); ++i) {
        double const x = static_cast<double>(got[i]), v = wanted.values[i];
        // scales below the smallest normal float are zero; products are rounded to floats
        double const off = wanted.bound[i] * (1 + 1e-4) + 128 * 0x1p-126;
        if (!(std::abs(x - static_cast<double>(w[i])) <= off)) return false;
        ++all.weights;
        if (!(std::abs(x - v) <= 2e-7 * std::abs(v) + 128 * 0x1p-126)) ++all.others;
    }
    return true;
}

inline std::vector<index_t> const lengths{1,   2,   31,  32,  33,  63,  64,  65,
                                          127, 128, 130, 511, 512, 513, 515, 1000};

template <auto Format, class Twin>
void keeps_rows(Twin const& twin) {
    agreement all;
    for (double const scale : {1e-30, 1e-20, 1e-9, 1e-5, 1e-3, 1.0, 3.7, 1e4, 1e15, 1e30})
        for (index_t const length : lengths) {
            CAPTURE(scale, length);
            auto const w = normal(length, at(length), scale);
            REQUIRE(keeps_bound<Format>(w, twin, all));
            auto positive = w, huge = w, equal = w, sparse = w;
            for (float& x : positive) x = std::abs(x);
            for (float& x : equal) x = w[0];
            for (std::size_t i = 0; i < sparse.size(); ++i)
                if (i % 5 != 3) sparse[i] = 0;
            huge[huge.size() / 2] *= 1e6f;
            REQUIRE(keeps_bound<Format>(positive, twin, all));
            REQUIRE(keeps_bound<Format>(equal, twin, all));
            agreement apart; // scales that f16 holds with fewer bits
            REQUIRE(keeps_bound<Format>(huge, twin, apart));
            REQUIRE(keeps_bound<Format>(sparse, twin, all));
            for (float& x : huge) x *= 1e-36f / static_cast<float>(scale); // also denormals
            REQUIRE(keeps_bound<Format>(huge, twin, apart));
            REQUIRE(keeps_bound<Format>(normal(length, 3, 1e-38), twin, apart));
            REQUIRE(keeps_bound<Format>(normal(length, 3, 1e-42), twin, apart));
            std::vector<float> single(at(length));
            REQUIRE(same_bits(kept<Format>(single), single));
            single.back() = -1.5f * static_cast<float>(scale);
            REQUIRE(keeps_bound<Format>(single, twin, all));
        }
    INFO(all.others << " of " << all.weights);
    CHECK(all.weights > 80'000);
    CHECK(all.others <= all.weights / 500);
}

inline index_t lines(index_t bytes) { return (bytes + 63) / 64 * 64; } // whole cache lines

/// Bytes by the stated layout.
template <auto Format>
index_t stated_bytes(index_t rows, index_t cols) {
    constexpr code_layout l = packed<Format>::layout;
    index_t const unit = l.group > 0 ? l.group : 32, groups = (cols + unit - 1) / unit;
    index_t const panels = (rows + panel_lanes - 1) / panel_lanes;
    index_t one = groups * unit * panel_lanes * l.bits / 8 + panel_lanes * 4;
    if (l.group > 0) one += groups * panel_lanes * (l.scale_bytes + (l.zeros ? 2 : 0));
    return panels * ((one + 63) / 64 * 64);
}

/// Rows of a matrix are kept apart, in any order, and what is not finite stays in its row.
template <auto Format>
void keeps_matrix() {
    for (index_t const rows : {index_t{1}, lanes - 1, lanes, panel_lanes - 1, panel_lanes,
                               panel_lanes + 1, 3 * panel_lanes + lanes + 1})
        for (index_t const cols : {1, 3, 32, 33, 64, 97, 129, 512, 515}) {
            CAPTURE(rows, cols);
            packed<Format> m(rows, cols);
            REQUIRE(m.rows() == rows);
            REQUIRE(m.cols() == cols);
            REQUIRE(m.panels() == (rows + panel_lanes - 1) / panel_lanes);
            REQUIRE(m.bytes() == stated_bytes<Format>(rows, cols));
            REQUIRE(m.bytes() == m.panels() * m.stride());
            REQUIRE(reinterpret_cast<std::uintptr_t>(m.panel(m.panels() - 1)) % 64 == 0);
            auto const row_of = [&](index_t r) { return normal(cols, at(r * 1000 + cols)); };
            std::vector<float> back(at(cols));
            auto const is = [&](index_t r, std::vector<float> const& wanted) {
                m.unpack(r, back);
                return same_bits(back, wanted);
            };
            for (index_t r = 0; r < rows; ++r) m.pack(r, normal(cols, 7)); // soils every code
            for (index_t r = rows; r-- > 0;) m.pack(r, row_of(r));
            for (index_t r = 0; r < rows; ++r) REQUIRE(is(r, kept<Format>(row_of(r))));
            for (float const soil : {std::nanf(""), std::numeric_limits<float>::infinity(),
                                     -std::numeric_limits<float>::infinity()}) {
                auto w = row_of(rows / 2);
                w[at(cols / 3)] = soil;
                m.pack(rows / 2, w);
                for (index_t r = 0; r < rows; ++r) {
                    if (r != rows / 2) {
                        REQUIRE(is(r, kept<Format>(row_of(r))));
                        continue;
                    }
                    m.unpack(r, back);
                    for (float const x : back) REQUIRE(std::isnan(x));
                }
            }
            m.pack(rows / 2, row_of(rows / 2));
            REQUIRE(is(rows / 2, kept<Format>(row_of(rows / 2))));
            packed<Format> const copy = m;
            m.resize(rows, cols); // all weights become zero
            for (index_t r = 0; r < rows; ++r) {
                m.unpack(r, back);
                for (float const x : back) REQUIRE(x == 0);
                copy.unpack(r, back);
                REQUIRE(same_bits(back, kept<Format>(row_of(r))));
            }
        }
    packed<Format> none;
    CHECK(none.bytes() == 0);
    CHECK(none.panels() == 0);
    index_t const large = index_t{1} << 40;
    CHECK_THROWS_AS(none.resize(large, large), std::bad_alloc);
    CHECK_THROWS_AS(none.resize(large, (index_t{1} << 24) - 1), std::bad_alloc);
    CHECK_THROWS_AS(none.resize(1, std::numeric_limits<index_t>::max() - 5), std::bad_alloc);
}

/// What is kept is kept again, to the last bit.
template <auto Format>
void keeps_twice() {
    for (double const scale : {1e-25, 1e-3, 1.0, 777.0, 1e25})
        for (index_t const length : lengths) {
            CAPTURE(scale, length);
            auto w = normal(length, at(length) + 5, scale);
            for (std::size_t i = 0; i < w.size(); ++i)
                if (i / 40 % 2 == 1) w[i] *= 1e-3f; // blocks of other sizes
            auto const once = kept<Format>(w);
            REQUIRE(kept<Format>(once) == once);
        }
}
/// Σ (kept - w)² / Σ w² of normal weights in rows.
template <auto Format>
double quality(index_t cols) {
    double off = 0, all = 0;
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
        auto const w = normal(cols, seed + 100);
        auto const got = kept<Format>(w);
        for (std::size_t i = 0; i < w.size(); ++i) {
            double const x = static_cast<double>(w[i]), y = static_cast<double>(got[i]);
            off += (x - y) * (x - y);
            all += x * x;
        }
    }
    return off / all;
}

} // namespace coded
