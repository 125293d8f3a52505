// SPDX-License-Identifier: MIT
#include "prytany/layer/stepped.hpp"

#include "conformance/archetypes.hpp"
#include "layer/residual/held.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/any_layer.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/layer/option/capacity.hpp"
#include "prytany/layer/residual/adam.hpp"
#include "prytany/layer/residual/heavy_ball.hpp"
#include "prytany/layer/residual/plain.hpp"
#include "prytany/layer/residual/robust.hpp"
#include "prytany/router/top_k.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::same_bits;

namespace {

using inner = moe<shape{20, 12, 6}, top_k{.k = 2}, ffn{swiglu}>;

/// f(x) = λ x, as a layer of 8 numbers.
struct linear_layer : archetype::layer {
    float lambda = 1;
    linear_layer() = default;
    explicit linear_layer(float factor) : lambda(factor) {}
    template <class X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace&, X&&, Observer&& = {}) const {
        for (index_t t = 0; t < in.tokens(); ++t)
            for (index_t c = 0; c < out.cols; ++c) out.row(t)[c] = lambda * in.rows.row(t)[c];
    }
};

/// What 1 becomes after some layers of f(x) = λ x.
template <auto Residual>
double after(int layers, float lambda, typename kind_of<Residual>::params const& own = {}) {
    stepped<linear_layer, Residual> const layer(linear_layer(lambda), own);
    depth_memory<kind_of<Residual>> memory(1, 8);
    auto& carry = memory.start(1);
    rows x(1, 8, 1.0f), y(1, 8);
    workspace ws;
    for (int i = 0; i < layers; ++i) {
        layer.forward(x.view(), y.view(), carry, ws, sequential{});
        std::swap(x.all, y.all);
    }
    CHECK(carry.depth == layers);
    return double{x.all[7]};
}

/// Three layers with weights, one pass.
template <auto Residual, class Executor>
std::vector<float> stack(rows x, Executor&& pool, std::vector<std::uint8_t> const& mask = {}) {
    using P = kind_of<Residual>;
    std::vector<stepped<inner, Residual>> layers(3);
    for (std::size_t i = 0; i < 3; ++i) numbers::fill(layers[i], i + 1);
    depth_memory<P> memory(x.count, x.cols);
    auto& carry = memory.start(x.count);
    workspace ws;
    ws.reserve(layers[0], x.count, pool);
    index_t const bytes = ws.bytes();
    rows y(x.count, x.cols, std::nanf(""));
    for (auto const& layer : layers) {
        layer.forward({std::as_const(x).view(), mask}, y.view(), carry, ws, pool);
        CHECK(ws.plan().tokens() == x.count);
        std::swap(x.all, y.all);
    }
    CHECK(ws.bytes() == bytes);
    return x.all;
}

template <auto Residual>
void keeps_the_contracts() {
    auto const x = rows::normal(70, 20, 1);
    auto const whole = stack<Residual>(x, sequential{});
    thread_pool pool(3);
    CHECK(same_bits(stack<Residual>(x, pool), whole));
    for (index_t const t : {0, 33, 69})
        CHECK(same_bits(stack<Residual>(x.part(t, 1), sequential{}),
                        std::vector<float>(whole.begin() + t * 20, whole.begin() + (t + 1) * 20)));
    CHECK(stack<Residual>(x.part(0, 0), pool).empty());
    auto soiled = x;
    soiled.row(5)[3] = std::nanf("");
    auto const others = stack<Residual>(soiled, sequential{});
    CHECK(std::equal(others.begin(), others.begin() + 100, whole.begin()));
    CHECK(std::equal(others.begin() + 120, others.end(), whole.begin() + 120));
}

} // namespace

