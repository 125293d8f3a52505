// SPDX-License-Identifier: MIT
#include "prytany/layer/residual/concept.hpp"

#include "layer/residual/held.hpp"
#include "prytany/layer/residual/adam.hpp"
#include "prytany/layer/residual/heavy_ball.hpp"
#include "prytany/layer/residual/plain.hpp"
#include "prytany/layer/residual/robust.hpp"

using namespace prytany;

namespace {

struct no_combine : plain {
    void combine(int) const {}
};
struct may_throw : plain {
    void combine(params const&, matrix_view<float const>, matrix_view<float const>, carry&,
                 matrix_view<float>) const {}
};
struct no_carry {
    struct params {};
    struct carry {};
};

} // namespace

TEST_CASE("residual_policy: its models, and what is none") {
    STATIC_REQUIRE(residual_policy<plain>);
    STATIC_REQUIRE(residual_policy<heavy_ball>);
    STATIC_REQUIRE(residual_policy<adam>);
    STATIC_REQUIRE(residual_policy<robust>);
    STATIC_REQUIRE(!residual_policy<no_combine>);
    STATIC_REQUIRE(!residual_policy<may_throw>);
    STATIC_REQUIRE(!residual_policy<no_carry>);
    STATIC_REQUIRE(!residual_policy<int>);
    STATIC_REQUIRE(enters<robust>);
    STATIC_REQUIRE(!enters<heavy_ball>);
}

TEST_CASE("depth_memory: is zero at the start of every pass, in one place") {
    depth_memory<adam> memory(6, 5);
    float const* place = nullptr;
    for (index_t const tokens : {6, 1, 4, 0}) {
        auto& carry = memory.start(tokens);
        CHECK(carry.tokens == tokens);
        CHECK(carry.model == 5);
        CHECK(carry.depth == 0);
        if (place == nullptr) place = carry.mean.data;
        CHECK(carry.mean.data == place);
        for (auto const& part : {carry.mean, carry.square, carry.momentum}) {
            CHECK(held::copy(part) == std::vector<float>(numbers::at(tokens * 5)));
            for (index_t t = 0; t < tokens; ++t) std::fill_n(part.row(t), 5, 3.0f);
        }
        carry.depth = 7;
    }
}
