// SPDX-License-Identifier: MIT
#include "prytany/kernel/activation.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

template <class A>
float once(A const&, float gate, float up, typename A::params const& own = {}) {
    std::vector<float> all(static_cast<std::size_t>(lanes));
    simd::store(all.data(), A::of(own, simd::fill(gate), simd::fill(up)));
    return all[0];
}
template <class A>
twin::row each(A const&, twin::row const& gate, twin::row const& up,
               typename A::params const& own = {}) {
    auto g = twin::floats(gate), u = twin::floats(up);
    g.resize(g.size() + static_cast<std::size_t>(lanes));
    u.resize(g.size());
    for (std::size_t i = 0; i < gate.size(); i += static_cast<std::size_t>(lanes))
        simd::store(g.data() + i, A::of(own, simd::load(g.data() + i), simd::load(u.data() + i)));
    g.resize(gate.size());
    return twin::doubles(g);
}

// NMSE over normal numbers of three sizes and over an even grid.
template <class A>
double worst_nmse(A const& act, twin::activation const& wanted) {
    double worst = 0;
    auto const against = [&](twin::row const& gate, twin::row const& up) {
        twin::row exact;
        for (std::size_t i = 0; i < gate.size(); ++i) exact.push_back(wanted(gate[i], up[i]));
        worst = std::max(worst, twin::nmse(each(act, gate, up), exact));
    };
    for (double const scale : {0.01, 1.0, 10.0})
        against(twin::normal(20'000, 1, scale), twin::normal(20'000, 2));
    twin::row grid;
    for (int i = -20'000; i <= 20'000; ++i) grid.push_back(static_cast<float>(i) / 1024);
    against(grid, twin::normal(grid.size(), 3));
    return worst;
}

} // namespace

TEST_CASE("activation: plain ones to NMSE 1e-12") {
    CHECK(worst_nmse(silu, twin::plain(twin::silu)) <= 1e-12);
    CHECK(worst_nmse(gelu, twin::plain(twin::gelu)) <= 1e-12);
    CHECK(worst_nmse(gelu_tanh, twin::plain(twin::gelu_tanh)) <= 1e-12);
    CHECK(worst_nmse(relu, twin::plain(twin::relu)) == 0);
    CHECK(worst_nmse(relu_squared, twin::plain(twin::relu_squared)) <= 1e-12);
    STATIC_REQUIRE(!silu.gated);
    STATIC_REQUIRE(!relu_squared.gated);
}

TEST_CASE("activation: gated ones to NMSE 1e-12") {
    CHECK(worst_nmse(swiglu, twin::gated(twin::silu)) <= 1e-12);
    CHECK(worst_nmse(geglu, twin::gated(twin::gelu)) <= 1e-12);
    CHECK(worst_nmse(geglu_tanh, twin::gated(twin::gelu_tanh)) <= 1e-12);
    CHECK(worst_nmse(reglu, twin::gated(twin::relu)) <= 1e-12);
    CHECK(worst_nmse(swiglu_clamped, [](double gate, double up) {
              return twin::swiglu_clamped(gate, up, static_cast<double>(1.702f), 7);
          }) <= 1e-12);
    STATIC_REQUIRE(swiglu.gated);
    STATIC_REQUIRE(swiglu_clamped.gated);
}

TEST_CASE("activation: the clamped one takes its numbers at run time") {
    auto const gate = twin::normal(1000, 5, 4.0), up = twin::normal(1000, 6, 4.0);
    twin::row wanted;
    for (std::size_t i = 0; i < gate.size(); ++i)
        wanted.push_back(twin::swiglu_clamped(gate[i], up[i], 0.5, 2));
    CHECK(twin::nmse(each(swiglu_clamped, gate, up, {.alpha = 0.5f, .limit = 2}), wanted) <= 1e-12);
    // the gate has no lower limit, the other side has both
    CHECK(once(swiglu_clamped, -20, 3) == Approx(twin::swiglu_clamped(-20, 3, 1.702, 7)));
    CHECK(once(swiglu_clamped, 1, -50) == once(swiglu_clamped, 1, -7));
    CHECK(once(swiglu_clamped, 50, 1) == once(swiglu_clamped, 7, 1));
}

TEST_CASE("activation: large numbers are themselves or nothing") {
    for (float const x : {30.0f, 1000.0f, 1e10f, 1e30f}) {
        CHECK(once(silu, x, x) == x);
        CHECK(once(gelu, x, x) == x);
        CHECK(once(gelu_tanh, x, x) == x);
        CHECK(once(relu, x, x) == x);
        CHECK(std::abs(once(silu, -x, x)) <= 30.0f * std::exp(-30.0f) * 1.001f);
        CHECK(once(gelu, -x, x) == 0);
        CHECK(once(gelu_tanh, -x, x) == 0);
        CHECK(once(relu, -x, x) == 0);
        CHECK(once(relu_squared, -x, x) == 0);
    }
    CHECK(once(silu, 0, 0) == 0);
    CHECK(once(gelu, 0, 0) == 0);
    CHECK(once(relu, infinity, 0) == infinity);
    CHECK(once(relu, -infinity, 0) == 0);
}

TEST_CASE("activation: NaN stays NaN") {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    for (float const x : {nan, -nan}) {
        CHECK(std::isnan(once(silu, x, 1)));
        CHECK(std::isnan(once(gelu, x, 1)));
        CHECK(std::isnan(once(gelu_tanh, x, 1)));
        CHECK(std::isnan(once(relu, x, 1)));
        CHECK(std::isnan(once(relu_squared, x, 1)));
        CHECK(std::isnan(once(swiglu, x, 1)));
        CHECK(std::isnan(once(swiglu, 1, x)));
        CHECK(std::isnan(once(reglu, x, 1)));
        CHECK(std::isnan(once(geglu, 1, x)));
        CHECK(std::isnan(once(swiglu_clamped, x, 1)));
        CHECK(std::isnan(once(swiglu_clamped, 1, x)));
    }
}

TEST_CASE("activation: the numbers of gpt-oss") {
    double const wanted[3][3] = {
        {1, .5, 1.26869365}, {9, -8, -41.9997188}, {-3, 7.5, -0.144570478}};
    for (auto const& w : wanted) {
        float const got = once(swiglu_clamped, static_cast<float>(w[0]), static_cast<float>(w[1]));
        CHECK(std::abs(double{got} - w[2]) <= 1e-6 + 1e-5 * std::abs(w[2]));
    }
}
