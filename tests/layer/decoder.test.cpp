// SPDX-License-Identifier: MIT
// A small decoder against its twin; one model, many sequences and threads; what it refuses.
#include "prytany/layer/decoder.hpp"

#include <thread>
#include <vector>

#include "layer/attention_held.hpp"
#include "layer/moe_held.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/layer/any_layer.hpp"
#include "prytany/router/gumbel.hpp"
#include "prytany/router/hash_table.hpp"
#include "prytany/router/labelled.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using numbers::at, numbers::same_bits;

namespace {

using layer = moe<shape{.shared = 1}, top_k{}, ffn{swiglu}, shared_gate{}>;
using small = decoder<layer>;
using words = std::vector<std::int32_t>;

constexpr decoder_shape sizes{
    .vocabulary = 37,
    .layers = 3,
    .attention = {
        .model = 24, .heads = 4, .kv_heads = 2, .head = 6, .positions = 90, .biases = true}};
layer experts(index_t k = 2, index_t model = 24, index_t hidden = 10) {
    return layer({.model = model, .hidden = hidden, .experts = 5, .shared = 1, .shared_hidden = 7},
                 {.router = {.k = k}});
}
small made() {
    small model(sizes, [](index_t) { return experts(); });
    std::uint64_t seed = 0;
    model.for_each_tensor(
        [&](auto const& t, index_t) { numbers::fill_tensor(t, ++seed * 7919, 3); });
    return model;
}
small const& shared() {
    static small const one = made();
    return one;
}
words phrase(std::uint64_t seed, index_t count) {
    words all;
    for (index_t i = 0; i < count; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        all.push_back(static_cast<std::int32_t>((seed >> 33) % 37));
    }
    return all;
}
template <class Executor>
std::vector<float> feed(words const& all, index_t piece, small::state& sequence, workspace& ws,
                        Executor&& pool) {
    index_t const count = std::ssize(all);
    std::vector<float> out(at(count * 37), std::nanf(""));
    for (index_t t = 0; t < count; t += piece) {
        index_t const some = std::min(piece, count - t);
        shared().forward(std::span(all).subspan(at(t), at(some)), sequence,
                         matrix_view<float>(out.data() + t * 37, some, 37), ws, pool);
    }
    return out;
}
template <class Executor = sequential>
std::vector<float> feed(words const& all, index_t piece = 90, Executor&& pool = {}) {
    small::state sequence(shared());
    workspace ws;
    return feed(all, piece, sequence, ws, pool);
}

} // namespace

TEST_CASE("decoder: agrees with its twin") {
    auto const& model = shared();
    auto const all = phrase(1, 40);
    twin::matrix embedding, head;
    twin::row last;
    std::vector<twin::row> norms(3);
    model.for_each_tensor([&](auto const& t, index_t i) {
        if (t.name.part != "decoder") return;
        auto const m = numbers::stored(t);
        if (t.name.role == "embedding") embedding = m;
        else if (t.name.role == "head") head = m;
        else (i == dynamic ? last : norms[at(i)]) = m.all;
    });
    std::vector<std::map<std::string, twin::matrix>> blocks(3);
    model.for_each_tensor([&](auto const& t, index_t i) {
        if (t.name.part == "attention")
            blocks[at(i)][std::string(t.name.role)] = numbers::stored(t);
    });
    twin::matrix x(all.size(), 24);
    for (std::size_t t = 0; t < all.size(); ++t) x.set_row(t, embedding.row_of(at(all[t])));
    double margin = 1;
    for (std::size_t i = 0; i < 3; ++i) {
        x = numbers::attention_twin(blocks[i], sizes.attention, x);
        auto const weights = numbers::twin_of(model.layer(static_cast<index_t>(i)));
        for (std::size_t t = 0; t < all.size(); ++t) {
            auto const in = twin::rms_norm(x.row_of(t), norms[i], 1e-6f);
            auto const logits = twin::logits_of(in, weights);
            twin::routing_rule const rule{.k = 2};
            double near = 0;
            auto const chosen = twin::choose(logits, rule, &near);
            margin = std::min(margin, near);
            auto const y =
                twin::moe(in, weights, twin::weigh(logits, rule, chosen), twin::gated(twin::silu));
            for (std::size_t c = 0; c < 24; ++c) x(t, c) += y[c];
        }
    }
    for (std::size_t t = 0; t < all.size(); ++t)
        x.set_row(t, twin::rms_norm(x.row_of(t), last, 1e-6f));
    INFO("margin of the routers " << margin);
    CHECK(margin > 1e-5); // else the seed is an unlucky one
    CHECK(twin::nmse(feed(all), twin::gemm(x, head).all) <= 1e-10);
}

