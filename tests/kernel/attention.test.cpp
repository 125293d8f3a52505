// SPDX-License-Identifier: MIT
#include "prytany/kernel/attention.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "kernel/attention_held.hpp"
#include "support/catch.hpp"

using namespace prytany;
using held::at, held::causal, held::head_test, held::not_a_number;

namespace {

bool same(std::vector<float> const& got, index_t first, std::vector<float> const& wanted) {
    auto const from = got.begin() + first * static_cast<index_t>(wanted.size());
    return std::equal(wanted.begin(), wanted.end(), from);
}

// A head whose score with every query is exactly score(s), as large as it may be.
head_test with_scores(index_t size, index_t positions, index_t queries,
                      std::function<double(index_t)> const& score) {
    twin::matrix keys(at(positions), at(size)), ones(at(queries), at(size));
    for (index_t s = 0; s < positions; ++s) keys(at(s), at(size - 1)) = score(s);
    for (index_t r = 0; r < queries; ++r) ones(at(r), at(size - 1)) = 1;
    head_test t(keys, twin::normal(at(positions), at(size), 2, 1.0), ones);
    t.scale = 1;
    return t;
}

} // namespace

TEST_CASE("attention: every head size and cache length to NMSE 1e-12") {
    for (index_t const size :
         {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 80, 128, 136})
        for (index_t const positions :
             {1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100, 129, 255, 256, 257, 513, 700}) {
            index_t const count = std::min<index_t>(positions, 9), first = positions - count;
            head_test const t(size, positions, positions);
            auto const seen = causal(first, count);
            double const off = twin::nmse(t.attend(first, seen), t.exact(first, seen));
            INFO("head " << size << ", positions " << positions);
            REQUIRE(off <= 1e-12);
        }
}

TEST_CASE("attention: a whole prompt, and every number of rows together") {
    index_t const positions = 600;
    for (index_t const size : {24, 32}) {
        head_test const t(size, positions, positions);
        auto const all = causal(0, positions);
        auto const right = t.exact(0, all);
        CHECK(twin::nmse(t.attend(0, all), right) <= 1e-12);
        for (index_t count = 1; count <= 2 * kernel::attend_tile + 1; ++count) {
            auto const seen = causal(250, count);
            REQUIRE(twin::nmse(t.attend(250, seen), t.exact(250, seen)) <= 1e-12);
        }
    }
}

TEST_CASE("attention: sequences of thousands of positions, with the same scratch memory") {
    index_t const b = kernel::attend_block;
    for (index_t const size : {16, 50, 64}) {
        head_test const far(size, 6000, 9);
        std::vector<index_t> const seen{6000, 5999, 4000, 17, 1, 20 * b, 20 * b - 1, 20 * b + 1, b};
        CHECK(far.worst(0, seen) <= 1e-12);
    }
    head_test const sharp(32, 3000, 6, 3.0); // scores with a deviation of about 9
    std::vector<index_t> const all{3000, 2999, 50, 49, 2, 3000};
    CHECK(twin::nmse(sharp.attend(0, all), sharp.exact(0, all)) <= 1e-12);
}

TEST_CASE("attention: extreme scores, wherever the largest comes") {
    index_t const positions = 1000, b = kernel::attend_block;
    std::vector<index_t> const seen{1000, 999, 1, 2, b - 1, b, b + 1, 2 * b, 2 * b + 1, 517};
    auto const count = static_cast<index_t>(seen.size());
    std::function<double(index_t)> const forms[] = {
        [](index_t) { return 0.0; },
        [](index_t) { return 1e4; },
        [](index_t) { return -1e4; },
        [](index_t s) { return s % 2 == 0 ? 1e4 : -1e4; },
        [](index_t s) { return 20.0 * static_cast<double>(s) - 1e4; },      // ever higher
        [](index_t s) { return 1e4 - 20.0 * static_cast<double>(s); },      // ever lower
        [](index_t s) { return static_cast<double>(s) / 128 + 1e3; },       // slowly higher
        [](index_t s) { return 1e3 - static_cast<double>(s) / 128; },       // slowly lower
        [](index_t s) { return s == 700 ? 1e4 : -1e4; },                    // one late giant
        [](index_t s) { return s == 3 ? 1e4 : 1e4 - 100; },                 // all others vanish
        [](index_t s) { return static_cast<double>(s * 7919 % 97) - 90; }}; // any order
    for (index_t const size : {8, 33})
        for (auto const& form : forms) {
            auto const t = with_scores(size, positions, count, form);
            double const off = t.worst(0, seen);
            INFO("head " << size << ", form " << &form - forms << ": NMSE " << off);
            CHECK(off <= 1e-12);
        }
}

TEST_CASE("attention: one position gives its value, equal keys give the mean") {
    head_test const one(13, 1, 1);
    CHECK(one.attend(0, {1}) == twin::floats(one.values.row_of(0)));
    for (index_t const positions : {8, 512}) {
        twin::matrix values(at(positions), 4);
        for (index_t s = 0; s < positions; ++s)
            values.set_row(at(s), twin::row(4, static_cast<double>(s)));
        head_test const equal(twin::matrix(at(positions), 4), values, twin::normal(1, 4, 3, 1.0));
        for (float const x : equal.attend(0, {positions}))
            CHECK(x == static_cast<float>(positions - 1) / 2);
    }
}

TEST_CASE("attention: a row has the same bits in any company") {
    for (index_t const size : {5, 16, 40, 64}) {
        index_t const positions = 290, count = 61, first = positions - count;
        head_test const t(size, positions, positions);
        auto const seen = causal(first, count);
        auto const all = t.attend(first, seen);
        for (index_t group = 1; group <= count; ++group)
            for (index_t from = 0; from < count; from += group) {
                index_t const here = std::min(group, count - from);
                std::vector<index_t> const some(seen.begin() + from, seen.begin() + from + here);
                auto const got = t.attend(first + from, some);
                REQUIRE(std::equal(got.begin(), got.end(), all.begin() + from * size));
            }
    }
}

