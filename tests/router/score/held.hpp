// SPDX-License-Identifier: MIT
// A scorer with weights of its own, the same weights in double, and what every scorer must keep.
#pragma once

#include <map>

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

namespace scorers {

using namespace prytany;
using numbers::at, numbers::rows;

/// A scorer filled with random numbers.
template <auto My>
struct held {
    params_of<kind_of<My>> params{};
    weights_of<kind_of<My>> weights{};
    shape size;
    std::map<std::string, twin::matrix> stored; // by role

    held(index_t experts, index_t model, std::uint64_t seed = 1)
        : size{.model = model, .hidden = 1, .experts = experts} {
        visit([&](auto const& t) {
            t.allocate();
            numbers::fill_tensor(t, ++seed * 131);
            stored[std::string(t.name.role)] = numbers::stored(t);
        });
    }
    template <class Visit>
    void visit(Visit&& f) {
        My.tensors(weights, size, f);
    }
    /// Gives one tensor these numbers.
    void set(std::string const& role, std::vector<float> const& values) {
        visit([&](auto const& t) {
            if (t.name.role != role) return;
            t.pack(matrix_view<float const>(values.data(), t.rows, t.cols));
            stored[role] = numbers::stored(t);
        });
    }
    rows score(input const& in) const {
        rows z(in.tokens(), size.experts, std::nanf(""));
        score(in, z.view());
        return z;
    }
    void score(input const& in, matrix_view<float> to) const {
        scratch_of<kind_of<My>> scratch{};
        arena count;
        lay_out_scratch(My, scratch, count, size, in.tokens());
        buffer<std::byte> soiled(count.used());
        for (index_t i = 0; i < soiled.size(); ++i) soiled[i] = std::byte{0xa5};
        arena memory(soiled.data());
        lay_out_scratch(My, scratch, memory, size, in.tokens());
        kind_of<My>::score(in, kit<My>{params, weights, scratch}, to);
    }
};

inline std::vector<double> product(twin::matrix const& m, std::vector<double> const& x) {
    std::vector<double> all(m.rows);
    for (std::size_t r = 0; r < m.rows; ++r)
        for (std::size_t c = 0; c < m.cols; ++c) all[r] += m.all[r * m.cols + c] * x[c];
    return all;
}
inline std::vector<double> row_of(twin::matrix const& m, std::size_t r) {
    auto const begin = m.all.begin() + static_cast<std::ptrdiff_t>(r * m.cols);
    return {begin, begin + static_cast<std::ptrdiff_t>(m.cols)};
}
inline double dot(std::vector<double> const& a, std::vector<double> const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}
inline double length(std::vector<double> const& a) { return std::sqrt(dot(a, a)); }

inline bool near(float got, double wanted, double scale = 1) {
    return std::abs(got - wanted) <= (1e-6 + 1e-5 * std::abs(wanted)) * scale;
}

/// Scores equal `formula(held, x)` in double, at many sizes, the same bits alone and in a batch.
template <auto My, class Formula>
void follows(Formula&& formula) {
    for (index_t const experts : {1, 2, 7, 16, 33, 130})
        for (index_t const model : {1, 3, 16, 100}) {
            held<My> const own(experts, model, at(experts + model));
            for (index_t const tokens : {1, 2, 5, 37}) {
                auto const x = rows::normal(tokens, model, 8);
                auto const got = own.score(x.view());
                for (index_t t = 0; t < tokens; ++t) {
                    auto const wanted = formula(own, twin::doubles(x.row_of(t)));
                    REQUIRE(wanted.size() == at(experts));
                    for (std::size_t e = 0; e < wanted.size(); ++e) {
                        CAPTURE(experts, model, tokens, t, e, wanted[e]);
                        REQUIRE(near(got.all[at(t) * at(experts) + e], wanted[e]));
                    }
                    REQUIRE(numbers::same_bits(own.score(x.part(t, 1).view()).all, got.row_of(t)));
                }
            }
            CHECK(own.score(rows(0, model).view()).all.empty());
        }
}

/// A NaN token changes no other row, nothing beside the logits is written.
template <auto My>
void keeps_to_itself() {
    held<My> const own(11, 20);
    auto x = rows::normal(40, 20, 2);
    auto const clean = own.score(x.view());
    x.row(4)[7] = std::nanf("");
    x.row(35)[0] = std::numeric_limits<float>::infinity();
    auto const soiled = own.score(x.view());
    for (index_t t = 0; t < 40; ++t)
        if (t != 4 && t != 35) CHECK(numbers::same_bits(clean.row_of(t), soiled.row_of(t)));
    x.row(4)[7] = x.row(35)[0] = 1;
    rows wide(40, 19, 77.0f);
    own.score(x.view(), matrix_view<float>(wide.all.data(), 40, 11, 19));
    auto const wanted = own.score(x.view());
    for (index_t t = 0; t < 40; ++t)
        for (index_t c = 0; c < 19; ++c)
            REQUIRE(wide.row(t)[c] == (c < 11 ? wanted.all[at(t * 11 + c)] : 77.0f));
}

/// "role[rows, cols]", with a v for vectors.
template <auto My>
std::vector<std::string> names(index_t experts, index_t model) {
    std::vector<std::string> all;
    weights_of<kind_of<My>> weights{};
    My.tensors(weights, shape{.model = model, .hidden = 1, .experts = experts}, [&](auto const& t) {
        all.push_back(t.name.text() + dims_text(t.rows, t.cols) + (t.vector ? "v" : ""));
    });
    return all;
}

} // namespace scorers
