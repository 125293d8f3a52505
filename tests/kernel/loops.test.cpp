// SPDX-License-Identifier: MIT
#include "prytany/kernel/loops.hpp"

#include <algorithm>

#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "prytany/kernel/gemm.hpp" // the tiles
#include "support/catch.hpp"

using namespace prytany;

namespace {

/// What the walk over tiles needs of any loop.
template <auto Format>
void walks() {
    using tile = kernel::detail::micro_kernel<Format>;
    constexpr index_t most = tile::most_rows, sums = 128;
    for (index_t rows = 1; rows <= 200; ++rows) {
        CAPTURE(rows);
        kernel::loop const how = kernel::loop_of<Format>(rows);
        REQUIRE((how.panels == 1 || how.panels == 2 || how.panels == 4));
        auto const tall = kernel::detail::most_rows<Format>(static_cast<std::size_t>(how.panels));
        REQUIRE(how.rows >= 1);
        REQUIRE(how.rows <= tall); // registers for the sums of a tile
        REQUIRE(how.together >= how.panels);
        REQUIRE(how.together % how.panels == 0);
        REQUIRE(how.inputs > 0);
        REQUIRE(how.ahead >= 0);
        if (rows <= 96) REQUIRE(how.together * rows <= sums);
    }
    for (index_t cols = 1; cols < 100'000; cols = cols * 3 / 2 + 1)
        for (index_t rows = 1; rows < 10'000; rows = rows * 3 / 2 + 1) {
            index_t const group = kernel::group_of<Format>(cols, rows);
            CAPTURE(cols, rows, group);
            REQUIRE(group % most == 0);
            REQUIRE(group >= most);
            REQUIRE(group <= 96);
            REQUIRE(kernel::loop_of<Format>(std::min(rows, group)).together * group <= sums);
            index_t const groups = (rows + group - 1) / group; // as even as tiles allow
            REQUIRE(group <= (rows + groups - 1) / groups + most);
        }
}

} // namespace

TEST_CASE("loops: tiles fit registers, groups are even, sums fit their room") {
    constexpr auto pairs = activations::int16, bytes = activations::int8;
    walks<dense<float>{}>();
    walks<dense<bf16>{}>();
    walks<dense<f16>{}>();
    walks<int8_rows{}>();
    walks<int8_rows{.activations = pairs}>();
    walks<int8_rows{.activations = bytes}>();
    walks<int8_blocks{}>();
    walks<int8_blocks{.size = 128}>();
    walks<int8_blocks{.activations = pairs}>();
    walks<int8_blocks{.size = 64, .activations = bytes}>();
    walks<int4_blocks{}>();
    walks<int4_blocks{.size = 128, .zero_point = true}>();
    walks<int4_blocks{.activations = bytes}>();
    walks<int4_blocks{.size = 64, .zero_point = true, .activations = bytes}>();
    walks<int4_blocks{.size = 128, .activations = bytes}>();
    walks<ternary{}>();
    walks<ternary{.activations = bytes}>();
    walks<mxfp4{}>();
    walks<mxfp4{.activations = bytes}>();
}

TEST_CASE("loops: one row takes four panels at once") {
    CHECK(kernel::loop_of<dense<float>{}>(1).panels == 4);
    CHECK(kernel::loop_of<mxfp4{}>(1).panels == 4);
    CHECK(kernel::loop_of<dense<float>{}>(2).together > 1);
    CHECK(kernel::loop_of<dense<bf16>{}>(64).together == 1);
}