TEST_CASE("attention: neighbours that see much more or less change no bit") {
    index_t const size = 24, positions = 700;
    head_test const t(size, positions, 40);
    std::vector<std::vector<index_t>> all{{1, 150, 2, 149},
                                          {150, 1, 1, 1},
                                          {16, 17, 15, 32},
                                          {33, 33, 33, 33},
                                          {8, 9, 7, 1},
                                          {0, 0, 5},
                                          {700, 1, 255, 256, 257, 0, 512, 513}};
    std::vector<index_t> mixed;
    for (index_t r = 0; r < 40; ++r) mixed.push_back((r * 7919 + 13) % (positions + 1));
    all.push_back(mixed);
    std::reverse(mixed.begin(), mixed.end());
    all.push_back(mixed);
    std::sort(mixed.begin(), mixed.end());
    all.push_back(mixed);
    for (auto const& seen : all) {
        auto const together = t.attend(0, seen);
        for (index_t r = 0; r < static_cast<index_t>(seen.size()); ++r)
            REQUIRE(same(together, r, t.attend(r, {seen[at(r)]})));
    }
}

TEST_CASE("attention: what lies in the cache beyond `seen` changes no bit") {
    for (index_t const size : {3, 16, 33})
        for (index_t const far : {50, 290})
            for (index_t seen = far - 49; seen <= far; ++seen) {
                head_test const shorter(size, seen, 4), longer(size, far, 4);
                head_test poisoned(size, far, 4);
                std::vector<float> const bad(at(size), not_a_number),
                    huge(at(size), std::numeric_limits<float>::infinity());
                for (index_t s = seen; s < far; ++s)
                    poisoned.head.put(s, s % 2 == 0 ? bad.data() : huge.data(), bad.data());
                std::vector<index_t> const rows(4, seen), one(1, seen);
                auto const clean = longer.attend(0, rows);
                REQUIRE(twin::nmse(clean, longer.exact(0, rows)) <= 1e-12); // and it is not NaN
                REQUIRE(poisoned.attend(0, rows) == clean);
                REQUIRE(poisoned.attend(2, one) == longer.attend(2, one));
                if (seen < far) { // also when a neighbour does see it
                    auto const mixed = poisoned.attend(0, {seen, far, seen, far});
                    REQUIRE(std::equal(mixed.begin(), mixed.begin() + size, clean.begin()));
                    REQUIRE(std::equal(mixed.begin() + 2 * size, mixed.begin() + 3 * size,
                                       clean.begin() + 2 * size));
                    REQUIRE(std::isnan(mixed[at(size)]));
                }
                if (seen == far) REQUIRE(shorter.attend(0, rows) == clean);
            }
}

TEST_CASE("attention: a NaN or an infinity in one query changes no bit of its neighbours") {
    index_t const size = 20, count = 30;
    for (index_t const positions : {40, 600})
        for (double const bad :
             {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
            head_test t(size, positions, count);
            std::vector<index_t> const seen(at(count), positions);
            auto const clean = t.attend(0, seen);
            t.queries(5, 3) = t.queries(17, 0) = bad;
            auto const soiled = t.attend(0, seen);
            for (index_t i = 0; i < count * size; ++i) {
                if (i / size == 5 || i / size == 17) REQUIRE(std::isnan(soiled[at(i)]));
                else REQUIRE(soiled[at(i)] == clean[at(i)]);
            }
        }
}

TEST_CASE("attention: a row that sees nothing gets zeros, and reads no cache") {
    head_test const t(19, 60, 3);
    for (float const x : t.attend(0, {0})) CHECK(x == 0.0f);
    auto const some = t.attend(0, {60, 0, 12});
    for (index_t c = 0; c < 19; ++c) CHECK(some[at(19 + c)] == 0.0f);
    CHECK(same(some, 0, t.attend(0, {60})));
    CHECK(same(some, 2, t.attend(2, {12})));

    float const query[2] = {1, 2};
    float out[2] = {not_a_number, not_a_number};
    kernel::query_row const row{query, out, 0, not_a_number};
    std::vector<float> scratch(at(kernel::attend_scratch(2)));
    kernel::attend(&row, 1, {nullptr, nullptr, 2, held::filled(2)}, 1.0f, scratch.data());
    CHECK((out[0] == 0.0f && out[1] == 0.0f));
}

TEST_CASE("attention: the weight of a row multiplies it, and no other") {
    head_test t(33, 200, 5);
    std::vector<index_t> const seen{200, 7, 199, 150, 151};
    auto const plain = t.attend(0, seen);
    t.weights = {1.0f, 0.37f, 0.0f, -2.5f, not_a_number};
    auto const weighted = t.attend(0, seen);
    std::vector<index_t> const finite(seen.begin(), seen.begin() + 4);
    CHECK(twin::nmse(t.attend(0, finite), t.exact(0, finite)) <= 1e-12);
    for (index_t c = 0; c < 33; ++c) {
        CHECK(weighted[at(c)] == plain[at(c)]);
        CHECK(weighted[at(2 * 33 + c)] == 0.0f);
        CHECK(std::isnan(weighted[at(4 * 33 + c)]));
    }
}

TEST_CASE("attention: a scale of zero gives the mean, no query nothing") {
    head_test t(6, 40, 1);
    t.scale = 0;
    CHECK(twin::nmse(t.attend(0, {40}), t.exact(0, {40})) <= 1e-12);
    kernel::attend(nullptr, 0, {}, 1.0f, nullptr);
}