TEST_CASE("decoder: pieces of any size and any number of threads give the same bits") {
    auto const all = phrase(2, 90);
    auto const right = feed(all);
    for (index_t const piece : {1, 2, 7, 23, 24, 25, 89}) CHECK(same_bits(feed(all, piece), right));
    for (index_t const width : {2, 4, 8}) {
        thread_pool pool(width);
        for (index_t const piece : {1, 7, 90}) CHECK(same_bits(feed(all, piece, pool), right));
    }
}

TEST_CASE("decoder: logits of the last tokens alone, of none, and rewinding") {
    auto const all = phrase(3, 50);
    auto const right = feed(all);
    small::state sequence(shared());
    workspace ws;
    std::vector<float> few(5 * 40, 77.0f); // rows may be further apart than they are wide
    shared().forward(std::span(all).first(20), sequence, {}, ws, sequential{});
    CHECK(sequence.length() == 20);
    shared().forward(std::span(all).subspan(20, 10), sequence,
                     matrix_view<float>(few.data(), 5, 37, 40), ws, sequential{});
    for (std::size_t t = 0; t < 5; ++t) {
        for (std::size_t c = 0; c < 37; ++c) CHECK(few[t * 40 + c] == right[(25 + t) * 37 + c]);
        for (std::size_t c = 37; c < 40; ++c) CHECK(few[t * 40 + c] == 77.0f);
    }
    shared().forward({}, sequence, {}, ws, sequential{});
    CHECK(sequence.length() == 30);
    sequence.rewind(60); // no further than it is
    CHECK(sequence.length() == 30);
    (void)feed(phrase(99, 60), 60, sequence, ws, sequential{});
    for (index_t const back : {33, 7, 0}) {
        sequence.rewind(0);
        (void)feed(words(all.begin(), all.begin() + back), 90, sequence, ws, sequential{});
        (void)feed(phrase(98, 20), 90, sequence, ws, sequential{});
        sequence.rewind(back);
        auto const rest =
            feed(words(all.begin() + back, all.end()), 11, sequence, ws, sequential{});
        CHECK(same_bits(rest, std::vector<float>(right.begin() + back * 37, right.end())));
    }
}

TEST_CASE("decoder: two sequences take turns on one model and one workspace") {
    auto const one = phrase(4, 60), two = phrase(5, 60);
    auto const right_one = feed(one), right_two = feed(two);
    small::state a(shared()), b(shared());
    workspace ws;
    std::vector<float> got_a, got_b;
    for (std::size_t t = 0; t < 60; t += 4) {
        for (auto const& [from, state, to] :
             {std::tuple{&one, &a, &got_a}, std::tuple{&two, &b, &got_b}}) {
            auto const some = feed({from->begin() + static_cast<std::ptrdiff_t>(t),
                                    from->begin() + static_cast<std::ptrdiff_t>(t + 4)},
                                   4, *state, ws, sequential{});
            to->insert(to->end(), some.begin(), some.end());
        }
    }
    CHECK(same_bits(got_a, right_one));
    CHECK(same_bits(got_b, right_two));
}

TEST_CASE("decoder: eight threads share one const model") {
    std::vector<std::vector<float>> right, got(8);
    for (std::uint64_t i = 0; i < 8; ++i) right.push_back(feed(phrase(10 + i, 60)));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 8; ++i)
        threads.emplace_back([&, i] {
            auto const own = phrase(10 + i, 60);
            if (i % 4 == 3) { // some bring workers of their own
                thread_pool pool(2);
                got[i] = feed(own, 3, pool);
            } else got[i] = feed(own, static_cast<index_t>(i) + 1);
        });
    for (auto& t : threads) t.join();
    for (std::size_t i = 0; i < 8; ++i) CHECK(same_bits(got[i], right[i]));
}

