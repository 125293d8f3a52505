// SPDX-License-Identifier: MIT
// The first layer that fits, with the bits of that layer.
#include "prytany/layer/any_layer.hpp"

#include "layer/moe_held.hpp"
#include "prytany/exec/thread_pool.hpp"

using namespace prytany;
using numbers::rows, numbers::same_bits;

namespace {

using fixed = moe<shape{24, 20, 6}, top_k{.k = 2}, ffn{swiglu}>;
using partly = moe<shape{.model = 24}, top_k{}, ffn{swiglu}>;
using any_size = moe<shape{}, top_k{}, ffn{swiglu}>;
using one = any_layer<fixed, partly, any_size>;
using other_kind = moe<shape{}, top_k{}, ffn{gelu, biases}>;

one made(shape const& size, index_t k) {
    one layer(size, fixed::params{.router = {.k = k}});
    numbers::fill(layer);
    return layer;
}

} // namespace

TEST_CASE("any_layer: the first layer that accepts the sizes and numbers") {
    static_assert(moe_layer<one> && moe_layer<any_layer<fixed>>);
    CHECK(made({24, 20, 6}, 2).which() == 0);
    CHECK(made({24, 20, 6}, 3).which() == 1);
    CHECK(made({24, 21, 6}, 2).which() == 1);
    CHECK(made({23, 20, 6}, 2).which() == 2);
    CHECK(any_layer<any_size, fixed>({24, 20, 6}, fixed::params{.router = {.k = 2}}).which() == 0);
    auto const layer = made({23, 20, 6}, 2);
    CHECK(layer.sizes() == shape{23, 20, 6, 0, 20});
    CHECK(layer.visit([](auto const& held) { return held.slots(); }) == 2);
}

TEST_CASE("any_layer: does what the held layer does, with the same bits") {
    thread_pool pool(3);
    auto const check = [&](auto plain, shape const& size, index_t k) {
        auto const layer = made(size, k);
        numbers::fill(plain);
        auto const x = rows::normal(37, size.model, 3);
        std::vector<std::uint8_t> mask(37, 1);
        mask[5] = 0;
        workspace ws;
        CHECK(same_bits(numbers::run(layer, x), numbers::run(plain, x)));
        CHECK(same_bits(numbers::run(layer, x, ws, pool, mask), numbers::run(plain, x, mask)));
        CHECK(ws.plan().slots_of(5).empty());
        index_t seen = 0;
        rows y(37, size.model);
        layer.forward(x.view(), y.view(), ws, pool,
                      [&](routing const& r) { seen += r.plan.tokens(); });
        CHECK(seen == 37);
    };
    check(fixed{}, {24, 20, 6}, 2);
    check(any_size({24, 20, 6}, {.router = {.k = 2}}), {24, 20, 6}, 2); // the twin of the fixed one
    check(any_size({24, 9, 5}, {.router = {.k = 3}}), {24, 9, 5}, 3);
    check(any_size({7, 9, 5}, {.router = {.k = 1}}), {7, 9, 5}, 1);
}

TEST_CASE("any_layer: layers of other kinds are put in as they are") {
    using both = any_layer<any_size, other_kind>;
    other_kind held({9, 5, 4}, {.router = {.k = 2}});
    numbers::fill(held);
    both const layer{held};
    CHECK(layer.which() == 1);
    auto const x = rows::normal(10, 9, 3);
    CHECK(same_bits(numbers::run(layer, x), numbers::run(held, x)));
    both changed = layer; // a copy is its own
    changed.for_each_tensor([](auto const& t) { numbers::fill_with(t, 0); });
    CHECK(same_bits(numbers::run(layer, x), numbers::run(held, x)));
    changed = both{any_size({9, 5, 4}, {.router = {.k = 2}})};
    CHECK(changed.which() == 0);
}

TEST_CASE("any_layer: nothing fits, or what fits is wrong") {
    using narrow = any_layer<fixed, moe<shape{.model = 32}, top_k{}, ffn{swiglu}>>;
    auto const said = [](auto&& f) -> std::string {
        try {
            f();
        } catch (error const& e) {
            return e.what();
        }
        return {};
    };
    auto const make = [&](shape const& size, index_t k) {
        return said([&] { narrow layer(size, fixed::params{.router = {.k = k}}); });
    };
    CHECK(make({24, 20, 6}, 2).empty());
    CHECK(make({24, 20, 7}, 2) == "any_layer: expected one of the 2 compiled layers, got model 24, "
                                  "hidden 20, experts 7, shared 0");
    CHECK(make({32, 20, 7}, 8) == "experts per token (k): expected 1 to 7, got 8");
    CHECK(make({}, 2).empty()); // sizes that are not given are those of the type
    CHECK(said([] { one layer({.model = 23}, fixed::params{.router = {.k = 2}}); }) ==
          "shape.hidden: expected a size, since it is dynamic, got none");
    CHECK(said([] {
              one layer({24, 20, 6}, fixed::params{.router = {.k = 7}});
          }) == "experts per token (k): expected 1 to 6, got 7");
    auto const layer = made({24, 20, 6}, 2);
    rows x(3, 23), y(3, 24);
    workspace ws;
    CHECK(said([&] { layer.forward(x.view(), y.view(), ws, sequential{}); }) ==
          "moe input: expected [3, 24], got [3, 23]");
}
