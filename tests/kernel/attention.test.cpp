// SPDX-License-Identifier: MIT
#include "prytany/kernel/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
index_t filled(index_t n) { return (n + lanes - 1) / lanes * lanes; }

// A head with its cache in memory that ends at forbidden pages. What was never put is NaN.
struct head_test {
    index_t size, positions;
    twin::matrix keys, values, queries;
    twin::guarded<float> key_memory, value_memory;
    kernel::cached_head head;

    head_test(index_t head_size, index_t position_count, index_t query_count, double scale = 1)
        : size(head_size), positions(position_count),
          keys(twin::normal(at(positions), at(size), 1, scale)),
          values(twin::normal(at(positions), at(size), 2, 1.0)),
          queries(twin::normal(at(query_count), at(size), 3, scale)),
          key_memory(filled(positions) * size, twin::edge::back, not_a_number),
          value_memory(positions * filled(size), twin::edge::back, not_a_number),
          head{key_memory.data(), value_memory.data(), size, filled(size)} {
        for (index_t s = positions; s-- > 0;) { // in any order
            auto const k = twin::floats(keys.row_of(at(s))), v = twin::floats(values.row_of(at(s)));
            head.put(s, k.data(), v.data());
        }
    }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(size)); }

    // The outputs of queries first … first + seen.size() - 1, queries, outputs and scores guarded.
    std::vector<float> attend(index_t first, std::vector<index_t> const& seen) const {
        auto const count = static_cast<index_t>(seen.size());
        twin::guarded<float> in(count * size), out(count * size, twin::edge::back, not_a_number);
        std::vector<float const*> query;
        std::vector<float*> to;
        for (index_t r = 0; r < count; ++r) {
            for (index_t c = 0; c < size; ++c)
                in[r * size + c] = static_cast<float>(queries(at(first + r), at(c)));
            query.push_back(in.data() + r * size);
            to.push_back(out.data() + r * size);
        }
        index_t const longest = filled(*std::max_element(seen.begin(), seen.end()));
        twin::guarded<float> scores(kernel::attend_together * longest, twin::edge::back,
                                    not_a_number);
        kernel::attend(query.data(), seen.data(), count, head, scale(), to.data(),
                       {scores.data(), kernel::attend_together, longest});
        return out.all();
    }
    twin::row exact(index_t first, std::vector<index_t> const& seen) const {
        twin::row all;
        for (std::size_t r = 0; r < seen.size(); ++r) {
            auto const one = twin::attention(queries.row_of(at(first) + r), keys, values,
                                             at(seen[r]), static_cast<double>(scale()));
            all.insert(all.end(), one.begin(), one.end());
        }
        return all;
    }
};

std::vector<index_t> causal(index_t first, index_t count) {
    std::vector<index_t> seen(at(count));
    std::iota(seen.begin(), seen.end(), first + 1);
    return seen;
}

} // namespace

TEST_CASE("attention: every head size and cache length to NMSE 1e-12") {
    for (index_t const size :
         {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 80, 128})
        for (index_t const positions : {1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100, 257}) {
            index_t const count = std::min<index_t>(positions, 9), first = positions - count;
            head_test const t(size, positions, positions);
            auto const seen = causal(first, count);
            double const off = twin::nmse(t.attend(first, seen), t.exact(first, seen));
            INFO("head " << size << ", positions " << positions);
            REQUIRE(off <= 1e-12);
        }
}

TEST_CASE("attention: a long cache, and scores far apart") {
    head_test const far(64, 5000, 5);
    std::vector<index_t> const seen{5000, 4999, 4000, 17, 1};
    CHECK(twin::nmse(far.attend(0, seen), far.exact(0, seen)) <= 1e-12);
    head_test const sharp(32, 200, 6, 3.0); // scores with a deviation of about 9
    std::vector<index_t> const all{200, 199, 50, 49, 2, 200};
    CHECK(twin::nmse(sharp.attend(0, all), sharp.exact(0, all)) <= 1e-12);
}

