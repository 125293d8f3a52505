// SPDX-License-Identifier: MIT
#include "prytany/kernel/select.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "support/catch.hpp"
#include "twin/guarded.hpp"

using namespace prytany;

namespace {

// The order as it is stated, on floats: whether a at index i comes before b at index j.
bool comes_before(float a, index_t i, float b, index_t j) {
    bool const a_nan = std::isnan(a), b_nan = std::isnan(b);
    if (a_nan != b_nan) return b_nan;
    if (!a_nan && a != b) return a > b;
    return i < j;
}
std::vector<index_t> chosen(std::vector<float> const& scores, index_t keep) {
    std::vector<std::uint64_t> keys;
    for (float const s : scores)
        keys.push_back(kernel::rank_key(s, static_cast<index_t>(keys.size())));
    twin::guarded<std::uint64_t> const in(keys, twin::edge::back);
    twin::guarded<std::uint64_t> best(keep);
    kernel::largest(in.data(), in.size(), keep, best.data());
    twin::guarded<float> const row(scores, twin::edge::back);
    twin::guarded<std::uint64_t> same(keep);
    kernel::best_of(row.data(), row.size(), keep, same.data());
    REQUIRE(same.all() == best.all());
    std::vector<index_t> all;
    for (auto const key : best.all()) all.push_back(kernel::index_of(key));
    return all;
}
std::vector<index_t> wanted(std::vector<float> const& scores, index_t keep) {
    std::vector<index_t> order(scores.size());
    std::iota(order.begin(), order.end(), index_t{0});
    std::sort(order.begin(), order.end(), [&](index_t i, index_t j) {
        return comes_before(scores[static_cast<std::size_t>(i)], i,
                            scores[static_cast<std::size_t>(j)], j);
    });
    order.resize(static_cast<std::size_t>(keep));
    return order;
}
float pattern(std::uint32_t bits) { return std::bit_cast<float>(bits); }

std::vector<float> specials() {
    std::vector<float> all;
    for (std::uint32_t const bits :
         {0x00000000u, 0x00000001u, 0x00000002u, 0x007fffffu, 0x00800000u, 0x3f7fffffu, 0x3f800000u,
          0x3f800001u, 0x7f7fffffu, 0x7f800000u, 0x7f800001u, 0x7fc00000u, 0x7fffffffu})
        for (std::uint32_t const sign : {0u, 0x80000000u}) all.push_back(pattern(bits | sign));
    return all;
}

} // namespace

TEST_CASE("select: the order of every two special values, at equal and different numbers") {
    for (float const a : specials())
        for (float const b : specials())
            for (index_t const i : {0, 1, 5, 4095})
                for (index_t const j : {0, 1, 5, 4095}) {
                    if (i == j) continue;
                    REQUIRE((kernel::rank_key(a, i) > kernel::rank_key(b, j)) ==
                            comes_before(a, i, b, j));
                }
}

