// SPDX-License-Identifier: MIT
#include "prytany/core/buffer.hpp"

#include <cstdint>
#include <limits>
#include <new>
#include <utility>

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

TEST_CASE("buffer: from 2 MiB on it starts at a huge page") {
    index_t const huge = index_t{1} << 21;
    buffer<std::uint8_t> large(huge + 1);
    CHECK(reinterpret_cast<std::uintptr_t>(large.data()) % static_cast<std::uintptr_t>(huge) == 0);
    CHECK(all_zero(large));
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
