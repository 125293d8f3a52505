// SPDX-License-Identifier: MIT
#include "prytany/router/head_gate.hpp"

#include "conformance/numbers.hpp"
#include "kernel/attention_held.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/grad/loss/balance.hpp"
#include "prytany/kernel/head_slots.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/score/query_norm.hpp"
#include "prytany/router/scored.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

/// Asks with the rows x = [1], so that x · H^T is H itself.
template <auto Router>
lists ask(rows const& logits, std::vector<float> const& groups = {},
          params_of<kind_of<Router>> const& own = {}) {
    asked<Router> router(logits.cols, logits.count, own);
    router_tensors(Router, router.weights, router.size, [&](auto const& t) {
        REQUIRE(t.name.text() == "router.groups");
        REQUIRE(t.rows == 2);
        t.pack({groups.data(), 2, 1});
    });
    rows const x(logits.count, 1, 1.0f);
    seen in{input{x.view()}};
    in.logits = logits.view();
    return slots_of(router(in));
}
rows table(index_t cols, std::vector<float> const& all) {
    rows some(static_cast<index_t>(all.size()) / cols, cols);
    some.all = all;
    return some;
}
std::vector<int> heads_of(std::vector<slot> const& slots) {
    std::vector<int> all;
    for (slot const s : slots) all.push_back(s.expert);
    return all;
}
void require_weights(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t j = 0; j < got.size(); ++j)
        CHECK(std::abs(double{got[j].weight} - wanted[j]) <= 1e-6 + 1e-5 * std::abs(wanted[j]));
}
double sum(std::vector<slot> const& slots) {
    double all = 0;
    for (slot const s : slots) all += double{s.weight};
    return all;
}

constexpr head_gate two_of_four{.shared = 2, .k = 2};
constexpr head_gate as_in_the_paper{.shared = 2, .k = 2, .form = head_form::paper};
constexpr head_gate masked{.shared = 2, .k = 2, .form = head_form::mask};
rows const fixture = table(6, {0.2f, -0.2f, 1, 0.5f, 0, -0.5f, 0.2f, -0.2f, 0, 0, 0.3f, 0.1f});

} // namespace

TEST_CASE("head_gate: the numbers of the literature") {
    auto const got = ask<two_of_four>(fixture, {0.4f, 0});
    CHECK(heads_of(got[0]) == std::vector{0, 1, 2, 3});
    require_weights(got[0], {1.433708, 0.961043, 0.999202, 0.606047});
    CHECK(sum(got[0]) == Approx(4).epsilon(1e-6));
    CHECK(heads_of(got[1]) == std::vector{0, 1, 4, 5});

    auto const paper = ask<as_in_the_paper>(fixture, {0.4f, 0});
    CHECK(heads_of(paper[0]) == std::vector{0, 1, 2, 3});
    require_weights(paper[0], {0.358427, 0.240261, 0.182619, 0.110764});

    // both stages by themselves: equal groups weigh 1
    auto const apart = ask<two_of_four>(fixture, {0, 0});
    require_weights(apart[0], {1.197375, 0.802625, 1.244919, 0.755081});
}

TEST_CASE("head_gate: the balance loss of its plan is k, the paper's 1/2") {
    auto const got = ask<two_of_four>(fixture, {0.4f, 0});
    double loss = 0;
    std::vector<double> share(4), chosen(4);
    for (index_t t = 0; t < 2; ++t) {
        double total = 0;
        for (index_t i = 0; i < 4; ++i) total += std::exp(double{fixture.row_of(t)[at(2 + i)]});
        for (index_t i = 0; i < 4; ++i)
            share[at(i)] += std::exp(double{fixture.row_of(t)[at(2 + i)]}) / total / 2;
        for (slot const s : got[at(t)])
            if (s.expert >= 2) chosen[at(s.expert - 2)] += 0.5;
    }
    for (std::size_t i = 0; i < 4; ++i) loss += share[i] * chosen[i];
    CHECK(4 * loss == Approx(2).epsilon(1e-6));
    CHECK(loss == Approx(0.5).epsilon(1e-6));
    asked<two_of_four> router(6, 2);
    auto const& plan = router(fixture.view());
    auto const routed = fixture.view().columns(2, 4);
    CHECK(grad::loss::moh(routed, plan) == Approx(2).epsilon(1e-6));
    using grad::loss::head_scale;
    CHECK(grad::loss::moh(routed, plan, head_scale::none) == Approx(0.5).epsilon(1e-6));
}

