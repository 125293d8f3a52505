// SPDX-License-Identifier: MIT
#include "prytany/kernel/rounded.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

constexpr auto bytes = activations::int8;
constexpr auto pairs = activations::int16;
std::vector<index_t> const widths{1,  2,  3,   7,   8,   9,   15,  31,  32,  33,   63,  64,
                                  65, 96, 100, 127, 128, 129, 511, 512, 513, 1000, 1025};

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

/// One row, written into soiled memory that ends where it may end; read from a guarded page.
template <auto Format>
struct written {
    using row = kernel::rounded_row<Format>;
    using element = typename row::element;
    index_t cols;
    buffer<element> memory;

    explicit written(std::vector<float> const& x)
        : cols(static_cast<index_t>(x.size())), memory(row::stride(cols)) {
        std::memset(memory.data(), 0xa5, at(memory.size()) * sizeof(element));
        twin::guarded<float> const from(x, twin::edge::back);
        row::write(from.data(), cols, memory.data());
    }
    int code(index_t k) const { return memory[k]; }
    float scale() const { return row::scale(memory.data(), cols); }
};

/// The sum of the codes of inputs 2 · half, 2 · half + 1 of every four of a chunk, times -offset.
template <auto Format>
bool sums_are_right(written<Format> const& got, index_t chunk, int offset) {
    using row = kernel::rounded_row<Format>;
    index_t const depth = row::layout.depth(got.cols);
    auto const* const sums = row::sums(got.memory.data(), got.cols);
    for (index_t c = 0; c * chunk < depth; ++c) {
        int sum[2] = {};
        for (index_t k = c * chunk; k < std::min(depth, (c + 1) * chunk); ++k)
            sum[k % 4 / 2] += got.code(k);
        for (std::size_t half = 0; half < 2; ++half)
            if (simd::detail::part<std::int16_t>(sums[c], half) != -offset * sum[half])
                return false;
    }
    return true;
}

/// The formula, its bound, zeros beyond the row, the sums.
template <auto Format>
void follows(int most, index_t chunk, int offset) {
    using row = kernel::rounded_row<Format>;
    STATIC_REQUIRE(row::most == (Format.activations == pairs ? 32767 : 127));
    int others = 0, all = 0;
    for (double const size : {1e-26, 1e-10, 1.0, 12345.0, 1e30, 1e37})
        for (index_t const cols : widths) {
            CAPTURE(size, cols);
            auto x = twin::floats(twin::normal(at(cols), at(cols), size));
            if (cols % 3 == 0) x[at(cols / 2)] *= 10;
            written<Format> const got(x);
            double largest = 0;
            for (float const v : x) largest = std::max(largest, std::abs(static_cast<double>(v)));
            double const s = largest / most;
            REQUIRE(static_cast<double>(got.scale()) == Approx(s).epsilon(1e-7));
            for (index_t k = 0; k < cols; ++k) {
                auto const v = static_cast<double>(x[at(k)]);
                auto const seen = got.code(k) * static_cast<double>(got.scale());
                REQUIRE(std::abs(got.code(k)) <= most);
                REQUIRE(std::abs(seen - v) <= s / 2 + 2e-7 * std::abs(v));
                others += got.code(k) != static_cast<int>(std::nearbyint(v / s));
                ++all;
            }
            for (index_t k = cols; k < row::layout.depth(cols); ++k) REQUIRE(got.code(k) == 0);
            if constexpr (row::sums_chunks) REQUIRE(sums_are_right(got, chunk, offset));

            std::vector<float> ends(x.size(), x[0]); // the largest sums there are
            written<Format> const same(ends);
            REQUIRE(std::abs(same.code(cols - 1)) == most);
            if constexpr (row::sums_chunks) REQUIRE(sums_are_right(same, chunk, offset));
        }
    CHECK(others <= all / 100); // ties, almost
}

