// SPDX-License-Identifier: MIT
#include "prytany/kernel/gemm.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

std::vector<index_t> const sizes{1,  2,  3,  4,  5,  6,   7,   8,   9,   15,  16,  17,  31,
                                 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1025};

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

// W [outputs, inputs], packed, and as the double matrix that the format made of it.
template <class T>
struct weights {
    packed<dense<T>{}> stored;
    twin::matrix exact;

    explicit weights(twin::matrix const& from)
        : stored(static_cast<index_t>(from.rows), static_cast<index_t>(from.cols)),
          exact(from.rows, from.cols) {
        std::vector<float> back(from.cols);
        for (std::size_t r = 0; r < from.rows; ++r) {
            auto const row = static_cast<index_t>(r);
            stored.pack(row, twin::floats(from.row_of(r)));
            stored.unpack(row, back);
            exact.set_row(r, twin::doubles(back));
        }
    }
};

// All outputs of `count` rows, stored as a caller would, and how often each tile was given.
template <auto Format>
std::vector<float> product(kernel::picked_rows rows, index_t count, packed<Format> const& w) {
    twin::guarded<float> out(count * w.rows(), twin::edge::back,
                             std::numeric_limits<float>::signaling_NaN());
    std::vector<int> given(at(count * w.panels()));
    kernel::multiply(
        rows, count, w, 0, w.panels(), [&](index_t row, index_t panel, simd::float_pair sum) {
            ++given[at(row * w.panels() + panel)];
            index_t const column = panel * panel_lanes;
            simd::store_pair(out.data() + row * w.rows() + column, sum, w.rows() - column);
        });
    for (int const g : given)
        if (g != 1) return {};
    return out.all();
}
bool is_prefix(std::vector<float> const& some, std::vector<float> const& all, index_t length) {
    return static_cast<index_t>(some.size()) == length &&
           std::equal(some.begin(), some.end(), all.begin());
}

// Errors of many outputs, in u Σ|x w|.
struct errors {
    double worst = 0;
    double outputs = 0, above_4 = 0;

    void add(double off) {
        if (!(off <= worst)) worst = off;
        if (!(off <= 4)) ++above_4;
        ++outputs;
    }
};

// Whether every count, alone, in a batch and from any first row, gives the bits of the whole batch.
// Adds the errors of the first rows.
template <class T>
bool agrees(index_t depth, index_t outputs, std::vector<index_t> const& counts,
            errors& all_errors) {
    index_t const most = *std::max_element(counts.begin(), counts.end());
    auto const seed = static_cast<std::uint64_t>(depth * 2000 + outputs);
    auto const x = twin::normal(at(most), at(depth), seed, 1.0);
    weights<T> const w(twin::normal(at(outputs), at(depth), seed + 7, 1.0));
    twin::guarded<float> const rows(twin::floats(x.all),
                                    seed % 2 == 0 ? twin::edge::back : twin::edge::front);
    auto const all = product({rows.data(), depth}, most, w.stored);
    if (!is_prefix(all, all, most * outputs)) return false;
    for (index_t const count : counts)
        if (!is_prefix(product({rows.data(), depth}, count, w.stored), all, count * outputs))
            return false;
    for (index_t const first : {1, 2, 5, 12}) {
        if (first >= most) break;
        auto const one = product({rows.data() + first * depth, depth}, 1, w.stored);
        if (!std::equal(one.begin(), one.end(), all.begin() + first * outputs)) return false;
    }
    for (std::size_t r = 0; r < std::min<std::size_t>(x.rows, 5); ++r)
        for (std::size_t o = 0; o < w.exact.rows; ++o) {
            double sum = 0, size = 0;
            for (std::size_t k = 0; k < x.cols; ++k) {
                sum += x(r, k) * w.exact(o, k);
                size += std::abs(x(r, k) * w.exact(o, k));
            }
            all_errors.add(std::abs(static_cast<double>(all[r * w.exact.rows + o]) - sum) /
                           (size * 0x1p-24));
        }
    return true;
}

// The worst error in u Σ|x w| of a few long rows with entries by f(k).
template <class T = float, class F>
double long_error(index_t depth, F const& f) {
    double worst = 0;
    for (std::uint64_t seed = 0; seed < 2; ++seed) {
        twin::matrix x(5, at(depth)), m(40, at(depth));
        x.all = twin::normal(x.all.size(), seed);
        m.all = twin::normal(m.all.size(), seed + 100);
        for (std::size_t i = 0; i < x.all.size(); ++i)
            x.all[i] = static_cast<float>(f(x.all[i], static_cast<index_t>(i % x.cols)));
        for (std::size_t i = 0; i < m.all.size(); ++i)
            m.all[i] = static_cast<float>(f(m.all[i], static_cast<index_t>(i % m.cols)));
        weights<T> const w(m);
        auto const rows = twin::floats(x.all);
        auto const got = product({rows.data(), depth}, 5, w.stored);
        REQUIRE(got.size() == 200);
        for (std::size_t r = 0; r < 5; ++r)
            for (std::size_t o = 0; o < 40; ++o) {
                double sum = 0, size = 0;
                for (std::size_t k = 0; k < x.cols; ++k) {
                    sum += x(r, k) * w.exact(o, k);
                    size += std::abs(x(r, k) * w.exact(o, k));
                }
                worst = std::max(worst, std::abs(static_cast<double>(got[r * 40 + o]) - sum) /
                                            (size * 0x1p-24));
            }
    }
    return worst;
}

