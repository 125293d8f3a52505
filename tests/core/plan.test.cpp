// SPDX-License-Identifier: MIT
#include "prytany/core/plan.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

// A plan with its memory, which is soiled first: nothing may rely on zeros.
struct held {
    buffer<std::byte> memory;
    prytany::plan plan;

    held(index_t tokens, index_t most, index_t experts) {
        arena count;
        plan.lay_out(count, tokens, most, experts);
        memory = buffer<std::byte>(count.used());
        for (index_t i = 0; i < memory.size(); ++i) memory[i] = std::byte{0xa5};
        arena real(memory.data());
        plan.lay_out(real, tokens, most, experts);
        REQUIRE(real.used() == count.used());
    }
};

using lists = std::vector<std::vector<slot>>;

lists random_slots(std::mt19937& engine, index_t tokens, index_t most, index_t experts) {
    lists all(static_cast<std::size_t>(tokens));
    std::vector<std::int32_t> order(static_cast<std::size_t>(experts));
    std::iota(order.begin(), order.end(), 0);
    for (auto& own : all) {
        std::shuffle(order.begin(), order.end(), engine);
        auto const count = engine() % static_cast<unsigned>(std::min(most, experts) + 1);
        for (std::size_t j = 0; j < count; ++j)
            own.push_back({order[j], static_cast<float>(engine() % 1000) / 8,
                           static_cast<std::int32_t>(engine() % 4 == 0 ? 1 + engine() % 2 : 0)});
    }
    return all;
}

// What the closed plan must be, by the definition.
bool agrees(prytany::plan const& plan, lists const& wanted, index_t experts) {
    index_t listed = 0, before = 0;
    for (std::size_t t = 0; t < wanted.size(); ++t) {
        auto const got = plan.slots_of(static_cast<index_t>(t));
        if (!std::equal(got.begin(), got.end(), wanted[t].begin(), wanted[t].end())) return false;
        listed += static_cast<index_t>(wanted[t].size());
    }
    if (plan.slots() != listed) return false;
    for (index_t e = 0; e < experts; ++e) {
        std::vector<std::int32_t> tokens;
        std::vector<float> weights;
        for (std::size_t t = 0; t < wanted.size(); ++t)
            for (slot const& s : wanted[t])
                if (s.expert == e && s.tier == 0) {
                    tokens.push_back(static_cast<std::int32_t>(t));
                    weights.push_back(s.weight);
                }
        if (plan.first_of(e) != before) return false;
        before += static_cast<index_t>(tokens.size());
        auto const t = plan.tokens_of(e);
        auto const w = plan.weights_of(e);
        if (!std::equal(t.begin(), t.end(), tokens.begin(), tokens.end())) return false;
        if (!std::equal(w.begin(), w.end(), weights.begin(), weights.end())) return false;
    }
    return true;
}

} // namespace

TEST_CASE("plan: random plans equal the definition, whatever the order of writing") {
    std::mt19937 engine(7);
    for (int round = 0; round < 600; ++round) {
        auto const tokens = static_cast<index_t>(engine() % 40),
                   most = static_cast<index_t>(1 + engine() % 9),
                   experts = static_cast<index_t>(1 + engine() % 70);
        held h(tokens, most, experts);
        for (int again = 0; again < 2; ++again) { // a plan is used call after call
            auto const wanted = random_slots(engine, tokens, most, experts);
            std::vector<std::size_t> order(wanted.size());
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::shuffle(order.begin(), order.end(), engine);
            h.plan.open();
            for (std::size_t const t : order)
                for (slot const& s : wanted[t])
                    h.plan.put(static_cast<index_t>(t), s.expert, s.weight, s.tier);
            h.plan.close();
            REQUIRE(h.plan.tokens() == tokens);
            REQUIRE(h.plan.most() == most);
            REQUIRE(h.plan.experts() == experts);
            REQUIRE(agrees(h.plan, wanted, experts));
        }
    }
}

TEST_CASE("plan: workers write parts, the whole closes them") {
    std::mt19937 engine(8);
    for (int round = 0; round < 100; ++round) {
        index_t const tokens = 1 + static_cast<index_t>(engine() % 50), most = 4, experts = 11;
        held h(tokens, most, experts);
        auto const wanted = random_slots(engine, tokens, most, experts);
        h.plan.open();
        for (index_t first = 0; first < tokens;) {
            index_t const count =
                std::min<index_t>(1 + static_cast<index_t>(engine() % 9), tokens - first);
            prytany::plan mine = h.plan.part(first, count);
            REQUIRE(mine.tokens() == count);
            for (index_t t = 0; t < count; ++t)
                for (slot const& s : wanted[static_cast<std::size_t>(first + t)])
                    mine.put(t, s.expert, s.weight, s.tier);
            first += count;
        }
        h.plan.close();
        REQUIRE(agrees(h.plan, wanted, experts));
    }
}

TEST_CASE("plan: while open, slots may be changed in place and cut") {
    held h(3, 4, 8);
    h.plan.open();
    for (index_t t = 0; t < 3; ++t)
        for (index_t j = 0; j < 4; ++j) h.plan.put(t, (t + j) % 8, static_cast<float>(j));
    auto const open = h.plan.open_slots_of(1);
    REQUIRE(open.size() == 4);
    open[0].weight = 9;
    open[2].tier = 1;
    h.plan.cut(0, 2);
    h.plan.cut(2, 0);
    h.plan.cut(1, 100); // more than there are: nothing happens
    CHECK(h.plan.open_slots_of(0).size() == 2);
    h.plan.close();
    CHECK(agrees(h.plan, {{{0, 0, 0}, {1, 1, 0}}, {{1, 9, 0}, {2, 1, 0}, {3, 2, 1}, {4, 3, 0}}, {}},
                 8));
}

TEST_CASE("plan: one expert may get every token") {
    index_t const tokens = 1000;
    held h(tokens, 1, 512);
    h.plan.open();
    for (index_t t = tokens; t-- > 0;) h.plan.put(t, 511, static_cast<float>(t));
    h.plan.close();
    REQUIRE(h.plan.tokens_of(511).size() == 1000);
    CHECK(h.plan.tokens_of(0).empty());
    CHECK(h.plan.first_of(511) == 0);
    for (index_t t = 0; t < tokens; ++t) {
        REQUIRE(h.plan.tokens_of(511)[static_cast<std::size_t>(t)] == t);
        REQUIRE(h.plan.weights_of(511)[static_cast<std::size_t>(t)] == static_cast<float>(t));
    }
}

TEST_CASE("plan: no tokens, no slots") {
    held h(0, 4, 8);
    h.plan.open();
    h.plan.close();
    CHECK(h.plan.slots() == 0);
    for (index_t e = 0; e < 8; ++e) CHECK(h.plan.tokens_of(e).empty());
}