TEST_CASE("stepped: λ = 3 diverges plain and converges with momentum") {
    constexpr plain against{.sign = residual_sign::minus};
    CHECK(after<against>(1, 3) == -2);
    CHECK(after<against>(10, 3) == 1024);
    CHECK(std::abs(after<heavy_ball{}>(100, 3)) < 1e-5);
    CHECK(std::abs(after<heavy_ball{}>(60, 6, {.gamma = 0.5f})) < 1e-3); // it is γ λ that counts
    // the bounds: 0 < γ λ < 2 without, 0 < γ λ < 2 (1 + μ) = 3.4 with momentum
    CHECK(std::abs(after<against>(400, 1.95f)) < 1e-5);
    CHECK(std::abs(after<against>(400, 2.05f)) > 1e5);
    CHECK(std::abs(after<heavy_ball{}>(600, 3.35f)) < 1e-3);
    CHECK(std::abs(after<heavy_ball{}>(600, 3.45f)) > 1e3);
    CHECK(std::abs(after<against>(50, -0.1f)) > 50);
}

TEST_CASE("stepped: robust momentum runs the layer at the point ahead") {
    double left = 1;
    for (int layers = 1; layers <= 4; ++layers) {
        left *= 0.28;
        CHECK(std::abs(after<robust{}>(layers, 1) - left) <= 1e-6);
    }
}

TEST_CASE("stepped: is the layer, then the policy") {
    stepped<inner, heavy_ball{}> layer(inner{}, {.mu = 0.9f});
    numbers::fill(layer, 4);
    auto const x = rows::normal(9, 20, 2);
    auto const sum = numbers::run(layer.layer(), x);
    held::pass<heavy_ball{}> by_hand(x, {.mu = 0.9f});
    auto const wanted = by_hand.step({[&] {
        rows c(9, 20);
        c.all = sum;
        return c;
    }()});
    depth_memory<heavy_ball> memory(9, 20);
    auto& carry = memory.start(9);
    rows y(9, 20);
    workspace ws;
    index_t watched = 0;
    layer.forward(x.view(), y.view(), carry, ws, sequential{},
                  [&](routing const& r) { watched = r.plan.tokens(); });
    CHECK(same_bits(y.all, wanted));
    CHECK(same_bits(held::copy(carry.momentum), held::copy(by_hand.carry.momentum)));
    CHECK(watched == 9);
    CHECK(carry.depth == 1);
}

TEST_CASE("stepped: a layer without the wrapper between two leaves what is carried as it is") {
    std::vector<stepped<inner, adam{}>> layers(3);
    for (std::size_t i = 0; i < 3; ++i) numbers::fill(layers[i], i + 1);
    auto x = rows::normal(9, 20, 2);
    held::pass<adam{}> by_hand(x);
    depth_memory<adam> memory(9, 20);
    auto& carry = memory.start(9);
    workspace ws;
    rows y(9, 20);
    for (std::size_t i = 0; i < 3; ++i) {
        rows sum(9, 20);
        sum.all = numbers::run(layers[i].layer(), by_hand.x);
        if (i == 1) { // dense, say
            by_hand.x = sum;
            layers[i].layer().forward(std::as_const(x).view(), y.view(), ws, sequential{});
        } else {
            by_hand.step(sum);
            layers[i].forward(std::as_const(x).view(), y.view(), carry, ws, sequential{});
        }
        std::swap(x.all, y.all);
        REQUIRE(same_bits(x.all, by_hand.x.all));
        CHECK(same_bits(held::copy(carry.momentum), held::copy(by_hand.carry.momentum)));
    }
    CHECK(carry.depth == 2);
}

TEST_CASE("stepped: a token that no expert had room for keeps its row") {
    using full = moe<shape{20, 12, 6}, top_k{.k = 1}, ffn{swiglu}, capacity{}>;
    stepped<full, plain{}> layer(full({}, {.capacity = {.factor = 0.5f}}));
    numbers::fill(layer, 4);
    auto const x = rows::normal(24, 20, 2);
    rows y(24, 20);
    depth_memory<plain> memory(24, 20);
    workspace ws;
    layer.forward(x.view(), y.view(), memory.start(24), ws, sequential{});
    index_t lost = 0;
    for (index_t t = 0; t < 24; ++t) {
        bool const runs = ws.plan().slots_of(t)[0].tier == 0;
        lost += runs ? 0 : 1;
        CHECK(same_bits(y.row_of(t), x.row_of(t)) == !runs);
    }
    CHECK(lost >= 12);
}

