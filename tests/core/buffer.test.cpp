// SPDX-License-Identifier: MIT
#include "prytany/core/buffer.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

template <class T>
bool all_zero(buffer<T> const& b) {
    for (index_t i = 0; i < b.size(); ++i)
        if (b[i] != T{}) return false;
    return true;
}

} // namespace

TEST_CASE("buffer: aligned to 64 bytes and zero, whatever was there before") {
    for (int round = 0; round < 3; ++round) {
        for (index_t size : {1, 2, 15, 16, 17, 1000, 4097, (1 << 19) - 1, 1 << 19, (1 << 19) + 1}) {
            buffer<float> b(size);
            REQUIRE(b.size() == size);
            REQUIRE(reinterpret_cast<std::uintptr_t>(b.data()) % 64 == 0);
            REQUIRE(all_zero(b));
            for (index_t i = 0; i < size; ++i) b[i] = -1.0f; // soils what the next one may get
        }
    }
    buffer<std::uint8_t> odd(3);
    CHECK(reinterpret_cast<std::uintptr_t>(odd.data()) % 64 == 0);
}

TEST_CASE("buffer: above 8 MiB it starts at a huge page of its own") {
    index_t const huge = index_t{1} << 21;
    buffer<std::uint8_t> large(4 * huge + 1);
    CHECK(reinterpret_cast<std::uintptr_t>(large.data()) % static_cast<std::uintptr_t>(huge) == 0);
    CHECK(all_zero(large));
}

TEST_CASE("buffer: arrays of 64 KiB to 8 MiB share slabs of 32 MiB, freed with the last") {
    constexpr std::uintptr_t slab = std::uintptr_t{1} << 25, line = 64;
    constexpr index_t least = index_t{1} << 16, most = index_t{1} << 23;
    auto const address = [](buffer<std::uint8_t> const& b) {
        return reinterpret_cast<std::uintptr_t>(b.data());
    };
    for (int round = 0; round < 3; ++round) {
        std::vector<buffer<std::uint8_t>> all;
        std::vector<index_t> const sizes{least,     least + 1, 3 * least + 63, most,
                                         most - 65, least,     most,           most / 2};
        for (int again = 0; again < 4; ++again)
            for (index_t const size : sizes) {
                all.emplace_back(size);
                REQUIRE(all_zero(all.back()));
                REQUIRE(address(all.back()) % line == 0);
                std::memset(all.back().data(),
                            static_cast<int>(all.size()), // soils what comes next
                            static_cast<std::size_t>(size));
            }
        std::set<std::uintptr_t> slabs;
        std::vector<std::pair<std::uintptr_t, std::uintptr_t>> places;
        for (auto const& b : all) {
            auto const size = static_cast<std::uintptr_t>(b.size());
            slabs.insert(address(b) / slab);
            REQUIRE(address(b) % slab >= line); // where the slab counts
            REQUIRE(address(b) % slab + size <= slab);
            places.emplace_back(address(b), address(b) + size);
        }
        CHECK(slabs.size() <=
              6); // 4 times less than 30 MiB, an array that does not fit opens another
        CHECK(slabs.size() >= 4);
        std::sort(places.begin(), places.end());
        for (std::size_t i = 1; i < places.size(); ++i)
            REQUIRE(places[i - 1].second <= places[i].first);
        for (std::size_t i = 0; i < all.size(); i += 2)
            all[i] = {}; // the others keep what they hold
        for (std::size_t i = 1; i < all.size(); i += 2)
            for (index_t const at : {index_t{0}, all[i].size() / 2, all[i].size() - 1})
                REQUIRE(all[i][at] == static_cast<std::uint8_t>(i + 1));
        all.erase(all.begin() + 3, all.begin() + 9);
        for (auto const& b : all)
            if (b.size() > 0) REQUIRE(b[0] == b[b.size() - 1]);
    }
    // one byte less or more lies elsewhere, and is as good
    buffer<std::uint8_t> small(least - 1), large(most + 1);
    CHECK(all_zero(small));
    CHECK(all_zero(large));
}

TEST_CASE("buffer: an emptied slab is given back, a new one serves") {
    for (int round = 0; round < 50; ++round) { // 50 slabs of 32 MiB, were they kept
        buffer<float> a(1 << 20), b(1 << 20);
        REQUIRE(all_zero(b));
        a[0] = b[(1 << 20) - 1] = 7;
        buffer<float> const c(a);
        a = {};
        REQUIRE(c[0] == 7);
        REQUIRE(b[(1 << 20) - 1] == 7);
    }
}

TEST_CASE("buffer: arrays in slabs are copied deep and moved") {
    buffer<int> a(100'000);
    for (index_t i = 0; i < a.size(); ++i) a[i] = static_cast<int>(i);
    buffer<int> b(a);
    int const* const held = a.data();
    b[99'999] = -1;
    CHECK(a[99'999] == 99'999);
    a = std::move(b);
    CHECK(a[99'999] == -1);
    CHECK(a.data() != held);
    b = a;
    a = {};
    CHECK(b[99'998] == 99'998);
}

TEST_CASE("buffer: threads allocate and free at the same time") {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&wrong, t] {
            std::vector<buffer<int>> held(6);
            for (int i = 0; i < 300; ++i) {
                auto& one = held[static_cast<std::size_t>(i % 6)];
                for (index_t const at : {index_t{0}, one.size() - 1})
                    if (one.size() > 0 && one[at] != 1000 * t + i - 6) ++wrong;
                index_t const size = (1 << 14) + (i * 7919 + t * 104'729) % (1 << 16);
                one = buffer<int>(size);
                if (one[0] != 0 || one[size / 2] != 0 || one[size - 1] != 0) ++wrong;
                one[0] = one[size - 1] = 1000 * t + i;
            }
            if (t % 2 == 0) held.erase(held.begin(), held.begin() + 3);
        });
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("buffer: no elements, no memory") {
    buffer<float> none, zero(0), negative(-4);
    CHECK(none.data() == nullptr);
    CHECK(zero.data() == nullptr);
    CHECK(zero.size() == 0);
    CHECK(negative.data() == nullptr);
    buffer<float> copy(zero); // NOLINT: the copy is the test
    CHECK(copy.size() == 0);
}

TEST_CASE("buffer: copies are deep, moves leave nothing behind") {
    buffer<int> a(100);
    for (index_t i = 0; i < 100; ++i) a[i] = static_cast<int>(i);
    buffer<int> b(a);
    REQUIRE(b.data() != a.data());
    b[7] = -1;
    CHECK(a[7] == 7);
    CHECK(b[8] == 8);

    int const* const held = a.data();
    buffer<int> c(std::move(a));
    CHECK(c.data() == held);
    CHECK(a.data() == nullptr); // NOLINT: what a moved-from buffer is, is the test
    CHECK(a.size() == 0);

    b = c;
    CHECK(b[7] == 7);
    CHECK(b.data() != c.data());
    buffer<int>& same = b;
    b = same;
    CHECK(b.size() == 100);
    CHECK(b[99] == 99);
    b = std::move(c);
    CHECK(b.data() == held);
    b = buffer<int>();
    CHECK(b.size() == 0);
}

TEST_CASE("buffer: a size no memory has is std::bad_alloc") {
    index_t const most = std::numeric_limits<index_t>::max();
    CHECK_THROWS_AS(buffer<float>(most), std::bad_alloc);
    CHECK_THROWS_AS(buffer<double>(most / 8 + 1), std::bad_alloc);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK_THROWS_AS(buffer<std::uint8_t>(most / 4), std::bad_alloc);
#endif
}
