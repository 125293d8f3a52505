// SPDX-License-Identifier: MIT
#include "prytany/layer/residual/plain.hpp"

#include "layer/residual/held.hpp"

using namespace prytany;

TEST_CASE("plain: adds, or steps against") {
    held::pass<plain{}> up(held::row({0.5f, -1, 2}));
    CHECK(up.step(held::row({1, 2, -3})) == std::vector<float>{1.5f, 1, -1});
    CHECK(up.step(held::row({1, 1, 1})) == std::vector<float>{2.5f, 2, 0});
    held::pass<plain{.sign = residual_sign::minus}> down(held::row({0.5f, -1, 2}));
    CHECK(down.step(held::row({1, 2, -3})) == std::vector<float>{-0.5f, -3, 5});
}

TEST_CASE("plain: rows may be cut as one likes") {
    held::cuts_as_it_likes<plain{}>();
    held::cuts_as_it_likes<plain{.sign = residual_sign::minus}>();
}