TEST_CASE("head_gate: a fresh gate leaves every active head at 1") {
    auto const got = ask<head_gate{.shared = 3, .k = 4}>(rows(1, 12), {0, 0});
    CHECK(heads_of(got[0]) == std::vector{0, 1, 2, 3, 4, 5, 6});
    for (slot const s : got[0]) CHECK(s.weight == 1);
    auto const paper =
        ask<head_gate{.shared = 4, .k = 2, .form = head_form::paper}>(rows(1, 8), {0, 0});
    require_weights(paper[0], {0.125, 0.125, 0.125, 0.125, 0.125, 0.125});
}

TEST_CASE("head_gate: one shared head weighs its group, whatever its logit") {
    for (float const any : {0.0f, 7.0f, none, infinity}) {
        auto const z = table(4, {any, 1, 0, 2});
        auto const got = ask<head_gate{.shared = 1, .k = 1}>(z, {0.4f, 0});
        CHECK(heads_of(got[0]) == std::vector{0, 3});
        require_weights(got[0], {1.197375, 0.802625});
        auto const paper =
            ask<head_gate{.shared = 1, .k = 1, .form = head_form::paper}>(z, {0.4f, 0});
        require_weights(paper[0], {0.598688, 0.401312 * 0.665241});
        CHECK(got[0][0].tier == 0);
    }
    auto const closed = ask<head_gate{.shared = 1, .k = 1}>(table(2, {-infinity, 1}), {0, 0});
    CHECK(closed[0] == std::vector<slot>{{0, 0, 1}, {1, 1, 0}});
}

TEST_CASE("head_gate: without shared heads, or without routed ones, there are no group weights") {
    auto const routed = ask<head_gate{.k = 2}>(table(4, {1, 0.5f, 0, -0.5f}));
    require_weights(routed[0], {1.244919, 0.755081});
    auto const paper =
        ask<head_gate{.k = 2, .form = head_form::paper}>(table(4, {1, 0.5f, 0, -0.5f}));
    require_weights(paper[0], {0.455054, 0.276004});
    auto const all =
        ask<head_gate{.k = 4, .form = head_form::paper}>(table(4, {1, 0.5f, 0, -0.5f}));
    require_weights(all[0], {0.455054, 0.276004, 0.167405, 0.101536});

    auto const dense = ask<head_gate{.shared = 2, .k = 0}>(table(2, {0.2f, -0.2f}));
    require_weights(dense[0], {1.197375, 0.802625});
    auto const alone = ask<head_gate{.shared = 1, .k = 0}>(table(1, {5}));
    require_weights(alone[0], {1});
    auto const every = ask<head_gate{.k = 3}>(table(3, {0, 0, 0}));
    require_weights(every[0], {1, 1, 1});
}

TEST_CASE("head_gate: the mask weighs 1, also with more routed heads than shared ones") {
    auto const got = ask<masked>(fixture);
    for (auto const& token : got) require_weights(token, {1, 1, 1, 1});
    CHECK(heads_of(got[1]) == std::vector{0, 1, 4, 5});
    auto const uneven =
        ask<head_gate{.shared = 1, .k = 2, .form = head_form::mask}>(table(6, {0, 1, 2, 3, 4, 5}));
    CHECK(heads_of(uneven[0]) == std::vector{0, 5, 4});
}

