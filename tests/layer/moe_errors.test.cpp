// SPDX-License-Identifier: MIT
// What a layer refuses, in one sentence with what was expected and what was got.
#include "layer/moe_held.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using numbers::rows;

namespace {

using layer_type = moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}>;
using free_type = moe<shape{.shared = dynamic}, top_k{}, ffn{swiglu}>;

} // namespace

TEST_CASE("moe: forward names what is wrong with its rows") {
    layer_type layer;
    workspace ws;
    rows x(5, 8), y(5, 8), narrow(5, 7), few(4, 8);
    std::vector<std::uint8_t> const mask(3, 1);
    auto const forward = [&](input const& in, matrix_view<float> out) {
        return said([&] { layer.forward(in, out, ws, sequential{}); });
    };
    CHECK(forward(x.view(), y.view()).empty());
    CHECK(forward(narrow.view(), y.view()) == "moe input: expected [5, 8], got [5, 7]");
    CHECK(forward(x.view(), narrow.view()) == "moe output: expected [5, 8], got [5, 7]");
    CHECK(forward(x.view(), few.view()) == "moe output: expected [5, 8], got [4, 8]");
    CHECK(forward(matrix_view<float const>{}, few.view()) ==
          "moe output: expected [0, 8], got [4, 8]");
    CHECK(forward({x.view(), mask}, y.view()) == "moe mask: expected 5 tokens, got 3");
    CHECK(forward(matrix_view<float const>(nullptr, 5, 8), y.view()) ==
          "moe rows: expected [5, 8], got a null pointer");
    CHECK(forward(x.view(), matrix_view<float>(nullptr, 5, 8)) ==
          "moe rows: expected [5, 8], got a null pointer");
}

TEST_CASE("moe: forward refuses an output that overlaps its input") {
    layer_type layer;
    workspace ws;
    rows all(10, 8);
    auto const forward = [&](index_t in, index_t out) {
        return said([&] {
            layer.forward(matrix_view<float const>(all.row(in), 5, 8),
                          matrix_view<float>(all.row(out), 5, 8), ws, sequential{});
        });
    };
    std::string const said =
        "moe output: expected rows that do not overlap the input, got overlapping rows";
    CHECK(forward(0, 0) == said);
    CHECK(forward(0, 4) == said);
    CHECK(forward(4, 0) == said);
    CHECK(forward(0, 5).empty());
    CHECK(forward(5, 0).empty());
}

TEST_CASE("moe: construction names the number that is out of range") {
    auto const made = [](shape const& size, free_type::params const& own) {
        return said([&] { free_type layer(size, own); });
    };
    shape const size{.model = 8, .hidden = 4, .experts = 6};
    CHECK(made(size, {.router = {.k = 6}}).empty());
    CHECK(made(size, {.router = {.k = 7}}) == "experts per token (k): expected 1 to 6, got 7");
    CHECK(made(size, {.router = {.k = 0}}) == "experts per token (k): expected 1 to 6, got 0");
    CHECK(made(size, {}) == "experts per token (k): expected 1 to 6, got none");
    CHECK(made(size, {.router = {.k = 2, .temperature = 0}}).find("top_k.temperature") == 0);
    CHECK(made({.model = 8, .hidden = 4}, {.router = {.k = 1}}) ==
          "shape.experts: expected a size, since it is dynamic, got none");
    CHECK(made({.model = 0, .hidden = 4, .experts = 6}, {.router = {.k = 1}}) ==
          "shape.model: expected at least 1, got 0");
    CHECK(said([] { layer_type layer({8, 4, 7}); }) == "shape.experts: expected 6, got 7");
    CHECK(said([] {
              layer_type layer({8, 4, 6}, {.router = {.k = 3}});
          }) == "top_k.k: expected 2, got 3");
}

TEST_CASE("moe: knows whether it is the layer for given sizes and numbers") {
    CHECK(layer_type::accepts({8, 4, 6}, {}));
    CHECK(layer_type::accepts({8, 4, 6}, {.router = {.k = 2}}));
    CHECK(!layer_type::accepts({8, 4, 7}, {}));
    CHECK(!layer_type::accepts({9, 4, 6}, {}));
    CHECK(!layer_type::accepts({8, 5, 6}, {}));
    CHECK(!layer_type::accepts({8, 4, 6, 1}, {}));
    CHECK(free_type::accepts({8, 5, 60, 3}, {.router = {.k = 7}}));
}

TEST_CASE("moe: its tensors by name, and what is packed comes back") {
    using words = std::vector<std::string>;
    moe<shape{8, 4, 2, 3}, biased{scored{linear{.biases = true}, top_k{.k = 1}}},
        ffn{swiglu, biases}, shared_gate{}>
        layer;
    words names;
    layer.for_each_tensor([&](auto const& t) {
        names.push_back(t.name.text() + dims_text(t.rows, t.cols) + (t.vector ? "v" : ""));
    });
    words wanted{"router.weight[2, 8]", "router.bias[2, 1]v", "router.correction[2, 1]v"};
    for (std::string const who : {"expert.0", "expert.1", "shared"}) {
        std::string const h = who == "shared" ? "12" : "4";
        for (std::string const& role : {"gate[" + h + ", 8]", "up[" + h + ", 8]",
                                        "down[8, " + h + "]", "gate_bias[" + h + ", 1]v",
                                        "up_bias[" + h + ", 1]v", std::string("down_bias[8, 1]v")})
            wanted.push_back(who + "." + role);
    }
    wanted.push_back("shared.weight[8, 1]v");
    CHECK(names == wanted);

    words again;
    std::as_const(layer).for_each_tensor([&](auto const& t) {
        again.push_back(t.name.text() + dims_text(t.rows, t.cols) + (t.vector ? "v" : ""));
    });
    CHECK(again == wanted);

    std::uint64_t seed = 0; // fill all, then look: no tensor overwrites another
    layer.for_each_tensor(
        [&](auto const& t) { t.pack(rows::normal(t.rows, t.cols, ++seed).view()); });
    seed = 0;
    std::as_const(layer).for_each_tensor([&](auto const& t) {
        CAPTURE(t.name.text());
        rows got(t.rows, t.cols);
        t.unpack(got.view());
        CHECK(numbers::same_bits(got.all, rows::normal(t.rows, t.cols, ++seed).all));
    });
    layer.for_each_tensor([&](auto const& t) {
        rows wrong(t.rows + 1, t.cols);
        CHECK(said([&] { t.pack(wrong.view()); }).find(t.name.text() + ": expected [") == 0);
    });
}

TEST_CASE("moe: all weights are zero when made, a copy is its own") {
    layer_type layer;
    layer.for_each_tensor([](auto const& t) {
        for (double const w : numbers::stored(t).all) CHECK(w == 0);
    });
    numbers::fill(layer);
    layer_type const copy = layer;
    auto const x = rows::normal(6, 8, 1);
    auto const right = numbers::run(layer, x);
    layer.for_each_tensor([](auto const& t) { numbers::fill_with(t, 0); });
    CHECK(numbers::same_bits(numbers::run(copy, x), right));
    for (float const v : numbers::run(layer, x)) CHECK(v == 0);
}
