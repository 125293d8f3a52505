// SPDX-License-Identifier: MIT
#include "prytany/core/arena.hpp"

#include <cstdint>
#include <random>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

// A random layout that depends on the seed alone, and the extent of every piece.
struct piece {
    std::byte const* first;
    std::byte const* last;
};
std::vector<piece> lay_out(arena& memory, unsigned seed) {
    std::mt19937 engine(seed);
    std::vector<piece> all;
    auto const keep = [&](auto const* first, index_t count) {
        auto const* const last = first == nullptr ? nullptr : first + count; // while counting only
        all.push_back(
            {reinterpret_cast<std::byte const*>(first), reinterpret_cast<std::byte const*>(last)});
    };
    for (int i = 0; i < 40; ++i) {
        auto const count = static_cast<index_t>(engine() % 200);
        switch (engine() % 4) {
        case 0:
            keep(memory.take<float>(count).data(), count);
            break;
        case 1:
            keep(memory.take<std::uint8_t>(count).data(), count);
            break;
        case 2:
            keep(memory.take<index_t>(count).data(), count);
            break;
        default: {
            auto const rows = static_cast<index_t>(engine() % 7);
            auto const m = memory.take<float>(rows, count);
            keep(m.data, rows * m.stride);
        }
        }
    }
    return all;
}

} // namespace

TEST_CASE("arena: what is counted is what is used, and no two pieces share a cache line") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        arena count;
        (void)lay_out(count, seed);
        REQUIRE(count.counts_only());

        buffer<std::byte> block(count.used());
        arena memory(block.data());
        REQUIRE(!memory.counts_only());
        auto const pieces = lay_out(memory, seed);
        REQUIRE(memory.used() == count.used());
        std::byte const* end = block.data();
        for (auto const& p : pieces) {
            REQUIRE(reinterpret_cast<std::uintptr_t>(p.first) % 64 == 0);
            REQUIRE(p.first >= end);
            end = p.last;
        }
        REQUIRE(end <= block.data() + block.size());
    }
}

TEST_CASE("arena: without memory every piece is empty, but sizes are kept") {
    arena count;
    CHECK(count.used() == 0);
    CHECK(count.take<float>(17).empty());
    CHECK(count.used() == 128);
    auto const m = count.take<float>(3, 5);
    CHECK(m.data == nullptr);
    CHECK(m.rows == 3);
    CHECK(m.cols == 5);
    CHECK(count.take<float>(0).empty());
}

TEST_CASE("arena: rows are padded one cache line more than they need") {
    arena count;
    for (index_t cols = 1; cols < 200; ++cols) {
        auto const f = count.take<float>(2, cols);
        CHECK(f.stride == (cols + 15) / 16 * 16 + 16);
        auto const d = count.take<double>(2, cols);
        CHECK(d.stride == (cols + 7) / 8 * 8 + 8);
    }
}

TEST_CASE("arena: pieces have the asked size") {
    buffer<std::byte> block(4096);
    arena memory(block.data());
    CHECK(memory.take<float>(33).size() == 33);
    CHECK(memory.used() == 192);
    CHECK(memory.take<std::uint8_t>(1).size() == 1);
    CHECK(memory.used() == 256);
}