TEST_CASE("head_gate: LLaMA's heads by the lengths of their queries") {
    constexpr auto router =
        scored{query_norm{.shared = 2}, head_gate{.shared = 2, .k = 2, .form = head_form::mask}};
    moe<shape{.model = 12, .hidden = 4, .experts = 6}, router, ffn{gelu}> layer;
    std::size_t tensors = 0;
    layer.for_each_tensor([&](auto const& t) {
        tensors += t.name.part == "router";
        numbers::fill_tensor(t, 3);
    });
    CHECK(tensors == 0);
    rows x(2, 12);
    x.all = {9, 9, 9, 9, 1, 0, 0, 2, -3, 0,  0, -4, // routed lengths 1, 2, 3, 4
             0, 0, 0, 0, 5, 0, 3, 4, 0,  -5, 5, 0}; // all 5: σ is 0
    workspace ws;
    (void)numbers::run(layer, x, ws, sequential{});
    auto const got = slots_of(ws.plan());
    CHECK(heads_of(got[0]) == std::vector{0, 1, 5, 4});
    CHECK(heads_of(got[1]) == std::vector{0, 1, 2, 3});
    for (auto const& token : got) require_weights(token, {1, 1, 1, 1});
}

TEST_CASE("head_gate: ties, infinities and NaN") {
    auto const tied = ask<head_gate{.k = 2}>(table(4, {1, 2, 2, 2}));
    CHECK(heads_of(tied[0]) == std::vector{1, 2});

    auto const idle =
        ask<two_of_four>(table(6, {1, -infinity, -infinity, 3, -infinity, none}), {0, 0});
    CHECK(idle[0] == std::vector<slot>{{0, 2, 0}, {1, 0, 1}, {3, 2, 0}, {2, 0, 1}});
    auto const shut = ask<two_of_four>(rows(1, 6, -infinity), {0, 0});
    CHECK(shut[0] == std::vector<slot>{{0, 0, 1}, {1, 0, 1}, {2, 0, 1}, {3, 0, 1}});
    auto const barred = ask<masked>(rows(1, 6, -infinity));
    CHECK(barred[0] == std::vector<slot>{{0, 0, 1}, {1, 0, 1}, {2, 0, 1}, {3, 0, 1}});

    auto const both = ask<two_of_four>(table(6, {infinity, 1, infinity, 0, infinity, 2}), {0, 0});
    CHECK(heads_of(both[0]) == std::vector{0, 1, 2, 4});
    require_weights(both[0], {2, 0, 1, 1});
    for (auto const& got :
         {ask<two_of_four>(rows(1, 6, none), {0, 0}),
          ask<as_in_the_paper>(rows(1, 6, none), {0, 0}), ask<masked>(rows(1, 6, none))})
        CHECK(heads_of(got[0]) == std::vector{0, 1, 2, 3});
    auto const far = ask<two_of_four>(fixture, {300, -300});
    CHECK(sum(far[0]) == Approx(4));
    require_weights({far[0].begin() + 2, far[0].end()}, {0, 0});
    CHECK(ask<two_of_four>(rows(0, 6), {0, 0}).empty());
}

TEST_CASE("head_gate: what a bias or a ranking adds chooses among the routed heads alone") {
    auto const z = table(6, {0, 0, 2, 1, 0.5f, -1});
    asked<as_in_the_paper> router(6, 1);
    std::vector<float> const bias{9, 9, -0.7f, 0, 0, 0.2f};
    seen in{input{z.view()}};
    in.logits = z.view();
    in.bias = bias; // softmax: 0.609, 0.224, 0.136, 0.030 → -0.09, 0.224, 0.136, 0.230
    auto const biased = slots_of(router(in))[0];
    CHECK(heads_of(biased) == std::vector{0, 1, 5, 3});
    require_weights(biased, {0.25, 0.25, 0.5 * 0.030343, 0.5 * 0.224208});
    auto const ranking = table(6, {-9, -9, 0, 1, 2, 3});
    in.bias = {};
    in.ranking = ranking.view();
    CHECK(heads_of(slots_of(router(in))[0]) == std::vector{0, 1, 5, 4});
    std::vector<float> const lift{0, 0, 9, 0, 0, 0};
    in.bias = lift;
    CHECK(heads_of(slots_of(router(in))[0]) == std::vector{0, 1, 2, 5});
}