TEST_CASE("select: the order of a million random bit patterns, ties among them") {
    std::mt19937 engine(1);
    int wrong = 0;
    auto const special = specials();
    for (int n = 0; n < 1'000'000; ++n) {
        float const a = pattern(static_cast<std::uint32_t>(engine()));
        auto b = pattern(static_cast<std::uint32_t>(engine()));
        auto const kind = engine() % 8;
        if (kind == 0) b = a;
        if (kind == 1) b = -a;
        if (kind == 2) b = special[engine() % special.size()];
        if (kind == 3) b = std::nextafter(a, 0.0f);
        auto const i = static_cast<index_t>(engine() % 1000),
                   j = 1000 + static_cast<index_t>(engine() % 1000);
        auto const x = kernel::rank_key(a, i), y = kernel::rank_key(b, j);
        if ((x > y) != comes_before(a, i, b, j) || x == y) ++wrong;
        if (kernel::index_of(x) != i || kernel::index_of(y) != j) ++wrong;
        if (x <= kernel::refused_key(j) || y <= kernel::refused_key(i)) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("select: -0 and +0 tie, the lower number wins; refused loses to NaN") {
    CHECK(kernel::rank_key(-0.0f, 3) > kernel::rank_key(0.0f, 4));
    CHECK(kernel::rank_key(0.0f, 3) > kernel::rank_key(-0.0f, 4));
    CHECK(kernel::rank_key(-std::numeric_limits<float>::infinity(), 9) >
          kernel::rank_key(std::numeric_limits<float>::quiet_NaN(), 0));
    CHECK(kernel::refused_key(0) < kernel::rank_key(pattern(0xffffffffu), 4'000'000'000));
    CHECK(kernel::refused_key(1) > kernel::refused_key(2));
    for (index_t const i : {index_t{0}, index_t{1}, index_t{513}, index_t{0xffffffff}}) {
        CHECK(kernel::index_of(kernel::rank_key(1.0f, i)) == i);
        CHECK(kernel::index_of(kernel::refused_key(i)) == i);
    }
    STATIC_REQUIRE(kernel::rank_key(2.0f, 0) > kernel::rank_key(1.0f, 0)); // at compile time too
}

TEST_CASE("select: the largest of rows of any bits equal a full sort") {
    std::mt19937 engine(2);
    auto const special = specials();
    for (int round = 0; round < 4000; ++round) {
        std::size_t const count = 1 + engine() % 70;
        std::vector<float> scores(count);
        for (float& s : scores) {
            switch (round % 4) {
            case 0:
                s = pattern(static_cast<std::uint32_t>(engine()));
                break;
            case 1:
                s = special[engine() % special.size()];
                break;
            case 2:
                s = static_cast<float>(engine() % 4);
                break; // mostly ties
            default:
                s = static_cast<float>(engine()) * 1e-9f;
            }
        }
        auto const keep = static_cast<index_t>(engine() % (count + 1));
        REQUIRE(chosen(scores, keep) == wanted(scores, keep));
    }
}

TEST_CASE("select: rising, falling, constant and NaN rows, every number kept") {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    for (index_t count = 1; count <= 40; ++count) {
        std::vector<float> rising, falling;
        for (index_t i = 0; i < count; ++i) {
            rising.push_back(static_cast<float>(i));
            falling.push_back(static_cast<float>(-i));
        }
        auto const size = static_cast<std::size_t>(count);
        for (index_t keep = 0; keep <= count; ++keep)
            for (auto const& scores :
                 {rising, falling, std::vector<float>(size, 2.0f), std::vector<float>(size, nan)})
                REQUIRE(chosen(scores, keep) == wanted(scores, keep));
        std::vector<index_t> first(static_cast<std::size_t>(std::min<index_t>(count, 3)));
        std::iota(first.begin(), first.end(), index_t{0});
        REQUIRE(chosen(std::vector<float>(size, nan), static_cast<index_t>(first.size())) == first);
    }
}

TEST_CASE("select: many experts") {
    std::mt19937 engine(3);
    for (std::size_t const count : std::vector<std::size_t>{256, 257, 384, 512, 513, 4096}) {
        std::vector<float> scores(count);
        for (float& s : scores) s = static_cast<float>(engine() % 1000);
        for (index_t const keep : {1, 8, 22, 256})
            REQUIRE(chosen(scores, keep) == wanted(scores, keep));
    }
}

TEST_CASE("select: the best of a row are the largest of its keys, at every size and number kept") {
    std::mt19937 engine(4);
    std::normal_distribution<float> normal;
    auto const special = specials();
    for (index_t count = 1; count <= 150; ++count)
        for (index_t keep = 0; keep <= std::min<index_t>(count, 20); ++keep)
            for (int kind = 0; kind < 5; ++kind) {
                std::vector<float> scores(static_cast<std::size_t>(count));
                for (float& s : scores) {
                    s = normal(engine);
                    if (kind == 1) s = pattern(static_cast<std::uint32_t>(engine()));
                    if (kind == 2) s = std::round(s);
                    if (kind == 3 && engine() % 3 != 0) s = special[engine() % special.size()];
                    if (kind == 4 && engine() % 8 != 0) s = std::numeric_limits<float>::quiet_NaN();
                }
                REQUIRE(chosen(scores, keep) == wanted(scores, keep));
            }
}

TEST_CASE("select: the best stand together, apart, first or last") {
    std::mt19937 engine(5);
    std::normal_distribution<float> normal;
    for (std::size_t const count : std::vector<std::size_t>{64, 100, 256, 512, 1000})
        for (std::size_t const step : std::vector<std::size_t>{1, 4, 8, 16, 32, 64})
            for (std::size_t const from : std::vector<std::size_t>{0, 3, count / 2, count - 1}) {
                std::vector<float> scores(count);
                for (float& s : scores) s = normal(engine);
                for (std::size_t i = 0; i < 16; ++i)
                    scores[(from + i * step) % count] += 10; // in few columns, or in one
                for (index_t const keep : {1, 2, 4, 5, 8, 9, 16})
                    REQUIRE(chosen(scores, keep) == wanted(scores, keep));
            }
}

TEST_CASE("select: rows of infinities") {
    float const infinity = std::numeric_limits<float>::infinity();
    for (float const all : {infinity, -infinity})
        for (index_t const keep : {1, 3, 8, 16}) {
            std::vector<float> scores(128, all);
            REQUIRE(chosen(scores, keep) == wanted(scores, keep));
            for (std::size_t i = 5; i < 128; i += 31) scores[i] = 1;
            REQUIRE(chosen(scores, keep) == wanted(scores, keep));
        }
}
