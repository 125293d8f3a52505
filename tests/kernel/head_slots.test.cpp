// SPDX-License-Identifier: MIT
#include "prytany/kernel/head_slots.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernel/attention_held.hpp"
#include "prytany/core/buffer.hpp"
#include "prytany/core/plan.hpp"
#include "support/catch.hpp"

using namespace prytany;
using held::at, held::head_test, held::not_a_number;

namespace {

constexpr float untouched = -12345.0f;

// Heads that share the keys and values of `groups` heads, and a plan that says which tokens use
// which: head 0 is used by all but two tokens that use none, the last head by none.
struct chosen {
    index_t tokens, heads, groups, size, position;
    std::vector<head_test> shared;
    std::vector<float> queries; // [tokens, heads · size]
    buffer<float> memory;
    plan who;

    chosen(index_t token_count, index_t head_count, index_t group_count, index_t head_size,
           index_t first_position)
        : tokens(token_count), heads(head_count), groups(group_count), size(head_size),
          position(first_position),
          queries(twin::floats(twin::normal(at(tokens * heads * size), 9, 1.0))) {
        for (index_t g = 0; g < groups; ++g)
            shared.emplace_back(
                twin::normal(at(position + tokens), at(size), 10 + static_cast<unsigned>(g), 1.0),
                twin::normal(at(position + tokens), at(size), 20 + static_cast<unsigned>(g), 1.0),
                twin::matrix(1, at(size)));
        arena count;
        who.lay_out(count, tokens, heads, heads);
        memory = buffer<float>(count.used() / index_t{sizeof(float)} + 1);
        arena real(reinterpret_cast<std::byte*>(memory.data()));
        who.lay_out(real, tokens, heads, heads);
        who.open();
        for (index_t t = 0; t < tokens; ++t)
            for (index_t h = heads; h-- > 0;) // in any order
                if (takes(t, h)) who.put(t, h, weight(t, h));
        who.close();
    }
    bool takes(index_t t, index_t h) const {
        if (t == 3 || t == tokens - 2) return false; // tokens with no head
        if (h == 0) return true;
        return h + 1 < heads && (t * 31 + h * 17) % 5 < 2;
    }
    static float weight(index_t t, index_t h) {
        return 0.25f * static_cast<float>((t + 3 * h) % 9);
    }
    index_t group_of(index_t h) const { return h / (heads / groups); }
    float const* query(index_t t, index_t h) const {
        return queries.data() + (t * heads + h) * size;
    }
    /// One row by itself.
    std::vector<float> alone(index_t t, index_t h) const {
        std::vector<float> out(at(size)), scratch(at(kernel::attend_scratch(size)));
        auto const& kv = shared[at(group_of(h))];
        kernel::query_row const row{query(t, h), out.data(), position + t + 1, weight(t, h)};
        kernel::attend(&row, 1, kv.head, kv.scale, scratch.data());
        return out;
    }
    twin::row exact(index_t t, index_t h) const {
        auto const& kv = shared[at(group_of(h))];
        auto one = twin::attention(twin::doubles(query(t, h), at(size)), kv.keys, kv.values,
                                   at(position + t + 1), static_cast<double>(kv.scale));
        for (double& x : one) x *= static_cast<double>(weight(t, h));
        return one;
    }
    /// All heads, some tokens a call; [tokens, heads · size] or, packed, [slots, size].
    std::vector<float> run(index_t window, bool packed) const {
        index_t const rows = packed ? who.slots() : tokens * heads;
        twin::guarded<float> out(rows * size, twin::edge::back, untouched);
        twin::guarded<float> scratch(kernel::attend_scratch(size), twin::edge::back, not_a_number);
        std::vector<kernel::head_slots> all;
        for (index_t h = 0; h < heads; ++h)
            all.push_back({who.tokens_of(h).data(), who.weights_of(h).data(),
                           std::ssize(who.tokens_of(h)), queries.data() + h * size, heads * size,
                           out.data() + (packed ? who.first_of(h) : h) * size,
                           packed ? size : heads * size, packed});
        index_t const group = heads / groups;
        for (index_t first = 0; first < tokens; first += window)
            for (index_t g = 0; g < groups; ++g)
                kernel::attend(all.data() + g * group, group, first,
                               std::min(tokens, first + window), position, shared[at(g)].head,
                               shared[at(g)].scale, scratch.data());
        return out.all();
    }
};

} // namespace

