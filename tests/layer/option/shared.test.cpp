// SPDX-License-Identifier: MIT
#include "prytany/layer/option/shared.hpp"

#include "layer/moe_held.hpp"

using namespace prytany;
using numbers::against_twin, numbers::rows;

namespace {

twin::activation const swish = twin::gated(twin::silu);

template <class Layer>
void follows(Layer& layer) {
    numbers::fill(layer, 5);
    for (index_t const tokens : {1, 3, 20}) {
        auto const x = rows::normal(tokens, layer.sizes().model, 6);
        std::vector<std::uint8_t> mask(static_cast<std::size_t>(tokens), 1);
        CHECK(against_twin(layer, {.k = 2}, swish, x).nmse <= 1e-12);
        mask[0] = 0;
        CHECK(against_twin(layer, {.k = 2}, swish, x, mask).nmse <= 1e-12);
    }
}
template <class Layer>
std::vector<std::string> stores(Layer const& layer, std::string_view part) {
    std::vector<std::string> all;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part != part || t.vector || t.name.expert > 0) return;
        all.push_back(std::to_string(t.bytes() / (t.rows * t.cols)));
    });
    return all;
}
using words = std::vector<std::string>;

} // namespace

TEST_CASE("shared: one, several fused to one, wider and narrower than the routed") {
    moe<shape{32, 16, 6, 1}, top_k{.k = 2}, ffn{swiglu}> one;
    moe<shape{32, 16, 6, 3}, top_k{.k = 2}, ffn{swiglu}> three;
    moe<shape{32, 16, 6, 2, 48}, top_k{.k = 2}, ffn{swiglu}> wide;
    moe<shape{32, 48, 6, 1, 16}, top_k{.k = 2}, ffn{swiglu}> narrow;
    moe<shape{.shared = dynamic}, top_k{.k = 2}, ffn{swiglu}> free(
        {.model = 33, .hidden = 9, .experts = 6, .shared = 3, .shared_hidden = 7});
    follows(one);
    follows(three);
    follows(wide);
    follows(narrow);
    follows(free);
}

TEST_CASE("shared: weighed by a gate, in a format of its own, in any order of options") {
    moe<shape{32, 16, 6, 2}, top_k{.k = 2}, ffn{swiglu}, shared_gate{}> gated;
    moe<shape{32, 16, 6, 2}, top_k{.k = 2}, ffn{swiglu}, dense<bf16>{}, shared_as{dense<float>{}}>
        mixed;
    moe<shape{32, 16, 6, 2}, top_k{.k = 2}, ffn{swiglu}, shared_gate{}, shared_as{dense<f16>{}},
        dense<bf16>{}>
        all;
    follows(gated);
    follows(mixed);
    follows(all);
    CHECK(stores(gated, "shared") == words(3, "4"));
    CHECK(stores(mixed, "expert") == words(3, "2"));
    CHECK(stores(mixed, "shared") == words(3, "4"));
    CHECK(stores(all, "shared") == words(3, "2"));
}

TEST_CASE("shared: takes the format of the routed experts where it has none of its own") {
    moe<shape{32, 16, 6, 1}, top_k{.k = 2}, ffn{swiglu}, dense<bf16>{}> const layer;
    CHECK(stores(layer, "shared") == words(3, "2"));
}

TEST_CASE("shared: a gate without shared experts weighs nothing") {
    moe<shape{32, 16, 6}, top_k{.k = 2}, ffn{swiglu}, shared_gate{}> layer;
    moe<shape{32, 16, 6}, top_k{.k = 2}, ffn{swiglu}> plain;
    numbers::fill(layer);
    numbers::fill(plain);
    auto const x = rows::normal(9, 32, 2);
    CHECK(numbers::same_bits(numbers::run(layer, x), numbers::run(plain, x)));
}