std::vector<index_t> every_count() {
    std::vector<index_t> all;
    for (index_t c = 1; c <= 40; ++c) all.push_back(c);
    for (index_t const c : {64, 85, 86, 87, 97}) all.push_back(c);
    return all;
}

} // namespace

TEST_CASE("gemm: every number of rows has the same bits in any batch, all formats") {
    std::vector<index_t> const every = every_count(), some{1, 2, 3, 4, 5, 11, 12, 13, 26, 97};
    errors all;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        index_t const depth = sizes[i];
        auto const outputs = [&](std::size_t turn) { return sizes[(i + turn) % sizes.size()]; };
        auto const counts = [&](std::size_t turn) {
            return depth * outputs(turn) <= 10'000 ? every : some;
        };
        INFO("K " << depth);
        REQUIRE(agrees<float>(depth, outputs(12), counts(12), all));
        REQUIRE(agrees<bf16>(depth, outputs(7), counts(7), all));
        REQUIRE(agrees<f16>(depth, outputs(16), counts(16), all));
    }
    REQUIRE(agrees<float>(511, 513, {1, 2, 3, 13}, all));
    REQUIRE(agrees<bf16>(513, 512, {1, 2, 3, 13}, all));
    REQUIRE(agrees<float>(1025, 1025, {1, 2, 3, 4, 85}, all));
    INFO("worst error " << all.worst << " u Σ|x w|");
    CHECK(all.worst <= 8);
}

