// SPDX-License-Identifier: MIT
#include "prytany/layer/mixed.hpp"

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/light_experts.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::run, numbers::same_bits;

namespace {

constexpr light_experts two{top_k{.k = 3}};
using inner = moe<shape{.model = 21, .hidden = 10}, two, ffn{swiglu}>;
shape const sizes{.model = 21, .hidden = 10, .experts = 8};
inner::params const kinds{.router = {.zeros = 1, .copies = 1, .constants = 2}};

/// The tensors of constant experts, by expert.
template <class Layer>
std::vector<std::pair<twin::row, twin::matrix>> constants_of(Layer const& layer) {
    std::vector<std::pair<twin::row, twin::matrix>> all(at(layer.sizes().experts));
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.role == "constant") all[at(t.name.expert)].first = numbers::stored(t).all;
        if (t.name.role == "mixing") all[at(t.name.expert)].second = numbers::stored(t);
    });
    return all;
}

} // namespace

TEST_CASE("mixed: adds what its formula says, in double") {
    mixed<inner> layer(sizes, kinds);
    numbers::fill(layer, 3);
    auto const x = rows::normal(90, 21, 4);
    workspace ws;
    auto const y = run(layer, x, ws, sequential{});
    auto const weights = numbers::twin_of(layer);
    auto const own = constants_of(layer);
    twin::row wanted;
    bool kinds_seen[4] = {};
    for (index_t t = 0; t < x.count; ++t) {
        auto const row = twin::doubles(x.row_of(t));
        std::vector<twin::choice> full;
        for (slot const s : ws.plan().slots_of(t))
            full.push_back({at(s.expert), double{s.weight}, s.tier == 0});
        auto sum = twin::moe(row, weights, full, twin::gated(twin::silu));
        for (slot const s : ws.plan().slots_of(t)) {
            kinds_seen[at(s.tier)] = true;
            auto const& [v, mixing] = own[at(s.expert)];
            double of_token = s.tier == 2 ? 1 : 0, of_row = 0;
            if (s.tier == 3) {
                double z[2] = {};
                for (std::size_t c = 0; c < 21; ++c)
                    for (std::size_t i = 0; i < 2; ++i) z[i] += row[c] * mixing.all[i * 21 + c];
                of_token = std::exp(z[0]) / (std::exp(z[0]) + std::exp(z[1]));
                of_row = 1 - of_token;
            }
            for (std::size_t c = 0; c < 21; ++c)
                sum[c] +=
                    double{s.weight} * (of_token * row[c] + (s.tier == 3 ? of_row * v[c] : 0.0));
        }
        wanted.insert(wanted.end(), sum.begin(), sum.end());
    }
    CHECK(twin::nmse(y, wanted) <= 1e-12);
    for (bool const seen : kinds_seen) CHECK(seen);
}

TEST_CASE("mixed: the same bits alone, in a batch, on threads, in memory laid out before") {
    mixed<inner> layer(sizes, kinds);
    numbers::fill(layer, 5);
    auto const x = rows::normal(150, 21, 6);
    workspace ws;
    auto const whole = run(layer, x, ws, sequential{});
    thread_pool pool(3);
    CHECK(same_bits(run(layer, x, ws, pool), whole));
    for (index_t t = 0; t < 150; t += 13)
        CHECK(same_bits(run(layer, x.part(t, 1)),
                        std::vector<float>(whole.begin() + t * 21, whole.begin() + (t + 1) * 21)));
    arena count;
    mixed<inner>::scratch room{};
    layer.lay_out(room, count, 150, 1);
    buffer<std::byte> bytes(count.used());
    arena memory(bytes.data());
    layer.lay_out(room, memory, 150, 1);
    rows y(150, 21);
    layer.run(room, x.view(), y.view(), sequential{});
    CHECK(same_bits(y.all, whole));
    CHECK(run(layer, x.part(0, 0)).empty());
}

TEST_CASE("mixed: padding stays zero, and weights of light experts are never read") {
    mixed<inner> layer(sizes, kinds);
    numbers::fill(layer, 7);
    auto const x = rows::normal(40, 21, 8);
    std::vector<std::uint8_t> mask(40, 1);
    mask[3] = mask[17] = 0;
    auto const y = run(layer, x, mask);
    for (std::size_t c = 0; c < 21; ++c) CHECK((y[3 * 21 + c] == 0 && y[17 * 21 + c] == 0));
    layer.for_each_tensor([](auto const& t) {
        bool const light = t.name.part == "expert" && t.name.expert >= 4;
        if (light && t.name.role != "constant" && t.name.role != "mixing")
            numbers::fill_with(t, std::nanf(""));
    });
    CHECK(same_bits(run(layer, x, mask), y));
}

TEST_CASE("mixed: without copies and constants it is the layer, bit for bit") {
    inner::params const zeros{.router = {.zeros = 2, .copies = 0, .constants = 0}};
    mixed<inner> layer(sizes, zeros);
    inner plain(sizes, zeros);
    numbers::fill(layer);
    numbers::fill(plain);
    auto const x = rows::normal(30, 21, 9);
    CHECK(same_bits(run(layer, x), run(plain, x)));
}

TEST_CASE("mixed: finds the light experts inside a wrapper, and is a layer") {
    using wrapped = moe<shape{21, 10, 8}, biased{light_experts{top_k{.k = 2}}}, ffn{swiglu}>;
    STATIC_REQUIRE(moe_layer<mixed<wrapped>>);
    mixed<wrapped> layer(sizes, {.router = {.router = {.constants = 3}}});
    std::vector<std::string> names;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.role == "constant" || t.name.role == "mixing") names.push_back(t.name.text());
    });
    CHECK(names == std::vector<std::string>{"expert.5.constant", "expert.5.mixing",
                                            "expert.6.constant", "expert.6.mixing",
                                            "expert.7.constant", "expert.7.mixing"});
    mixed<wrapped> const ready;
    CHECK(ready.sizes().experts == 8);
    CHECK(mixed<wrapped>::accepts(sizes, {}));
    CHECK_THROWS_AS(mixed<wrapped>(sizes, {.router = {.router = {.constants = 7}}}), error);
    CHECK_THROWS_AS(mixed<wrapped>(sizes, {.router = {.router = {.constants = -1}}}), error);
}
