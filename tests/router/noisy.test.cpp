// SPDX-License-Identifier: MIT
#include "prytany/router/noisy.hpp"

#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

constexpr top_k gate{.k = 3};
constexpr index_t model = 5, experts = 9;

/// A router with W_n of normal numbers, or of one number.
template <auto Router>
struct held : asked<Router> {
    twin::matrix noise;
    held(index_t tokens, params_of<kind_of<Router>> const& own, bool equal = false, float all = 0)
        : asked<Router>(experts, tokens, own, model) {
        Router.tensors(this->weights, this->size, [&](auto const& t) {
            if (equal) numbers::fill_with(t, all);
            else numbers::fill_tensor(t, 11, 3);
            noise = numbers::stored(t);
        });
    }
};
rows logits_of(numbers::lists const& mirrored) {
    rows all(static_cast<index_t>(mirrored.size()), experts);
    for (index_t t = 0; t < all.count; ++t)
        for (index_t e = 0; e < experts; ++e) all.row(t)[e] = mirrored[at(t)][at(e)].weight;
    return all;
}

} // namespace

TEST_CASE("noisy: adds a normal draw times softplus of the token's own width, and the floor") {
    auto const z = rows::normal(20, experts, 3, 2), x = rows::normal(20, model, 4, 2);
    held<noisy{mirror{}}> router(20, {.training = true});
    auto in = call(z.view(), x.view(), 77);
    in.first = 100;
    auto const got = logits_of(slots_of(router(in)));
    for (index_t t = 0; t < 20; ++t) {
        draws const drawn(77, 100 + t, noisy<mirror>::stream);
        for (index_t e = 0; e < experts; ++e) {
            double asked_for = 0;
            for (index_t c = 0; c < model; ++c)
                asked_for += double{x.row_of(t)[at(c)]} * router.noise(at(e), at(c));
            double const wanted =
                double{z.row_of(t)[at(e)]} +
                double{drawn.normal(e)} * (std::log1p(std::exp(asked_for)) + 0.01);
            CHECK(std::abs(got.row_of(t)[at(e)] - wanted) <= 1e-5 + 1e-5 * std::abs(wanted));
        }
    }
}

TEST_CASE("noisy: the moments of its noise: log 2 and the floor for a map of zeros") {
    index_t const tokens = 4000;
    rows const z(tokens, experts), x(tokens, model, 1.0f);
    for (float const floor : {0.01f, 0.5f}) {
        held<noisy{mirror{}}> router(tokens, {.training = true, .floor = floor}, true);
        auto const got = logits_of(slots_of(router(call(z.view(), x.view()))));
        double const width = std::log(2.0) + double{floor};
        std::vector<double> all, beside;
        for (index_t t = 0; t < tokens; ++t)
            for (index_t e = 0; e < experts; ++e) {
                all.push_back(got.row_of(t)[at(e)] / width);
                if (e > 0) beside.push_back(all.back() * got.row_of(t)[at(e - 1)] / width);
            }
        moments const found(all); // five standard errors of 36,000 draws
        CHECK(std::abs(found.mean) < 0.027);
        CHECK(std::abs(found.variance - 1) < 0.038);
        CHECK(std::abs(moments(beside).mean) < 0.029);
    }
}

TEST_CASE("noisy: softplus is exact at both ends") {
    rows const z(1, experts), x(1, model, 1.0f);
    for (float const each : {-8.0f, 200.0f, 1e30f}) {
        held<noisy{mirror{}}> router(1, {.training = true, .floor = 0}, true, each);
        auto const got = logits_of(slots_of(router(call(z.view(), x.view()))));
        draws const drawn(1, 0, noisy<mirror>::stream);
        double const width = each < 0 ? std::exp(5.0 * double{each}) : 5.0 * double{each};
        for (index_t e = 0; e < experts; ++e)
            CHECK(got.row_of(0)[at(e)] ==
                  Approx(double{drawn.normal(e)} * width).epsilon(1e-5).margin(0));
    }
}

TEST_CASE("noisy: the noisy logits also weigh, or only choose") {
    auto const z = rows::normal(50, experts, 4), x = rows::normal(50, model, 5, 2);
    held<noisy{mirror{}}> shown(50, {.training = true});
    auto const noise = logits_of(slots_of(shown(call(z.view(), x.view()))));
    asked<gate> plain(experts, 50);

    held<noisy{gate}> both(50, {.training = true});
    auto const weighed = slots_of(plain(noise.view()));
    CHECK(numbers::same_slots(slots_of(both(call(z.view(), x.view()))), weighed));

    held<noisy{gate, disturbs::choice}> choice(50, {.training = true});
    auto in = call(z.view(), x.view());
    in.ranking = noise.view();
    auto const chosen = slots_of(plain(in));
    CHECK(numbers::same_slots(slots_of(choice(call(z.view(), x.view()))), chosen));
    CHECK(!numbers::same_slots(chosen, weighed));
}

TEST_CASE("noisy: a ranking from outside is disturbed with the choice alone") {
    auto const z = rows::normal(6, experts, 4), x = rows::normal(6, model, 5);
    auto const ranking = rows::normal(6, experts, 6);
    auto in = call(z.view(), x.view());
    in.ranking = ranking.view();
    held<noisy{mirror{true}}> outside(6, {.training = true});
    CHECK(logits_of(slots_of(outside(in))).all == ranking.all);
    held<noisy{mirror{true}, disturbs::choice}> choice(6, {.training = true});
    held<noisy{mirror{}}> direct(6, {.training = true});
    CHECK(logits_of(slots_of(choice(in))).all ==
          logits_of(slots_of(direct(call(ranking.view(), x.view())))).all);
}

