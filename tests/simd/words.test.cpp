// SPDX-License-Identifier: MIT
#include "prytany/simd/words.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

constexpr auto width = static_cast<std::size_t>(lanes);

/// A register as memory.
struct held {
    alignas(64) std::int32_t word[width];

    held() = default;
    explicit held(simd::words x) { x.store_aligned(word); }
    simd::words loaded() const { return simd::load_words(word); }
    std::int64_t pair(std::size_t i) const {
        std::int16_t all[2 * width];
        std::memcpy(all, word, sizeof all);
        return all[i];
    }
    std::int64_t byte(std::size_t i) const {
        std::int8_t all[4 * width];
        std::memcpy(all, word, sizeof all);
        return all[i];
    }
    std::int64_t unsigned_byte(std::size_t i) const { return byte(i) & 0xff; }
};
std::int16_t wrapped(std::int64_t x) {
    auto const low = static_cast<int>(x & 0xffff);
    return static_cast<std::int16_t>(low >= 0x8000 ? low - 0x10000 : low);
}

/// Registers of random words, some parts of them at the ends of their ranges.
class source {
public:
    held operator()() {
        held x;
        for (auto& w : x.word) {
            std::uint32_t all = 0;
            for (int half = 0; half < 2; ++half) {
                std::uint32_t const ends[] = {0, 1, 0xffff, 0x7fff, 0x8000, 0x8001, 0x7f80, 0x80ff};
                auto const some = static_cast<std::uint32_t>(engine_());
                all = all << 16 | (some % 3 == 0 ? ends[some / 3 % 8] : some >> 16);
            }
            std::memcpy(&w, &all, sizeof all);
        }
        return x;
    }

private:
    std::mt19937 engine_{7};
};
constexpr int rounds = 3000;

/// Whether every word is f(its number).
template <class F>
bool all_words(simd::words got, F const& f) {
    held const x(got);
    for (std::size_t i = 0; i < width; ++i)
        if (x.word[i] != f(i)) return false;
    return true;
}
template <class F>
bool all_pairs(simd::words got, F const& f) {
    held const x(got);
    for (std::size_t i = 0; i < 2 * width; ++i)
        if (x.pair(i) != f(i)) return false;
    return true;
}

} // namespace

TEST_CASE("words: the parts of a word, low end first") {
    CHECK(simd::detail::part<std::int16_t>(-2, 0) == -2);
    CHECK(simd::detail::part<std::int16_t>(0x7fff0001, 1) == 0x7fff);
    CHECK(simd::detail::part<std::int8_t>(0x00800000, 2) == -128);
    CHECK(simd::detail::part<std::uint8_t>(-1, 3) == 255);
    CHECK(simd::detail::pair(-1, 3) == 0x0003ffff);
    CHECK(simd::detail::pair(3, -1) == -65533);
    CHECK(simd::detail::pair(70000, 0) == 70000 - 65536);
    CHECK(all_words(simd::repeat(-7), [](std::size_t) { return -7; }));
}

TEST_CASE("words: products and sums of pairs") {
    source next;
    for (int round = 0; round < rounds; ++round) {
        held const a = next(), b = next();
        auto const x = a.loaded(), y = b.loaded();
        REQUIRE(all_pairs(simd::add_pairs_to(x, y),
                          [&](std::size_t i) { return wrapped(a.pair(i) + b.pair(i)); }));
        REQUIRE(all_pairs(simd::multiply_pairs(x, y),
                          [&](std::size_t i) { return wrapped(a.pair(i) * b.pair(i)); }));
        held c = a; // four times -32768 has no product
        for (auto& w : c.word)
            if (w == std::int32_t(0x80008000u)) w = 1;
        REQUIRE(all_words(simd::dot_pairs(c.loaded(), y), [&](std::size_t i) {
            return c.pair(2 * i) * b.pair(2 * i) + c.pair(2 * i + 1) * b.pair(2 * i + 1);
        }));
        REQUIRE(all_words(simd::pin(x), [&](std::size_t i) { return a.word[i]; }));
        REQUIRE(all_words(simd::add_to(x, y), [&](std::size_t i) {
            return static_cast<std::int32_t>(static_cast<std::uint32_t>(a.word[i]) +
                                             static_cast<std::uint32_t>(b.word[i]));
        }));
    }
    auto const most = simd::repeat(simd::detail::pair(32767, -32768));
    CHECK(all_words(simd::dot_pairs(most, most),
                    [](std::size_t) { return 32767 * 32767 + 32768 * 32768; }));
}

