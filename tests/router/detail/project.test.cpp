// SPDX-License-Identifier: MIT
#include "prytany/router/detail/project.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

namespace {

packed<dense<float>{}> matrix_of(rows const& from) {
    packed<dense<float>{}> all(from.count, from.cols);
    for (index_t r = 0; r < from.count; ++r) all.pack(r, from.row_of(r));
    return all;
}

template <index_t Width>
void blocks_are_the_product() {
    auto const m = rows::normal(Width, 9, 1), b = rows::normal(1, Width, 2);
    auto const matrix = matrix_of(m);
    column bias;
    bias.resize(Width, 1);
    for (index_t i = 0; i < Width; ++i) bias.pack(i, {&b.all[at(i)], 1});
    for (index_t const count : {0, 1, 31, 32, 33, 70}) {
        auto const x = rows::normal(count, 9, 3);
        rows whole(count, Width);
        detail::project(x.view(), matrix, &bias, whole.view());
        index_t seen = 0;
        detail::each_projected<Width>(
            x.view(), matrix, &bias, [](simd::floats v) { return v + v; },
            [&](matrix_view<float const> inner, index_t first) {
                REQUIRE(first == seen);
                REQUIRE(inner.cols == Width);
                for (index_t t = 0; t < inner.rows; ++t)
                    for (index_t c = 0; c < Width; ++c)
                        REQUIRE(inner.row(t)[c] == 2 * whole.row(first + t)[c]);
                seen += inner.rows;
            });
        CHECK(seen == count);
        for (index_t t = 0; t < count; ++t)
            for (index_t i = 0; i < Width; i += 7) {
                double sum = b.all[at(i)];
                for (index_t k = 0; k < 9; ++k)
                    sum += double{x.all[at(t * 9 + k)]} * m.all[at(i * 9 + k)];
                REQUIRE(std::abs(whole.row(t)[i] - sum) <= 1e-5);
            }
    }
}

} // namespace

TEST_CASE("project: blocks between two products are rows of one product") {
    blocks_are_the_product<1>();
    blocks_are_the_product<16>();
    blocks_are_the_product<257>();
    blocks_are_the_product<9001>();
}
