// SPDX-License-Identifier: MIT
#include "prytany/simd/batch.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/core/panel.hpp"
#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

std::vector<float> all_of(simd::floats x) {
    std::vector<float> all(static_cast<std::size_t>(lanes));
    simd::store(all.data(), x);
    return all;
}
std::vector<float> counting(index_t count) {
    std::vector<float> all;
    for (index_t i = 0; i < count; ++i) all.push_back(static_cast<float>(i + 1));
    return all;
}

// Widens every bit pattern of a 16-bit type in every lane.
template <class T>
int wrongly_widened() {
    buffer<T> step(panel_lanes);
    alignas(64) float got[static_cast<std::size_t>(panel_lanes)];
    int wrong = 0;
    for (std::uint32_t first = 0; first < 65536; ++first) {
        auto const pattern = [&](index_t lane) {
            return static_cast<std::uint16_t>(first + 977u * static_cast<std::uint32_t>(lane));
        };
        for (index_t lane = 0; lane < panel_lanes; ++lane)
            step[lane_place<T>(lane)] = std::bit_cast<T>(pattern(lane));
        auto const pair = simd::widen(step.data());
        simd::store(got, pair.low);
        simd::store(got + lanes, pair.high);
        for (index_t lane = 0; lane < panel_lanes; ++lane) {
            auto const wanted = static_cast<float>(std::bit_cast<T>(pattern(lane)));
            bool const same = std::isnan(wanted) ? std::isnan(got[lane])
                                                 : std::bit_cast<std::uint32_t>(wanted) ==
                                                       std::bit_cast<std::uint32_t>(got[lane]);
            if (!same) ++wrong;
        }
    }
    return wrong;
}

} // namespace

TEST_CASE("batch: fill, load and store keep every lane, at any address") {
    for (float const x : all_of(simd::fill(2.5f))) CHECK(x == 2.5f);
    auto const from = counting(3 * lanes);
    for (index_t shift = 0; shift <= lanes; ++shift) {
        auto const got = all_of(simd::load(from.data() + shift));
        for (index_t i = 0; i < lanes; ++i)
            REQUIRE(got[static_cast<std::size_t>(i)] == static_cast<float>(shift + i + 1));
    }
}

TEST_CASE("batch: fma has one rounding where the machine has it") {
    // (1 + 2^-12)² - 1 - 2^-11 is 2^-24, which a rounded product loses
    float const x = 1.0f + 0x1p-12f, c = -1.0f - 0x1p-11f;
    float const got = all_of(simd::fma(simd::fill(x), simd::fill(x), simd::fill(c)))[0];
#if defined(__FMA__) || defined(__AVX512F__)
    CHECK(got == 0x1p-24f);
#else
    CHECK(std::abs(got) <= 0x1p-23f);
#endif
    CHECK(all_of(simd::fma(simd::fill(3), simd::fill(5), simd::fill(7)))[0] == 22);
}

TEST_CASE("batch: tails read, write and keep the first elements only") {
    for (index_t count = 0; count <= lanes; ++count)
        for (auto const side : {twin::edge::back, twin::edge::front}) {
            auto const wanted = counting(count);
            twin::guarded<float> from(wanted, side), to(count, side, -1.0f);
            auto const loaded = all_of(simd::load_first(from.data(), count));
            auto const kept = all_of(simd::first_of(simd::fill(4), count));
            simd::store_first(to.data(), simd::load_first(from.data(), count), count);
            REQUIRE(to.all() == wanted);
            for (index_t i = 0; i < lanes; ++i) {
                auto const at = static_cast<std::size_t>(i);
                REQUIRE(loaded[at] == (i < count ? wanted[at] : 0.0f));
                REQUIRE(kept[at] == (i < count ? 4.0f : 0.0f));
            }
        }
    // what is beyond is dropped even if it is NaN, not multiplied by zero
    auto const kept = all_of(simd::first_of(simd::fill(std::nanf("")), 0));
    for (float const x : kept) CHECK(x == 0.0f);
}

TEST_CASE("batch: a count beyond one register reads and writes one register") {
    auto const from = counting(lanes);
    twin::guarded<float> to(lanes);
    simd::store_first(to.data(), simd::load_first(from.data(), 3 * lanes), 2 * lanes);
    CHECK(to.all() == from);
}

TEST_CASE("batch: a pair writes the first elements of both registers") {
    auto const from = counting(2 * lanes);
    simd::float_pair const pair{simd::load(from.data()), simd::load(from.data() + lanes)};
    for (index_t count = 0; count <= panel_lanes + 3; ++count) {
        index_t const kept = std::min(count, panel_lanes);
        twin::guarded<float> to(kept, twin::edge::back, -1.0f);
        simd::store_pair(to.data(), pair, count);
        REQUIRE(to.all() == counting(kept));
        std::vector<float> soft(static_cast<std::size_t>(panel_lanes) + 4, -1.0f);
        simd::store_pair(soft.data(), pair, count);
        for (std::size_t i = static_cast<std::size_t>(kept); i < soft.size(); ++i)
            REQUIRE(soft[i] == -1.0f);
    }
}

TEST_CASE("batch: the sum adds pairs, then pairs of pairs") {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        auto const from = twin::floats(twin::normal(static_cast<std::size_t>(lanes), seed));
        auto all = from;
        for (std::size_t half = all.size() / 2; half > 0; half /= 2)
            for (std::size_t i = 0; i < half; ++i) all[i] = all[i] + all[i + half];
        REQUIRE(simd::sum(simd::load(from.data())) == all[0]);
    }
}

TEST_CASE("batch: every stored number is widened exactly, in every lane") {
    CHECK(wrongly_widened<bf16>() == 0);
    CHECK(wrongly_widened<f16>() == 0);
    buffer<float> step(panel_lanes);
    for (index_t i = 0; i < panel_lanes; ++i) step[i] = static_cast<float>(i);
    auto const pair = simd::widen(step.data());
    CHECK(all_of(pair.low)[1] == 1.0f);
    CHECK(all_of(pair.high)[0] == static_cast<float>(lanes));
}
