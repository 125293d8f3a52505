// SPDX-License-Identifier: MIT
// Whole layers in formats of codes: the batch, the threads, the path and a NaN change no bit.
#include <limits>

#include "layer/moe_held.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::run, numbers::same_bits;

namespace {

constexpr auto bytes = activations::int8, pairs = activations::int16;
constexpr shape sizes{40, 56, 6, 1, 72};

template <auto... Options>
using tiles = moe<sizes, top_k{.k = 2}, ffn{swiglu}, Options...>;
template <auto... Options>
using whole = moe<sizes, top_k{.k = 2}, written::untiled{ffn{swiglu}}, Options...>;

template <auto... Options>
void keeps_bits() {
    tiles<Options...> layer;
    numbers::fill(layer, 5);
    index_t const tokens = 37, model = layer.sizes().model;
    auto x = rows::normal(tokens, model, 6);
    workspace ws;
    auto const right = run(layer, x, ws, sequential{});
    auto const row_of = [&](index_t t) {
        return std::vector<float>(right.begin() + t * model, right.begin() + (t + 1) * model);
    };
    for (index_t t = 0; t < tokens; ++t) // alone
        REQUIRE(same_bits(run(layer, x.part(t, 1), ws, sequential{}), row_of(t)));
    for (index_t const width : {1, 2, 4}) {
        thread_pool pool(width);
        for (int again = 0; again < 5; ++again) REQUIRE(same_bits(run(layer, x, ws, pool), right));
    }
    whole<Options...> other; // expert by expert
    numbers::fill(other, 5);
    thread_pool pool(3);
    REQUIRE(same_bits(run(other, x), right));
    REQUIRE(same_bits(run(other, x, ws, pool), right));

    std::vector<std::uint8_t> mask(at(tokens), 1); // masked tokens, and tokens of NaN
    mask[4] = 0;
    auto const masked = run(layer, x, ws, pool, mask);
    x.row(4)[3] = std::nanf("");
    x.row(11)[model - 1] = std::numeric_limits<float>::infinity();
    x.row(30)[0] = std::nanf("");
    auto const soiled = run(layer, x, ws, pool), also = run(other, x, ws, pool);
    for (index_t t = 0; t < tokens; ++t) {
        auto const part = [&](std::vector<float> const& y) {
            return std::vector<float>(y.begin() + t * model, y.begin() + (t + 1) * model);
        };
        if (t == 4)
            for (float const v : part(masked)) REQUIRE(v == 0);
        else REQUIRE(same_bits(part(masked), row_of(t)));
        if (t != 4 && t != 11 && t != 30) {
            REQUIRE(same_bits(part(soiled), row_of(t)));
            REQUIRE(same_bits(part(also), row_of(t)));
        } else if (t != 11) {
            for (float const v : part(soiled)) REQUIRE(std::isnan(v));
        }
    }
}

} // namespace

TEST_CASE("moe: layers in 8 bits keep their bits") {
    keeps_bits<int8_rows{}>();
    keeps_bits<int8_rows{.activations = pairs}>();
    keeps_bits<int8_blocks{.activations = bytes}>();
}

TEST_CASE("moe: layers in 4 bits keep their bits") {
    keeps_bits<int4_blocks{.activations = bytes}>();
    keeps_bits<int4_blocks{.size = 64, .zero_point = true, .activations = bytes}>();
    keeps_bits<mxfp4{.activations = bytes}>();
}

TEST_CASE("moe: shared experts in another format than the routed ones keep their bits") {
    keeps_bits<ternary{.activations = bytes}, shared_as{dense<bf16>{}}>();
    keeps_bits<dense<bf16>{}, shared_as{int8_rows{.activations = pairs}}, shared_gate{}>();
    keeps_bits<int8_rows{.activations = pairs}, shared_as{mxfp4{.activations = bytes}}>();
}

TEST_CASE("moe: layers on stored weights are near their twin where activations are floats") {
    auto const near = [](auto layer) {
        numbers::fill(layer, 5);
        for (index_t const tokens : {1, 3, 20})
            CHECK(numbers::against_twin(layer, {.k = 2}, twin::gated(twin::silu),
                                        rows::normal(tokens, layer.sizes().model, 6))
                      .nmse <= 1e-12);
    };
    near(tiles<int8_rows{}>());
    near(tiles<ternary{}, shared_as{int4_blocks{}}>());
}
