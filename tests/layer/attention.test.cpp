// SPDX-License-Identifier: MIT
// Attention with its cache: against the twin, and the same bits however a sequence comes.
#include "prytany/layer/attention.hpp"

#include <vector>

#include "layer/attention_held.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::feed, numbers::rows, numbers::same_bits;

namespace {

attention_shape const forms[] = {
    {.model = 24, .heads = 4, .kv_heads = 2, .head = 6, .positions = 70, .biases = true},
    {.model = 33, .heads = 3, .kv_heads = 3, .head = 20, .positions = 64},
    {.model = 128, .heads = 4, .kv_heads = 2, .head = 32, .positions = 80, .biases = true},
    {.model = 48, .heads = 8, .kv_heads = 1, .head = 48, .positions = 61, .rope_base = 1e6},
    {.model = 80, .heads = 6, .kv_heads = 2, .head = 80, .positions = 65, .epsilon = 1e-2f},
    {.model = 7, .heads = 1, .kv_heads = 1, .head = 2, .positions = 60, .biases = true}};

attention_block<> filled(attention_shape const& size) {
    attention_block<> block(size);
    numbers::fill(block);
    block.for_each_tensor([](auto const& t) { // scores that matter, weights of the norm around 1
        if (t.name.role == "q" || t.name.role == "k") numbers::fill_tensor(t, 77, 2);
        if (t.name.role == "norm") {
            auto w = rows::normal(t.rows, 1, 78, 0.2);
            for (float& x : w.all) x += 1;
            t.pack(w.view());
        }
    });
    return block;
}
std::string said(attention_shape const& size) {
    try {
        attention_block<> const block(size);
    } catch (error const& e) {
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("attention: agrees with its twin in every form") {
    for (auto const& size : forms) {
        auto const block = filled(size);
        auto const x = rows::normal(size.positions, size.model, 5);
        kv_cache cache(size);
        auto const y = feed(block, x, 0, x.count, cache, sequential{});
        twin::matrix in(numbers::at(x.count), numbers::at(x.cols));
        in.all = twin::doubles(x.all);
        auto right = numbers::attention_twin(numbers::matrices_of(block), size, in);
        auto added = y.all; // what was added, without the input that hides errors
        for (std::size_t i = 0; i < added.size(); ++i) {
            right.all[i] -= in.all[i];
            added[i] -= x.all[i];
        }
        INFO("head " << size.head << ": NMSE " << twin::nmse(added, right.all));
        CHECK(twin::nmse(added, right.all) <= 1e-11);
    }
}

TEST_CASE("attention: pieces of any size and any number of threads give the same bits") {
    thread_pool two(2), four(4), eight(8);
    for (auto const& size : forms) {
        auto const block = filled(size);
        auto const x = rows::normal(60, size.model, 6);
        kv_cache whole(size);
        auto const right = feed(block, x, 0, 60, whole, sequential{});
        for (index_t const piece : {1, 2, 7, 16, 17, 23, 24, 25, 59}) {
            INFO("head " << size.head << ", pieces of " << piece);
            kv_cache cache(size);
            CHECK(same_bits(feed(block, x, 0, piece, cache, sequential{}).all, right.all));
        }
        for (auto* const pool : {&two, &four, &eight})
            for (index_t const piece : {1, 7, 60}) {
                INFO("head " << size.head << ", " << pool->width() << " threads");
                kv_cache cache(size);
                CHECK(same_bits(feed(block, x, 0, piece, cache, *pool).all, right.all));
            }
    }
}

TEST_CASE("attention: what lies beyond a position in the cache is never seen") {
    for (auto const& size : forms) {
        auto const block = filled(size);
        auto const x = rows::normal(60, size.model, 7), other = rows::normal(60, size.model, 8);
        kv_cache clean(size);
        auto const right = feed(block, x, 0, 5, clean, sequential{});

        kv_cache soiled(size); // NaN wherever nothing was put
        std::vector<float> const bad(numbers::at(size.head), std::nanf(""));
        auto const poison = [&](index_t from) {
            for (index_t h = 0; h < size.kv_heads; ++h)
                for (index_t s = from; s < size.positions; ++s)
                    soiled.head(h).put(s, bad.data(), bad.data());
        };
        poison(0);
        CHECK(same_bits(feed(block, x, 0, 5, soiled, sequential{}).all, right.all));
        // back to position 13: others were there before
        (void)feed(block, other, 0, 60, soiled, sequential{});
        (void)feed(block, x.part(0, 13), 0, 13, soiled, sequential{});
        poison(13);
        auto const rest = feed(block, x.part(13, 47), 13, 9, soiled, sequential{});
        CHECK(same_bits(rest.all, right.part(13, 47).all));
    }
}

TEST_CASE("attention: a later token changes no earlier one, an earlier one changes the later") {
    auto const size = forms[0];
    auto const block = filled(size);
    auto x = rows::normal(20, size.model, 9);
    kv_cache cache(size);
    auto const before = feed(block, x, 0, 20, cache, sequential{});
    x.row(11)[3] += 1;
    auto const after = feed(block, x, 0, 20, cache, sequential{});
    for (index_t t = 0; t < 20; ++t)
        CHECK(same_bits(before.row_of(t), after.row_of(t)) == (t < 11));
}

TEST_CASE("attention: a copy of a cache goes on by itself") {
    auto const size = forms[2];
    auto const block = filled(size);
    auto const x = rows::normal(30, size.model, 10), other = rows::normal(30, size.model, 11);
    kv_cache one(size);
    auto const right = feed(block, x, 0, 30, one, sequential{});
    kv_cache first(size);
    (void)feed(block, x.part(0, 10), 0, 10, first, sequential{});
    kv_cache second = first;
    (void)feed(block, other.part(10, 20), 10, 20, second, sequential{});
    CHECK(same_bits(feed(block, x.part(10, 20), 10, 20, first, sequential{}).all,
                    right.part(10, 20).all));
}

TEST_CASE("attention: its tensors by name, and what is packed comes back") {
    attention_block<> block(forms[0]);
    std::vector<std::string> names;
    std::uint64_t seed = 0;
    block.for_each_tensor([&](auto const& t) {
        names.push_back(t.name.text() + dims_text(t.rows, t.cols) + (t.vector ? "v" : ""));
        t.pack(rows::normal(t.rows, t.cols, ++seed).view());
    });
    CHECK(names == std::vector<std::string>{
                       "attention.norm[24, 1]v", "attention.q[24, 24]", "attention.k[12, 24]",
                       "attention.v[12, 24]", "attention.o[24, 24]", "attention.q_bias[24, 1]v",
                       "attention.k_bias[12, 1]v", "attention.v_bias[12, 1]v"});
    seed = 0;
    std::as_const(block).for_each_tensor([&](auto const& t) {
        rows got(t.rows, t.cols);
        t.unpack(got.view());
        CHECK(same_bits(got.all, rows::normal(t.rows, t.cols, ++seed).all));
    });
}

TEST_CASE("attention: sizes that do not fit together are named") {
    attention_shape const good{.model = 8, .heads = 2, .kv_heads = 1, .head = 4, .positions = 3};
    CHECK(said(good).empty());
    auto size = good;
    auto const at = [&](index_t attention_shape::*member, index_t value) {
        size = good;
        size.*member = value;
        return said(size);
    };
    CHECK(at(&attention_shape::model, 0) == "attention.model: expected 1 to 1073741824, got 0");
    CHECK(at(&attention_shape::heads, 0) == "attention.heads: expected 1 to 1073741824, got 0");
    CHECK(at(&attention_shape::kv_heads, dynamic) ==
          "attention.kv_heads: expected 1 to 1073741824, got -1");
    CHECK(at(&attention_shape::positions, -3) ==
          "attention.positions: expected 1 to 1073741824, got -3");
    CHECK(
        at(&attention_shape::head, index_t{1} << 62).starts_with("attention.head: expected 1 to"));
    CHECK(at(&attention_shape::head, 5) ==
          "attention.head: expected an even number, for rotation, got 5");
    CHECK(at(&attention_shape::heads, 3).empty());
    CHECK(at(&attention_shape::kv_heads, 4) ==
          "attention.kv_heads: expected a divisor of 2 heads, got 4");
    for (double const base : {0.0, -1.0, static_cast<double>(INFINITY), std::nan("")}) {
        size = good;
        size.rope_base = base;
        CHECK(said(size).starts_with("attention.rope_base: expected a finite number > 0, got "));
    }
    for (float const epsilon : {-1.0f, INFINITY, std::nanf("")}) {
        size = good;
        size.epsilon = epsilon;
        CHECK(said(size).starts_with("attention.epsilon: expected a finite number >= 0, got "));
    }
}