TEST_CASE("words: products of bytes, exact where the sums fit 16 bits") {
    source next;
    int compared = 0;
    for (int round = 0; round < rounds; ++round) {
        held a = next(), b = next();
        auto const sum = [&](std::size_t i) {
            return a.unsigned_byte(2 * i) * b.byte(2 * i) +
                   a.unsigned_byte(2 * i + 1) * b.byte(2 * i + 1);
        };
        for (std::size_t i = 0; i < width; ++i) // words that break the precondition are quartered
            for (std::size_t half = 0; half < 2; ++half)
                if (auto const s = sum(2 * i + half); s != wrapped(s)) {
                    auto u = static_cast<std::uint32_t>(a.word[i]);
                    a.word[i] = static_cast<std::int32_t>(u >> 2 & 0x3f3f3f3fu);
                }
        REQUIRE(all_pairs(simd::dot_bytes(a.loaded(), b.loaded()), [&](std::size_t i) {
            ++compared;
            return sum(i);
        }));
    }
    CHECK(compared == rounds * 2 * static_cast<int>(width));
    auto const dot = [](int left, int right) {
        auto const all = [](int x) {
            return static_cast<std::int32_t>(0x01010101u * (static_cast<std::uint32_t>(x) & 0xffu));
        };
        return held(simd::dot_bytes(simd::repeat(all(left)), simd::repeat(all(right)))).pair(1);
    };
    CHECK(dot(128, -128) == -32768);
    CHECK(dot(129, 127) == 32766);
    CHECK(dot(255, 1) == 510);
    CHECK(dot(255, -64) == -32640);
}

TEST_CASE("words: bytes become pairs, numbers become two of a pair") {
    source next;
    for (int round = 0; round < rounds; ++round) {
        held const a = next();
        alignas(64) std::int8_t bytes[4 * width];
        alignas(64) std::int16_t numbers[2 * width];
        std::memcpy(bytes, a.word, sizeof bytes);
        std::memcpy(numbers, a.word, sizeof numbers);
        for (std::size_t half = 0; half < 2;
             ++half) { // the second half is aligned to half a register
            REQUIRE(all_pairs(simd::widen_bytes(bytes + half * 2 * width),
                              [&](std::size_t i) { return a.byte(half * 2 * width + i); }));
            REQUIRE(all_pairs(simd::repeat_pairs(numbers + half * width),
                              [&](std::size_t i) { return a.pair(half * width + i / 2); }));
        }
        REQUIRE(all_words(simd::lower(a.loaded()), [&](std::size_t i) { return a.pair(2 * i); }));
        REQUIRE(
            all_words(simd::upper(a.loaded()), [&](std::size_t i) { return a.pair(2 * i + 1); }));
    }
}

TEST_CASE("words: bytes are looked up in a table of sixteen") {
    std::int8_t table[16];
    for (int i = 0; i < 16; ++i) table[i] = static_cast<std::int8_t>(i * 37 % 256 - 128);
    source next;
    for (int round = 0; round < rounds; ++round) {
        held a = next();
        for (auto& w : a.word) w &= 0x0f0f0f0f;
        held const got(simd::look_up(table, a.loaded()));
        for (std::size_t i = 0; i < 4 * width; ++i) REQUIRE(got.byte(i) == table[a.byte(i)]);
    }
}

TEST_CASE("words: shifts bring in zeros") {
    source next;
    auto const shifted = [](std::int32_t x, int by) {
        return static_cast<std::int32_t>(static_cast<std::uint32_t>(x) >> by);
    };
    for (int round = 0; round < rounds; ++round) {
        held const a = next();
        auto const x = a.loaded();
        REQUIRE(all_words(simd::shift_right<2>(x),
                          [&](std::size_t i) { return shifted(a.word[i], 2); }));
        REQUIRE(all_words(simd::shift_right<4>(x),
                          [&](std::size_t i) { return shifted(a.word[i], 4); }));
        REQUIRE(all_words(simd::shift_right<6>(x),
                          [&](std::size_t i) { return shifted(a.word[i], 6); }));
    }
}

TEST_CASE("words: numbers that fit are stored narrow, and nothing beside them") {
    source next;
    for (int round = 0; round < rounds; ++round) {
        held const a = next();
        std::vector<std::int16_t> pairs(width + 2, 77);
        simd::store_narrow(pairs.data() + 1, simd::lower(a.loaded()));
        std::vector<std::int8_t> bytes(width + 2, 77);
        held eight;
        for (std::size_t i = 0; i < width; ++i)
            eight.word[i] = static_cast<std::int32_t>(a.byte(3 * i + 1));
        simd::store_narrow(bytes.data() + 1, eight.loaded());
        for (std::size_t i = 0; i < width; ++i) {
            REQUIRE(pairs[i + 1] == a.pair(2 * i));
            REQUIRE(bytes[i + 1] == eight.word[i]);
        }
        REQUIRE((pairs.front() == 77 && pairs.back() == 77));
        REQUIRE((bytes.front() == 77 && bytes.back() == 77));
    }
}

TEST_CASE("words: words become floats, floats the nearest words with ties to even") {
    source next;
    for (int round = 0; round < rounds; ++round) {
        held const a = next();
        alignas(64) float got[width];
        simd::to_floats(a.loaded()).store_aligned(got);
        for (std::size_t i = 0; i < width; ++i) REQUIRE(got[i] == static_cast<float>(a.word[i]));
    }
    auto const nearest = [](float x) { return held(simd::nearest(simd::fill(x))).word[width - 1]; };
    for (int i = -70'000; i <= 70'000; ++i) {
        float const x = static_cast<float>(i) * 0.25f; // every second one a tie
        REQUIRE(nearest(x) == static_cast<int>(std::nearbyint(x)));
    }
    for (float const x : {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 4194303.0f, -4194303.0f, 4194302.5f,
                          -4194301.5f, 0.49999997f, -0.0f, 1e-40f})
        CHECK(nearest(x) == static_cast<int>(std::nearbyint(x)));
}