TEST_CASE("attention: a row has the same bits in any company") {
    for (index_t const size : {5, 16, 40, 64}) {
        index_t const positions = 77, count = 23, first = positions - count;
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
    head_test const t(24, 150, 4);
    for (auto const& seen : std::vector<std::vector<index_t>>{
             {1, 150, 2, 149}, {150, 1, 1, 1}, {16, 17, 15, 32}, {33, 33, 33, 33}, {8, 9, 7, 1}}) {
        auto const together = t.attend(0, seen);
        for (index_t r = 0; r < 4; ++r) {
            auto const alone = t.attend(r, {seen[at(r)]});
            REQUIRE(std::equal(alone.begin(), alone.end(), together.begin() + r * 24));
        }
    }
}

TEST_CASE("attention: what lies in the cache beyond `seen` changes no bit") {
    for (index_t const size : {3, 16, 33})
        for (index_t seen = 1; seen <= 50; ++seen) {
            head_test const shorter(size, seen, 4), longer(size, 50, 4);
            head_test poisoned(size, 50, 4);
            std::vector<float> const bad(at(size), not_a_number),
                huge(at(size), std::numeric_limits<float>::infinity());
            for (index_t s = seen; s < 50; ++s)
                poisoned.head.put(s, s % 2 == 0 ? bad.data() : huge.data(), bad.data());
            std::vector<index_t> const rows(4, seen), one(1, seen);
            auto const clean = longer.attend(0, rows);
            REQUIRE(twin::nmse(clean, longer.exact(0, rows)) <= 1e-12); // and it is not NaN
            REQUIRE(poisoned.attend(0, rows) == clean);
            REQUIRE(poisoned.attend(2, one) == longer.attend(2, one));
            if (seen < 50) { // also when a neighbour does see it
                auto const mixed = poisoned.attend(0, {seen, 50, seen, 50});
                REQUIRE(std::equal(mixed.begin(), mixed.begin() + size, clean.begin()));
                REQUIRE(std::equal(mixed.begin() + 2 * size, mixed.begin() + 3 * size,
                                   clean.begin() + 2 * size));
                REQUIRE(std::isnan(mixed[at(size)]));
            }
            if (seen == 50) REQUIRE(shorter.attend(0, rows) == clean);
        }
}

TEST_CASE("attention: a NaN query changes no bit of its neighbours") {
    head_test t(20, 40, 8);
    std::vector<index_t> const seen(8, 40);
    auto const clean = t.attend(0, seen);
    t.queries(5, 3) = std::numeric_limits<double>::quiet_NaN();
    auto const soiled = t.attend(0, seen);
    for (std::size_t i = 0; i < soiled.size(); ++i) {
        if (i / 20 == 5) REQUIRE(std::isnan(soiled[i]));
        else REQUIRE(soiled[i] == clean[i]);
    }
}

TEST_CASE("attention: one position gives its value, equal keys give the mean") {
    head_test const t(13, 1, 1);
    CHECK(t.attend(0, {1}) == twin::floats(t.values.row_of(0)));
    head_test equal(4, 8, 1);
    std::vector<float> const key(4, 0.5f);
    for (index_t s = 0; s < 8; ++s) {
        std::vector<float> const value(4, static_cast<float>(s));
        equal.head.put(s, key.data(), value.data());
    }
    for (float const x : equal.attend(0, {8})) CHECK(x == 3.5f);
}

TEST_CASE("attention: no query, nothing happens") {
    kernel::attend(nullptr, nullptr, 0, {}, 1.0f, nullptr, {});
    SUCCEED();
}

TEST_CASE("attention: put writes the stated places") {
    index_t const size = 5, positions = 3 * lanes + 1;
    head_test const t(size, positions, 1);
    for (index_t s = 0; s < positions; ++s)
        for (index_t c = 0; c < size; ++c) {
            REQUIRE(t.head.keys[s / lanes * lanes * size + c * lanes + s % lanes] ==
                    static_cast<float>(t.keys(at(s), at(c))));
            REQUIRE(t.head.values[s * t.head.value_stride + c] ==
                    static_cast<float>(t.values(at(s), at(c))));
        }
}