TEST_CASE("head_gate: parts of a batch, and a k known at run time, give the same bits") {
    auto const x = rows::normal(40, 9, 4), z = rows::normal(40, 11, 5, 2);
    asked<head_gate{.shared = 3, .k = 4}> fixed(11, 40, {}, 9);
    asked<head_gate{.shared = 3}> open(11, 40, {.k = 4}, 9);
    CHECK(open.most() == 7);
    for (auto* weights : {&fixed.weights, &open.weights})
        head_gate{.shared = 3}.tensors(*weights, fixed.size,
                                       [](auto const& t) { numbers::fill_tensor(t, 8); });
    auto const some = [&](auto& router, index_t first, index_t count) {
        seen in{input{x.view()}};
        in.logits = z.view();
        return slots_of(router(in.part(first, count)));
    };
    auto const whole = some(fixed, 0, 40);
    CHECK(numbers::same_slots(some(open, 0, 40), whole));
    for (index_t const chunk : {1, 7, 39})
        for (index_t t = 0; t < 40; t += chunk) {
            index_t const count = std::min(chunk, 40 - t);
            CHECK(numbers::same_slots(some(fixed, t, count),
                                      {whole.begin() + t, whole.begin() + t + count}));
        }
    for (auto const& token : whole) CHECK(sum(token) > 0);
}

TEST_CASE("head_gate: follows its formula in double precision") {
    index_t const heads = 13, model = 17, shared = 4, k = 5;
    auto const x = rows::normal(50, model, 6), z = rows::normal(50, heads, 7, 2);
    asked<head_gate{.shared = shared, .k = k}> released(heads, 50, {}, model);
    asked<head_gate{.shared = shared, .k = k, .form = head_form::paper}> paper(heads, 50, {},
                                                                               model);
    twin::matrix h;
    auto const set = [&](auto const& t) {
        numbers::fill_tensor(t, 9);
        h = numbers::stored(t);
    };
    head_gate{.shared = shared}.tensors(released.weights, released.size, set);
    head_gate{.shared = shared}.tensors(paper.weights, paper.size, set);
    seen in{input{x.view()}};
    in.logits = z.view();
    auto const got = slots_of(released(in)), as_written = slots_of(paper(in));
    for (index_t t = 0; t < 50; ++t) {
        auto const row = twin::doubles(x.row_of(t)), logits = twin::doubles(z.row_of(t));
        double u[2] = {};
        for (index_t i = 0; i < model; ++i)
            for (index_t g = 0; g < 2; ++g) u[g] += row[at(i)] * h.all[at(g * model + i)];
        double const a[2] = {1 / (1 + std::exp(u[1] - u[0])), 1 / (1 + std::exp(u[0] - u[1]))};
        twin::row const own(logits.begin() + shared, logits.end());
        auto order = twin::ranked(own);
        double of_shared = 0, of_chosen = 0, of_all = 0;
        for (index_t i = 0; i < shared; ++i) of_shared += std::exp(logits[at(i)]);
        for (index_t j = 0; j < k; ++j) of_chosen += std::exp(own[order[at(j)]]);
        for (double const l : own) of_all += std::exp(l);
        std::vector<double> wanted, written;
        std::vector<int> which;
        for (index_t i = 0; i < shared; ++i) {
            which.push_back(static_cast<int>(i));
            wanted.push_back(2 * a[0] * shared * std::exp(logits[at(i)]) / of_shared);
            written.push_back(a[0] * std::exp(logits[at(i)]) / of_shared);
        }
        for (index_t j = 0; j < k; ++j) {
            which.push_back(static_cast<int>(order[at(j)]) + static_cast<int>(shared));
            wanted.push_back(2 * a[1] * k * std::exp(own[order[at(j)]]) / of_chosen);
            written.push_back(a[1] * std::exp(own[order[at(j)]]) / of_all);
        }
        CHECK(heads_of(got[at(t)]) == which);
        CHECK(heads_of(as_written[at(t)]) == which);
        require_weights(got[at(t)], wanted);
        require_weights(as_written[at(t)], written);
    }
}