TEST_CASE("decoder: an observer that throws leaves the sequence where it was") {
    struct thrower {
        void routed(index_t layer, routing const&) const {
            if (layer == 1) throw 7;
        }
        void passed(step) const {}
    };
    auto const all = phrase(6, 30);
    auto const right = feed(all);
    small::state sequence(shared());
    workspace ws;
    (void)feed({all.begin(), all.begin() + 10}, 10, sequence, ws, sequential{});
    CHECK_THROWS_AS(shared().forward(phrase(7, 15), sequence, {}, ws, sequential{}, thrower{}),
                    int);
    CHECK(sequence.length() == 10);
    auto const rest = feed({all.begin() + 10, all.end()}, 20, sequence, ws, sequential{});
    CHECK(same_bits(rest, std::vector<float>(right.begin() + 370, right.end())));
}

TEST_CASE("decoder: wrong calls are named and change nothing") {
    small::state sequence(shared());
    workspace ws;
    auto const all = phrase(8, 91);
    std::vector<float> some(91 * 38, 77.0f);
    auto const call = [&](std::span<std::int32_t const> tokens, matrix_view<float> logits) {
        return said([&] { shared().forward(tokens, sequence, logits, ws, sequential{}); });
    };
    auto const view = [&](index_t rows, index_t cols) {
        return matrix_view<float>(some.data(), rows, cols);
    };
    auto const first = [&](std::size_t n) { return std::span(all).first(n); };
    CHECK(call(words{3, 37, 4}, view(1, 37)) == "token: expected 0 to 36, got 37");
    CHECK(call(words{3, -1, 4}, {}) == "token: expected 0 to 36, got -1");
    CHECK(call(all, view(1, 37)) == "decoder tokens: expected at most 90 more positions, got 91");
    CHECK(call(first(3), view(4, 37)) == "decoder logits: expected at most [3, 37], got [4, 37]");
    CHECK(call(first(3), view(3, 38)) == "decoder logits: expected at most [3, 37], got [3, 38]");
    CHECK(call(first(3), view(-1, 37)) == "decoder logits: expected at most [3, 37], got [-1, 37]");
    CHECK(call(first(3), {nullptr, 2, 37}) ==
          "decoder logits: expected [2, 37], got a null pointer");
    CHECK(sequence.length() == 0);
    for (float const x : some) REQUIRE(x == 77.0f);
    CHECK(call(first(88), view(1, 37)).empty());
    CHECK(call(first(3), view(1, 37)) ==
          "decoder tokens: expected at most 2 more positions, got 3");
    CHECK(call(first(2), view(2, 37)).empty());
    CHECK(call(first(1), {}) == "decoder tokens: expected at most 0 more positions, got 1");
}

TEST_CASE("decoder: construction names what does not fit") {
    auto const make = [](decoder_shape const& size, auto&& each) {
        return said([&] { small model(size, each); });
    };
    auto const same = [](index_t) { return experts(); };
    CHECK(make(sizes, same).empty());
    auto size = sizes;
    size.vocabulary = 0;
    CHECK(make(size, same) == "decoder.vocabulary: expected 1 to 1073741824, got 0");
    size = sizes;
    size.layers = dynamic;
    CHECK(make(size, same) == "decoder.layers: expected 1 to 1073741824, got -1");
    size = sizes;
    size.attention.heads = 3;
    CHECK(make(size, same) == "attention.kv_heads: expected a divisor of 3 heads, got 2");
    CHECK(make(sizes, [](index_t i) { return experts(2, i == 2 ? 25 : 24); }) ==
          "decoder layer 2: expected model width 24, got 25");
    std::string const unlike =
        "decoder layer 1: expected the sizes and experts per token of layer 0, got others";
    CHECK(make(sizes, [](index_t i) { return experts(i == 1 ? 3 : 2); }) == unlike);
    CHECK(make(sizes, [](index_t i) { return experts(2, 24, i == 1 ? 11 : 10); }) == unlike);
}