TEST_CASE("gemm: every K with every N, all formats, the stated error on zero-mean data") {
    std::vector<index_t> const counts{1, 2, 3, 4, 7};
    errors all;
    for (index_t const depth : sizes)
        for (index_t const outputs : sizes) {
            if (depth * outputs > 70'000) continue;
            INFO("K " << depth << ", N " << outputs);
            REQUIRE(agrees<float>(depth, outputs, counts, all));
            REQUIRE(agrees<bf16>(depth, outputs, counts, all));
            REQUIRE(agrees<f16>(depth, outputs, counts, all));
        }
    INFO("worst error " << all.worst << " u Σ|x w|, above 4: " << all.above_4 << " of "
                        << all.outputs);
    CHECK(all.worst <= 8);
    CHECK(all.above_4 <= 1e-5 * all.outputs);
    CHECK(all.outputs > 5e5);
}

TEST_CASE("gemm: exact on small integers in every format") {
    for (index_t const depth : {1, 3, 17, 64, 513, 1025})
        for (index_t const outputs : {1, 15, 33, 65}) {
            twin::matrix x(13, at(depth)), m(at(outputs), at(depth));
            for (std::size_t i = 0; i < x.all.size(); ++i)
                x.all[i] = static_cast<double>((i * 2654435761u >> 5) % 17) - 8;
            for (std::size_t i = 0; i < m.all.size(); ++i)
                m.all[i] = static_cast<double>((i * 40503u >> 3) % 31) - 15;
            auto const rows = twin::floats(x.all);
            auto const wanted = twin::floats(twin::gemm(x, m).all);
            REQUIRE(product({rows.data(), depth}, 13, weights<float>(m).stored) == wanted);
            REQUIRE(product({rows.data(), depth}, 13, weights<bf16>(m).stored) == wanted);
            REQUIRE(product({rows.data(), depth}, 13, weights<f16>(m).stored) == wanted);
        }
}

TEST_CASE("gemm: long sums keep their bounds") {
    auto const normal = [](double x, index_t) { return x; };
    auto const same_sign = [](double x, index_t) { return std::abs(x); };
    auto const heavy = [](double x, index_t) { return std::abs(x * x * x); };
    auto const large_first = [](double x, index_t k) { return std::abs(x) * (k == 0 ? 100 : 1); };
    for (index_t const depth : {512, 1024, 4096, 16384}) {
        double const a = long_error(depth, normal), b = long_error(depth, same_sign),
                     c = long_error(depth, heavy), d = long_error(depth, large_first);
        INFO("K " << depth << ": zero-mean " << a << ", same sign " << b << ", heavy " << c
                  << ", large first " << d << " u Σ|x w|");
        CHECK(a <= 8);
        CHECK(b <= 64);
        CHECK(c <= 64);
        CHECK(d <= 64);
        CHECK(long_error<bf16>(depth, normal) <= 8);
        CHECK(long_error<f16>(depth, same_sign) <= 64);
    }
}

TEST_CASE("gemm: the worst sum there is keeps min(K, 512) + ⌈K / 512⌉ roundings") {
    // every addition after the first loses all it adds
    for (index_t const depth : {100, 512, 1024, 5000, 16384}) {
        double const bound =
            static_cast<double>(std::min<index_t>(depth, 512) + (depth + 511) / 512);
        double const got = long_error(
            depth, [](double, index_t k) { return k % 512 == 0 ? 1.0 : std::sqrt(0x0.ffp-24); });
        INFO("K " << depth << ": " << got << " of " << bound);
        CHECK(got <= bound);
    }
}

TEST_CASE("gemm: rows picked where they lie are the rows copied together") {
    index_t const depth = 37, outputs = 70, tokens = 50, stride = 41;
    auto const x = twin::floats(twin::normal(at(tokens * stride), 1));
    weights<float> const w(twin::normal(at(outputs), at(depth), 2, 1.0));
    for (index_t count = 1; count <= 60; ++count) {
        std::vector<std::int32_t> pick;
        std::vector<float> together;
        for (index_t i = 0; i < count; ++i) { // in any order, some more than once
            pick.push_back(static_cast<std::int32_t>((i * 29 + count) % tokens));
            float const* const row = x.data() + pick.back() * stride;
            together.insert(together.end(), row, row + depth);
        }
        REQUIRE(product({x.data(), stride, pick.data()}, count, w.stored) ==
                product({together.data(), depth}, count, w.stored));
    }
    std::vector<std::int32_t> const pick{4, 1, 3};
    kernel::picked_rows const some{x.data(), stride, pick.data()}, all{x.data(), stride};
    CHECK(some[1] == x.data() + stride);
    CHECK(some.from(2)[0] == x.data() + 3 * stride);
    CHECK(all.from(5)[2] == x.data() + 7 * stride);
}

TEST_CASE("gemm: only the asked panels are computed, and they have the same bits") {
    index_t const depth = 19, outputs = 9 * panel_lanes + 3;
    weights<float> const w(twin::normal(at(outputs), at(depth), 2, 1.0));
    auto const x = twin::floats(twin::normal(at(20 * depth), 1));
    for (index_t const count : {1, 2, 3, 4, 20}) {
        auto const all = product({x.data(), depth}, count, w.stored);
        for (index_t first = 0; first <= 10; ++first)
            for (index_t last = first; last <= 10; ++last) {
                index_t calls = 0, wrong = 0;
                kernel::multiply({x.data(), depth}, count, w.stored, first, last,
                                 [&](index_t row, index_t panel, simd::float_pair sum) {
                                     ++calls;
                                     if (panel < first || panel >= last) ++wrong;
                                     float got[static_cast<std::size_t>(panel_lanes)];
                                     simd::store_pair(got, sum, panel_lanes);
                                     index_t const column = panel * panel_lanes;
                                     for (index_t j = 0; j < panel_lanes; ++j) {
                                         if (column + j >= outputs) {
                                             if (got[j] != 0) ++wrong; // the padding is zero
                                         } else if (got[j] != all[at(row * outputs + column + j)]) {
                                             ++wrong;
                                         }
                                     }
                                 });
                REQUIRE(calls == count * (last - first));
                REQUIRE(wrong == 0);
            }
    }
}

TEST_CASE("gemm: no rows, no read") {
    weights<float> const w(twin::normal(5, 3, 2, 1.0));
    int calls = 0;
    kernel::multiply({nullptr, 3}, 0, w.stored, 0, w.stored.panels(),
                     [&](index_t, index_t, simd::float_pair) { ++calls; });
    CHECK(calls == 0);
}

TEST_CASE("gemm: a NaN row changes no bit of another row") {
    index_t const depth = 33, outputs = 40;
    weights<float> const w(twin::normal(at(outputs), at(depth), 2, 1.0));
    auto x = twin::floats(twin::normal(at(29 * depth), 1));
    auto const clean = product({x.data(), depth}, 29, w.stored);
    for (index_t k = 0; k < depth; ++k)
        x[at(7 * depth + k)] = std::numeric_limits<float>::quiet_NaN();
    auto const soiled = product({x.data(), depth}, 29, w.stored);
    for (index_t i = 0; i < 29 * outputs; ++i) {
        if (i / outputs == 7) REQUIRE(std::isnan(soiled[at(i)]));
        else REQUIRE(soiled[at(i)] == clean[at(i)]);
    }
}