TEST_CASE("head_gate: attention of its plan is the masked dense one, unchosen heads are skipped") {
    index_t const tokens = 21, heads = 6, width = 8;
    auto const z = rows::normal(tokens, heads, 11, 2);
    asked<two_of_four> router(heads, tokens);
    auto const& plan = router(z.view());
    constexpr float untouched = -123;
    std::size_t skipped = 0;
    for (index_t h = 0; h < heads; ++h) {
        held::head_test const kv(width, tokens, tokens);
        auto const queries = twin::floats(kv.queries.all);
        std::vector<float> out(at(tokens * width), untouched),
            scratch(at(kernel::attend_scratch(width)));
        kernel::head_slots const chosen{plan.tokens_of(h).data(),
                                        plan.weights_of(h).data(),
                                        std::ssize(plan.tokens_of(h)),
                                        queries.data(),
                                        width,
                                        out.data(),
                                        width};
        kernel::attend(&chosen, 1, 0, tokens, 0, kv.head, kv.scale, scratch.data());
        for (index_t t = 0; t < tokens; ++t) {
            double gate = 0;
            for (slot const s : plan.slots_of(t))
                if (s.expert == h) gate = double{s.weight};
            std::vector<float> const got(out.begin() + t * width, out.begin() + (t + 1) * width);
            if (gate == 0) {
                CHECK(got == std::vector<float>(at(width), untouched));
                ++skipped;
                continue;
            }
            auto wanted = kv.exact(t, {t + 1});
            for (double& v : wanted) v *= gate;
            CHECK(twin::nmse(got, wanted) <= 1e-12);
        }
    }
    CHECK(skipped == at(tokens * 2));
}

TEST_CASE("head_gate: its tensors have names, by which it runs in a layer") {
    moe<shape{.model = 10, .hidden = 6, .experts = 7}, head_gate{.shared = 3, .k = 2}, ffn{swiglu}>
        layer;
    std::vector<std::string> names;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part == "router") names.push_back(t.name.text() + dims_text(t.rows, t.cols));
        numbers::fill_tensor(t, 5);
    });
    CHECK(names == std::vector<std::string>{"router.shared[3, 10]", "router.weight[4, 10]",
                                            "router.groups[2, 10]"});
    auto const x = rows::normal(9, 10, 2);
    std::vector<std::uint8_t> mask(9, 1);
    mask[4] = 0;
    workspace ws;
    (void)numbers::run(layer, x, ws, sequential{}, mask);
    for (index_t t = 0; t < 9; ++t) {
        auto const own = slots_of(ws.plan())[at(t)];
        CHECK(own.size() == (t == 4 ? 0u : 5u));
        if (t != 4) CHECK((sum(own) > 4 && sum(own) < 6)); // 3 a + 2 (2 - a), 0 < a < 2
    }
    STATIC_REQUIRE(router_policy<decltype(biased{two_of_four})>);
    constexpr promises said = head_gate{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE((said.causal && said.positive && !said.unit_sum));
}

TEST_CASE("head_gate: what is out of range is said at construction") {
    auto const sentence = [](head_gate const& policy, head_gate::params const& own,
                             index_t experts) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = experts}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({.shared = 2, .k = 2}, {}, 4).empty());
    CHECK(sentence({.shared = 4, .k = 0}, {}, 4).empty());
    CHECK(sentence({.shared = 2}, {.k = 6}, 8).empty());
    CHECK(sentence({.shared = 5, .k = 0}, {}, 4) ==
          "head_gate.shared: expected 0 to 4 heads, got 5");
    CHECK(sentence({.shared = -1, .k = 2}, {}, 4) ==
          "head_gate.shared: expected 0 to 4 heads, got -1");
    CHECK(sentence({.shared = 2, .k = 3}, {}, 4) ==
          "head_gate.k: expected 0 to 2, the routed heads, got 3");
    CHECK(sentence({.shared = 2}, {.k = 0}, 4) ==
          "head_gate.k: expected 1 to 2, the routed heads, got 0");
    CHECK(sentence({.shared = 2}, {}, 4) ==
          "head_gate.k: expected 1 to 2, the routed heads, got -1");
    CHECK(sentence({.shared = 2, .k = 2}, {.k = 1}, 4) == "head_gate.k: expected 2, got 1");
}