TEST_CASE("stepped: any batch, any thread count, no row changes another") {
    keeps_the_contracts<plain{}>();
    keeps_the_contracts<heavy_ball{}>();
    keeps_the_contracts<adam{}>();
    keeps_the_contracts<robust{}>();
}

TEST_CASE("stepped: a padding token keeps its row") {
    auto const x = rows::normal(12, 20, 6);
    std::vector<std::uint8_t> mask(12, 1);
    mask[3] = 0;
    auto const got = stack<heavy_ball{}>(x, sequential{}, mask);
    CHECK(same_bits(std::vector<float>(got.begin() + 60, got.begin() + 80), x.row_of(3)));
    auto const whole = stack<heavy_ball{}>(x, sequential{});
    CHECK(std::equal(got.begin(), got.begin() + 60, whole.begin()));
    CHECK(std::equal(got.begin() + 80, got.end(), whole.begin() + 80));
}

TEST_CASE("stepped: passes on sizes and tensors, and wraps what was chosen at run time") {
    stepped<inner, heavy_ball{}> layer;
    CHECK(layer.sizes() == inner{}.sizes());
    std::vector<std::string> mine, theirs;
    layer.for_each_tensor([&](auto const& t) { mine.push_back(t.name.text()); });
    std::as_const(layer).layer().for_each_tensor(
        [&](auto const& t) { theirs.push_back(t.name.text()); });
    CHECK(mine == theirs);
    CHECK(!mine.empty());

    using any = any_layer<inner, moe<shape{}, top_k{}, ffn{swiglu}>>;
    stepped<any, plain{}> wrapped(any{inner{}});
    numbers::fill(wrapped, 2);
    numbers::fill(layer, 2);
    auto const x = rows::normal(4, 20, 3);
    rows y(4, 20);
    depth_memory<plain> memory(4, 20);
    workspace ws;
    wrapped.forward(x.view(), y.view(), memory.start(4), ws, sequential{});
    auto const sum = numbers::run(layer.layer(), x);
    for (std::size_t i = 0; i < y.all.size(); ++i) CHECK(y.all[i] == x.all[i] + sum[i]);
}

TEST_CASE("stepped: says what does not fit") {
    auto const sentence = [](auto&& f) {
        try {
            f();
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence([] { stepped<inner, heavy_ball{}>(inner{}, {.mu = 2}); }) ==
          "heavy_ball.mu: expected a number in [0, 1), got 2.000000");
    stepped<inner, heavy_ball{}> const layer;
    depth_memory<heavy_ball> memory(5, 20), narrow(4, 19);
    workspace ws;
    rows x(4, 20), y(4, 20), z(4, 21);
    auto const run = [&](rows& in, rows& out, heavy_ball::carry& carry) {
        return sentence(
            [&] { layer.forward(std::as_const(in).view(), out.view(), carry, ws, sequential{}); });
    };
    auto& five = memory.start(5);
    CHECK(run(x, y, five) == "carry: expected [4, 20], got [5, 20]");
    CHECK(run(x, y, narrow.start(4)) == "carry: expected [4, 20], got [4, 19]");
    CHECK(run(z, y, memory.start(4)) == "moe input: expected [4, 20], got [4, 21]");
    CHECK(run(x, x, memory.start(4)) ==
          "moe output: expected rows that do not overlap the input, got overlapping rows");
    auto& four = memory.start(4);
    CHECK(run(x, y, four).empty());
    CHECK(four.depth == 1);
}