TEST_CASE("noisy: without training or without width it is the inner router, bit for bit") {
    auto const z = awkward(30, experts, 5);
    rows const x(30, model, 1.0f);
    asked<gate> plain(experts, 30);
    auto const wanted = slots_of(plain(z.view()));
    held<noisy{gate}> off(30, {});
    CHECK(numbers::same_slots(slots_of(off(call(z.view(), x.view()))), wanted));
    held<noisy{gate}> still(30, {.training = true, .floor = 0}, true, -200); // softplus(-1000) = 0
    CHECK(numbers::same_slots(slots_of(still(call(z.view(), x.view()))), wanted));
    held<noisy{gate, disturbs::choice}> ranked(30, {.training = true, .floor = 0}, true, -200);
    CHECK(numbers::same_slots(slots_of(ranked(call(z.view(), x.view()))), wanted));
}

TEST_CASE("noisy: a token draws the same in any part of a batch, another with another seed") {
    auto const z = awkward(21, experts, 6), x = rows::normal(21, model, 8, 2);
    held<noisy{gate}> router(21, {.training = true});
    CHECK(parts_equal_whole(router, call(z.view(), x.view())));
    held<noisy{gate, disturbs::choice}> choice(21, {.training = true});
    CHECK(parts_equal_whole(choice, call(z.view(), x.view())));
    auto const one = slots_of(router(call(z.view(), x.view(), 5)));
    CHECK(numbers::same_slots(slots_of(router(call(z.view(), x.view(), 5))), one));
    CHECK(!numbers::same_slots(slots_of(router(call(z.view(), x.view(), 6))), one));
}

TEST_CASE("noisy: in a layer it draws the same on any number of threads, by the call's seed") {
    using layer_type =
        moe<shape{.model = 12, .hidden = 10, .experts = 6}, noisy{gate}, ffn{swiglu}>;
    layer_type layer({}, {.router = {.training = true}});
    numbers::fill(layer);
    auto const x = rows::normal(200, 12, 22);
    auto const run = [&](std::uint64_t seed, auto&& pool) {
        input in{x.view()};
        in.seed = seed;
        rows y(200, 12);
        workspace ws;
        layer.forward(in, y.view(), ws, pool);
        return y.all;
    };
    thread_pool three(3);
    auto const alone = run(7, sequential{});
    CHECK(numbers::same_bits(run(7, three), alone));
    CHECK(!numbers::same_bits(run(8, three), alone));
}

TEST_CASE("noisy: a NaN token changes no other row, a shut expert stays shut") {
    auto const z = rows::normal(8, experts, 6);
    auto x = rows::normal(8, model, 8);
    held<noisy{gate}> router(8, {.training = true});
    auto const before = slots_of(router(call(z.view(), x.view())));
    x.row(3)[1] = std::nanf("");
    auto const after = slots_of(router(call(z.view(), x.view())));
    for (std::size_t t = 0; t < 8; ++t)
        CHECK((t == 3) != numbers::same_slots({before[t]}, {after[t]}));
    for (slot const s : after[3]) CHECK((s.expert >= 0 && s.expert < experts));

    constexpr float infinity = std::numeric_limits<float>::infinity();
    rows shut(1, experts, -infinity), wide(1, model, 3e38f);
    held<noisy{mirror{}}> shown(1, {.training = true}, true, 1);
    for (float const s : logits_of(slots_of(shown(call(shut.view(), wide.view())))).all)
        CHECK(s == -infinity);
}

TEST_CASE("noisy: its tensor, its checks, its edges") {
    std::vector<std::string> names;
    weights_of<noisy<top_k>> own;
    router_tensors(noisy{gate}, own, {.model = 6, .hidden = 2, .experts = 5}, [&](auto const& t) {
        names.push_back(t.name.text() + dims_text(t.rows, t.cols));
    });
    CHECK(names == std::vector<std::string>{"router.noise[5, 6]"});
    CHECK(params_of<noisy<top_k>>{}.floor == 1e-2f);
    for (float const wrong : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()})
        CHECK(sentence(noisy{gate}, {.floor = wrong})
                  .find("noisy.floor: expected a finite number >= 0, got ") == 0);
    CHECK(sentence(noisy{gate}, {.router = {.temperature = -1}}).find("top_k.temp") == 0);
    STATIC_REQUIRE(std::is_same_v<decltype(noisy{noisy{gate}}), noisy<noisy<top_k>>>);

    held<noisy{gate}> empty(0, {.training = true});
    CHECK(slots_of(empty(call(rows(0, experts).view(), rows(0, model).view()))).empty());
    asked<noisy{top_k{.k = 1}}> lone(1, 3, {.training = true});
    CHECK(slots_of(lone(call(rows::normal(3, 1, 2))))[2] == std::vector<slot>{{0, 1, 0}});
    held<noisy{top_k{.k = experts}}> whole(3, {.training = true});
    auto const x = rows::normal(3, model, 2);
    for (auto const& all : slots_of(whole(call(rows::normal(3, experts, 2).view(), x.view()))))
        CHECK(all.size() == at(experts));
}