/// What is too small is zero, what is not finite makes the scale NaN; both have codes of zero.
template <auto Format>
void special() {
    using row = kernel::rounded_row<Format>;
    auto const all_zero = [](written<Format> const& got) {
        for (index_t k = 0; k < row::layout.depth(got.cols); ++k)
            if (got.code(k) != 0) return false;
        if constexpr (row::sums_chunks)
            if (*row::sums(got.memory.data(), got.cols) != 0) return false;
        return true;
    };
    for (index_t const cols : widths)
        for (index_t const place : {index_t{0}, cols / 2, cols - 1}) {
            std::vector<float> x(at(cols));
            for (float const tiny : {0.0f, -0.0f, 9.9e-31f, -1e-38f, 1e-45f}) {
                x[at(place)] = tiny;
                written<Format> const got(x);
                REQUIRE(got.scale() == 0);
                REQUIRE(all_zero(got));
            }
            x[at(cols / 3)] = 1;
            for (float const soil : {INFINITY, -INFINITY, NAN, -NAN}) {
                x[at(place)] = soil;
                written<Format> const got(x);
                REQUIRE(std::isnan(got.scale()));
                REQUIRE(all_zero(got));
            }
            x[at(place)] = -std::numeric_limits<float>::max();
            written<Format> const got(x);
            REQUIRE(std::isfinite(got.scale()));
            REQUIRE(got.code(place) == -row::most);
        }
}

/// Rows lie whole cache lines apart, with room for all they carry.
template <auto Format>
void strides(index_t sums_each) {
    using row = kernel::rounded_row<Format>;
    constexpr index_t size = sizeof(typename row::element);
    for (index_t cols = 1; cols < 1200; ++cols) {
        index_t const depth = row::layout.depth(cols);
        index_t const sums = sums_each > 0 ? (depth + sums_each - 1) / sums_each : 0;
        REQUIRE(row::stride(cols) * size % 64 == 0);
        REQUIRE(row::stride(cols) * size >= depth * size + 4 * sums + 4);
        REQUIRE(kernel::read_stride<Format>(cols) == row::stride(cols));
    }
}

} // namespace

TEST_CASE("rounded: codes, scales and sums are those of the formula, at most half a step off") {
    follows<int8_rows{.activations = pairs}>(32767, 0, 0);
    follows<int8_rows{.activations = bytes}>(127, 0, 0);
    follows<int8_blocks{.size = 64, .activations = pairs}>(32767, 0, 0);
    follows<int4_blocks{.activations = bytes}>(127, 32, 8);
    follows<int4_blocks{.size = 128, .activations = bytes}>(127, 64, 8);
    follows<int4_blocks{.size = 64, .zero_point = true, .activations = bytes}>(127, 32, 1);
    follows<ternary{.activations = bytes}>(127, 512, 1);
    follows<mxfp4{.activations = bytes}>(127, 32, 12);
}

TEST_CASE("rounded: rows that are tiny, and rows that are not finite") {
    special<int8_rows{.activations = pairs}>();
    special<int4_blocks{.activations = bytes}>();
    special<ternary{.activations = bytes}>();
}

TEST_CASE("rounded: how far rows lie apart") {
    strides<int8_rows{.activations = pairs}>(0);
    strides<int8_blocks{.size = 128, .activations = bytes}>(0);
    strides<int4_blocks{.activations = bytes}>(32);
    strides<ternary{.activations = bytes}>(512);
    strides<mxfp4{.activations = bytes}>(32);
    CHECK(kernel::read_stride<dense<bf16>{}>(37) == 48 + 16);
    CHECK(kernel::read_stride<mxfp4{}>(32) == 32 + 16);
}

TEST_CASE("rounded: picked rows are rounded in the order of the pick; floats lie where they lay") {
    constexpr mxfp4 format{.activations = bytes};
    index_t const cols = 45, stride = 50;
    auto const x = twin::floats(twin::normal(at(6 * stride), 3));
    std::vector<std::int32_t> const pick{5, 0, 5, 2};
    kernel::picked_rows const from{x.data(), stride, pick.data()};
    buffer<std::int8_t> memory(4 * kernel::read_stride<format>(cols));
    auto const got = kernel::as_read<format>(from, 4, cols, memory.data());
    CHECK(got.pick == nullptr);
    CHECK(got.base == memory.data());
    for (index_t i = 0; i < 4; ++i) {
        float const* const row = x.data() + pick[at(i)] * stride;
        written<format> const alone(std::vector<float>(row, row + cols));
        index_t const used = kernel::rounded_row<format>::layout.depth(cols) + 2 * 4 + 4;
        CHECK(std::memcmp(got[i], alone.memory.data(), at(used)) == 0);
    }
    auto const same = kernel::as_read<mxfp4{}>(from, 4, cols, nullptr);
    CHECK(same.base == from.base);
    CHECK(same.pick == from.pick);
    CHECK(same.stride == from.stride);
}
