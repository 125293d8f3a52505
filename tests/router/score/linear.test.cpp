// SPDX-License-Identifier: MIT
#include "prytany/router/score/linear.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

namespace {

template <linear My>
struct held {
    linear::weights weights;
    shape size;
    twin::matrix matrix;
    twin::row bias;

    held(index_t experts, index_t model) : size{.model = model, .hidden = 1, .experts = experts} {
        My.tensors(weights, size, [&](auto const& t) {
            t.allocate();
            numbers::fill_tensor(t, at(experts * 100 + model + t.cols));
            if (t.vector) bias = numbers::stored(t).all;
            else matrix = numbers::stored(t);
        });
    }
    rows score(matrix_view<float const> x) const {
        rows z(x.rows, size.experts, std::nanf(""));
        nothing none;
        linear::score(x, kit<My>{{}, weights, none}, z.view());
        return z;
    }
};

template <linear My>
void follows_its_formula() {
    for (index_t const experts : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 71, 257})
        for (index_t const model : {1, 3, 16, 33, 257, 1025}) {
            held<My> const own(experts, model);
            for (index_t const tokens : {1, 2, 3, 4, 13}) {
                auto const x = rows::normal(tokens, model, 8);
                twin::matrix in(at(tokens), at(model));
                in.all = twin::doubles(x.all);
                auto const got = own.score(x.view());
                CHECK(twin::nmse(got.all, twin::gemm(in, own.matrix, own.bias).all) <= 1e-12);
                CHECK(numbers::same_bits(own.score(x.part(tokens - 1, 1).view()).all,
                                         got.row_of(tokens - 1)));
            }
        }
}

} // namespace

TEST_CASE("linear: one dot product for every expert, and its bias") {
    follows_its_formula<linear{}>();
    follows_its_formula<linear{.biases = true}>();
}

TEST_CASE("linear: the names and sizes of its tensors") {
    linear::weights weights;
    std::vector<std::string> names;
    auto const visit = [&](auto const& t) {
        names.push_back(t.name.text() + dims_text(t.rows, t.cols) + (t.vector ? "v" : ""));
    };
    shape const size{.model = 6, .hidden = 2, .experts = 5};
    linear{}.tensors(weights, size, visit);
    CHECK(names == std::vector<std::string>{"router.weight[5, 6]"});
    linear{.biases = true}.tensors(weights, size, visit);
    CHECK(names == std::vector<std::string>{"router.weight[5, 6]", "router.weight[5, 6]",
                                            "router.bias[5, 1]v"});
}

TEST_CASE("linear: writes its logits and nothing beside them") {
    held<linear{.biases = true}> const own(5, 4);
    auto const x = rows::normal(3, 4, 1);
    rows wide(3, 9, 77.0f);
    nothing none;
    linear::score(x.view(), kit<linear{.biases = true}>{{}, own.weights, none},
                  matrix_view<float>(wide.all.data(), 3, 5, 9));
    auto const wanted = own.score(x.view());
    for (index_t t = 0; t < 3; ++t)
        for (index_t c = 0; c < 9; ++c)
            CHECK(wide.row(t)[c] == (c < 5 ? wanted.all[at(t * 5 + c)] : 77.0f));
}

TEST_CASE("linear: NaN stays in its row") {
    held<linear{}> const own(11, 20);
    auto x = rows::normal(9, 20, 2);
    auto const clean = own.score(x.view());
    x.row(4)[7] = std::nanf("");
    auto const soiled = own.score(x.view());
    for (index_t t = 0; t < 9; ++t)
        if (t != 4) CHECK(numbers::same_bits(clean.row_of(t), soiled.row_of(t)));
    for (float const z : soiled.row_of(4)) CHECK(std::isnan(z));
}