TEST_CASE("decoder: routers read the ids of its tokens, in any cut; what they lack is an error") {
    auto const filled = []<class Layer>(decoder<Layer>&& model) {
        std::uint64_t seed = 0;
        model.for_each_tensor(
            [&](auto const& t, index_t) { numbers::fill_tensor(t, ++seed * 7919, 3); });
        return std::move(model);
    };
    using by_id = moe<shape{}, hash_table{}, ffn{swiglu}>;
    std::vector<std::int32_t> table(37);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<std::int32_t>(i * i % 5);
    auto const model = filled(decoder<by_id>(sizes, [&](index_t) {
        return by_id({.model = 24, .hidden = 10, .experts = 5},
                     {.router = {.vocabulary = 37, .table = table}});
    }));
    struct {
        std::vector<std::int32_t> const& table;
        std::span<std::int32_t const> now;
        void routed(index_t, routing const& r) const {
            for (index_t t = 0; t < r.in.tokens(); ++t)
                CHECK(r.plan.slots_of(t)[0].expert == table[at(now[at(t)])]);
        }
        void passed(step) const {}
    } watch{table, {}};
    auto const all = phrase(5, 20);
    std::vector<float> whole(20 * 37), cut(20 * 37);
    for (index_t const piece : {20, 3}) {
        decoder<by_id>::state sequence(model);
        workspace ws;
        for (index_t t = 0; t < 20; t += piece) {
            index_t const some = std::min<index_t>(piece, 20 - t);
            watch.now = std::span(all).subspan(at(t), at(some));
            model.forward(watch.now, sequence,
                          matrix_view<float>((piece == 20 ? whole : cut).data() + t * 37, some, 37),
                          ws, sequential{}, watch);
        }
    }
    CHECK(same_bits(whole, cut));

    using by_label = moe<shape{}, labelled{}, ffn{swiglu}>;
    auto const lacking = filled(decoder<any_layer<by_label, by_id>>(sizes, [&](index_t) {
        return any_layer<by_label, by_id>(by_label({.model = 24, .hidden = 10, .experts = 5}, {}));
    }));
    decoder<any_layer<by_label, by_id>>::state sequence(lacking);
    workspace ws;
    std::vector<float> logits(37);
    CHECK(said([&] {
              lacking.forward(all, sequence, matrix_view<float>(logits.data(), 1, 37), ws,
                              sequential{});
          }) == "input.labels (labelled): expected 20, one a token, got 0");
    CHECK(sequence.length() == 0);
}

TEST_CASE("decoder: what is drawn for a token does not depend on the cut, and layers draw others") {
    using drawn = moe<shape{}, gumbel{top_k{.k = 1}}, ffn{swiglu}>;
    decoder<drawn> model(sizes, [](index_t) {
        return drawn({.model = 24, .hidden = 10, .experts = 5}, {.router = {.training = true}});
    });
    struct {
        std::vector<index_t> experts[3];
        void routed(index_t layer, routing const& r) {
            for (index_t t = 0; t < r.in.tokens(); ++t)
                experts[layer].push_back(r.plan.slots_of(t)[0].expert);
        }
        void passed(step) const {}
    } at_once, in_pieces;
    auto const all = phrase(9, 40);
    for (index_t const piece : {40, 7}) {
        decoder<drawn>::state sequence(model);
        workspace ws;
        for (index_t t = 0; t < 40; t += piece)
            model.forward(std::span(all).subspan(at(t), at(std::min<index_t>(piece, 40 - t))),
                          sequence, {}, ws, sequential{}, piece == 40 ? at_once : in_pieces);
    }
    for (int l = 0; l < 3; ++l) CHECK(at_once.experts[l] == in_pieces.experts[l]);
    CHECK(at_once.experts[0] != at_once.experts[1]); // all weights are 0: only draws decide
}
