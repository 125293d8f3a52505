// SPDX-License-Identifier: MIT
#include "prytany/router/score/linear_heads.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

namespace {

template <linear_heads My>
void follows_its_formula(index_t heads, index_t model) {
    shape const size{.model = model, .hidden = 1, .experts = heads};
    linear_heads::weights weights;
    twin::matrix shared, routed;
    std::vector<std::string> names;
    My.tensors(weights, size, [&](auto const& t) {
        t.allocate();
        numbers::fill_tensor(t, at(heads * 10 + model));
        names.push_back(t.name.text());
        CHECK(t.cols == model);
        (t.name.role == "shared" ? shared : routed) = numbers::stored(t);
    });
    std::vector<std::string> wanted;
    if (My.shared > 1) wanted.emplace_back("router.shared");
    if (heads > My.shared) wanted.emplace_back("router.weight");
    CHECK(names == wanted);
    auto const x = rows::normal(13, model, 3);
    auto const score = [&](rows const& in) {
        rows z(in.count, heads, std::nanf(""));
        nothing none;
        linear_heads::score(in.view(), kit<My>{{}, weights, none}, z.view());
        return z;
    };
    auto const got = score(x);
    twin::row right;
    for (index_t t = 0; t < x.count; ++t) {
        auto const row = twin::doubles(x.row_of(t));
        for (index_t h = 0; h < heads; ++h) {
            double sum = 0;
            bool const in_shared = h < My.shared;
            for (index_t i = 0; i < model && !(in_shared && My.shared == 1); ++i)
                sum += row[at(i)] * (in_shared ? shared.all[at(h * model + i)]
                                               : routed.all[at((h - My.shared) * model + i)]);
            right.push_back(sum);
        }
        CHECK(numbers::same_bits(score(x.part(t, 1)).all, got.row_of(t)));
    }
    CHECK(twin::nmse(got.all, right) <= 1e-12);
    CHECK(score(rows(0, model)).all.empty());
}

} // namespace

TEST_CASE("linear_heads: shared heads by one matrix, routed ones by another") {
    STATIC_REQUIRE(scorer<linear_heads>);
    for (index_t const model : {1, 7, 64, 130}) {
        follows_its_formula<linear_heads{}>(5, model);
        follows_its_formula<linear_heads{.shared = 1}>(4, model);
        follows_its_formula<linear_heads{.shared = 1}>(1, model);
        follows_its_formula<linear_heads{.shared = 2}>(6, model);
        follows_its_formula<linear_heads{.shared = 5}>(5, model);
        follows_its_formula<linear_heads{.shared = 19}>(64, model);
    }
}
