// SPDX-License-Identifier: MIT
#include "prytany/prytany.hpp"

#include <type_traits>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

using block = moe<shape{.model = 16, .hidden = 24, .experts = 8, .shared = 1}, top_k{.k = 2},
                  ffn{swiglu}, dense<bf16>{}, shared_gate{}>;

TEST_CASE("prytany.hpp: one include writes and runs a layer") {
    block layer;
    layer.for_each_tensor([step = 0](auto const& t) mutable {
        std::vector<float> all(static_cast<std::size_t>(t.rows * t.cols));
        for (float& w : all) w = static_cast<float>(++step * 37 % 101 - 50) / 100;
        t.pack({all.data(), t.rows, t.cols});
    });
    std::vector<float> in(3 * 16, 0.5f), out(3 * 16);
    workspace ws;
    thread_pool pool(2);
    layer.forward(matrix_view<float const>(in.data(), 3, 16), matrix_view<float>(out.data(), 3, 16),
                  ws, pool);
    CHECK(ws.plan().slots() == 6);
    for (slot const s : ws.plan().slots_of(0)) CHECK((s.expert >= 0 && s.expert < 8));
    for (float const y : out) CHECK((y == y && y != 0));
}

TEST_CASE("prytany.hpp: brings the nouns of floors 0 to 4") {
    STATIC_REQUIRE(moe_layer<block>);
    STATIC_REQUIRE(executor<thread_pool>);
    STATIC_REQUIRE(executor<sequential>);
    STATIC_REQUIRE(router_policy<kind_of<biased{scored{linear{}, top_k{.k = 1}}}>>);
    STATIC_REQUIRE(weight_format<dense<f16>>);
    STATIC_REQUIRE(layer_option<kind_of<shared_as{dense<float>{}}>>);
    STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, error>);
}