TEST_CASE("head_slots: chosen pairs get their bits, all others nothing") {
    struct form {
        index_t tokens, heads, groups, size, position;
    };
    for (auto const& f : {form{40, 8, 2, 16, 0},
                          {70, 6, 6, 33, 5},
                          {33, 32, 4, 8, 250},
                          {25, 5, 1, 20, 250},
                          {9, 4, 4, 64, 3000}}) {
        chosen const t(f.tokens, f.heads, f.groups, f.size, f.position);
        REQUIRE(std::ssize(t.who.tokens_of(0)) == f.tokens - 2); // one that nearly all take
        REQUIRE(t.who.tokens_of(f.heads - 1).empty());           // one that none takes
        auto const got = t.run(f.tokens, false);
        std::vector<float> all;
        twin::row right;
        for (index_t token = 0; token < f.tokens; ++token)
            for (index_t h = 0; h < f.heads; ++h) {
                auto const from = got.begin() + (token * f.heads + h) * f.size;
                std::vector<float> const one(from, from + f.size);
                INFO("size " << f.size << ", token " << token << ", head " << h);
                if (t.takes(token, h)) {
                    REQUIRE(one == t.alone(token, h));
                    auto const wanted = t.exact(token, h);
                    all.insert(all.end(), one.begin(), one.end());
                    right.insert(right.end(), wanted.begin(), wanted.end());
                } else REQUIRE(one == std::vector<float>(at(f.size), untouched));
            }
        INFO("size " << f.size << ": NMSE " << twin::nmse(all, right));
        CHECK(twin::nmse(all, right) <= 1e-12);
    }
}

TEST_CASE("head_slots: windows of any size give the same bits, also token by token") {
    chosen const t(50, 8, 2, 24, 230);
    auto const plain = t.run(50, false), packed = t.run(50, true);
    for (index_t window = 1; window < 50; ++window) {
        REQUIRE(t.run(window, false) == plain);
        REQUIRE(t.run(window, true) == packed);
    }
}

TEST_CASE("head_slots: packed rows lie in the order of the plan") {
    chosen const t(45, 6, 3, 12, 7);
    auto const packed = t.run(11, true);
    for (index_t h = 0; h < t.heads; ++h)
        for (index_t i = 0; i < std::ssize(t.who.tokens_of(h)); ++i) {
            auto const from = packed.begin() + (t.who.first_of(h) + i) * t.size;
            REQUIRE(std::vector<float>(from, from + t.size) ==
                    t.alone(t.who.tokens_of(h)[at(i)], h));
        }
}

TEST_CASE("head_slots: without tokens every one, without weights 1") {
    chosen const t(30, 4, 2, 10, 20);
    std::vector<float> out(at(30 * 10), untouched), scratch(at(kernel::attend_scratch(10)));
    kernel::head_slots const every{nullptr, nullptr, 30, t.query(0, 1), 40, out.data(), 10};
    kernel::attend(&every, 1, 4, 29, 20, t.shared[0].head, t.shared[0].scale, scratch.data());
    for (index_t token = 0; token < 30; ++token) {
        std::vector<float> one(10, untouched);
        kernel::query_row const row{t.query(token, 1), one.data(), token + 21};
        if (4 <= token && token < 29)
            kernel::attend(&row, 1, t.shared[0].head, t.shared[0].scale, scratch.data());
        REQUIRE(std::equal(one.begin(), one.end(), out.begin() + token * 10));
    }
}

TEST_CASE("head_slots: a NaN query of one token and head changes no other slot") {
    chosen t(40, 8, 2, 16, 0);
    auto const clean = t.run(40, false);
    REQUIRE(t.takes(11, 0));
    t.queries[at((11 * 8 + 0) * 16 + 2)] = not_a_number;
    auto const soiled = t.run(40, false);
    for (index_t i = 0; i < 40 * 8 * 16; ++i) {
        if (i / 16 == 11 * 8) REQUIRE(std::isnan(soiled[at(i)]));
        else REQUIRE(soiled[at(i)] == clean[at(i)]);
    }
}

TEST_CASE("head_slots: no heads, no tokens, nothing happens") {
    kernel::attend(static_cast<kernel::head_slots const*>(nullptr), 0, 0, 5, 0, {}, 1.0f, nullptr);
    kernel::head_slots const nobody{};
    kernel::attend(&nobody, 1, 0, 5, 0, {}, 1.0f, nullptr);
    SUCCEED();
}
