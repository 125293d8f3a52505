// SPDX-License-Identifier: MIT
// A residual policy by itself, run over the sums of a few layers.
#pragma once

#include "conformance/numbers.hpp"
#include "prytany/layer/residual/concept.hpp"
#include "support/catch.hpp"

namespace held {

using namespace prytany;
using numbers::at, numbers::rows;

inline bool close(double got, double wanted) {
    return std::abs(got - wanted) <= 1e-6 + 1e-5 * std::abs(wanted);
}
inline void require_close(std::vector<float> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        INFO("number " << i << ": " << got[i] << ", wanted " << wanted[i]);
        CHECK(close(double{got[i]}, wanted[i]));
    }
}
inline rows row(std::vector<float> const& all) {
    rows some(1, static_cast<index_t>(all.size()));
    some.all = all;
    return some;
}
inline std::vector<float> copy(matrix_view<float> m) {
    std::vector<float> all;
    for (index_t t = 0; t < m.rows; ++t) all.insert(all.end(), m.row(t), m.row(t) + m.cols);
    return all;
}

/// One pass: what is carried, and the rows.
template <auto Residual>
struct pass {
    using P = kind_of<Residual>;
    typename P::params own;
    depth_memory<P> memory;
    typename P::carry& carry;
    rows x;

    explicit pass(rows const& begin, typename P::params const& numbers = {})
        : own(numbers), memory(begin.count, begin.cols), carry(memory.start(begin.count)),
          x(begin) {}
    /// Passes one layer whose sum this is.
    std::vector<float> const& step(rows const& sum) {
        rows out(x.count, x.cols, std::nanf(""));
        Residual.combine(own, std::as_const(x).view(), sum.view(), carry, out.view());
        ++carry.depth;
        x = out;
        return x.all;
    }
};

/// The sentence with which a policy refuses numbers; empty where it takes them.
template <class P>
std::string refused(typename P::params const& own) {
    try {
        P::check(own);
    } catch (error const& e) {
        return e.what();
    }
    return {};
}

/// (v - mean) / √(population variance + 1e-5).
inline twin::row layer_norm(twin::row const& v) {
    double mean = 0, variance = 0;
    auto const n = static_cast<double>(v.size());
    for (double const x : v) mean += x / n;
    for (double const x : v) variance += (x - mean) * (x - mean) / n;
    twin::row all;
    for (double const x : v) all.push_back((x - mean) / std::sqrt(variance + 1e-5));
    return all;
}

/// Parts of rows, and rows of any width and stride, give the bits of the whole; the sum may lie
/// where the output goes.
template <auto Residual>
void cuts_as_it_likes() {
    using P = kind_of<Residual>;
    for (index_t const model : {1, 7, 8, 33, 64}) {
        index_t const tokens = 11;
        auto const x = rows::normal(tokens, model, 1);
        pass<Residual> whole(x);
        depth_memory<P> memory(tokens, model);
        auto& carry = memory.start(tokens);
        auto in_place = x;
        for (std::uint64_t layer = 0; layer < 3; ++layer) {
            auto const c = rows::normal(tokens, model, 5 + layer);
            auto const before = in_place;
            in_place = c;
            for (index_t const first : {0, 4, 5}) {
                index_t const count = first == 0 ? 4 : first == 4 ? 1 : tokens - 5;
                auto some = carry.part(first, count);
                CHECK(some.tokens == count);
                Residual.combine({}, before.view().part(first, count),
                                 std::as_const(in_place).view().part(first, count), some,
                                 in_place.view().part(first, count));
            }
            ++carry.depth;
            REQUIRE(numbers::same_bits(whole.step(c), in_place.all));
        }
        // a new pass begins at zero, also a shorter one
        auto& again = memory.start(2);
        CHECK(again.depth == 0);
        CHECK(again.tokens == 2);
        auto const c = rows::normal(2, model, 9);
        rows out(2, model);
        Residual.combine({}, x.part(0, 2).view(), c.view(), again, out.view());
        pass<Residual> fresh(x.part(0, 2));
        CHECK(numbers::same_bits(fresh.step(c), out.all));
    }
}

} // namespace held
