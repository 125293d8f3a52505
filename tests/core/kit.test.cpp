// SPDX-License-Identifier: MIT
#include "prytany/core/kit.hpp"

#include <span>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

struct bare {};
struct full {
    int k = 1;
    struct params {
        float temperature = 2;
    };
    struct weights {
        int bias = 3;
    };
    struct scratch {
        std::span<float> scores;
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            scores = memory.take<float>(size.experts * tokens);
        }
    };
};
// Owns numbers of its own and says nothing of weights and memory.
template <class R>
struct around {
    R router;
    struct params {
        params_of<R> router{};
        int noise = 5;
    };
};
// Says nothing of anything: all is its router's.
template <class R>
struct thin {
    R router;
};
// Takes memory of its own beside its router's.
template <class R>
struct thick {
    R router;
    struct scratch {
        scratch_of<R> router{};
        std::span<double> own;
        void lay_out(arena& memory, shape const&, index_t tokens) {
            own = memory.take<double>(tokens);
        }
    };
};

} // namespace

TEST_CASE("kit: what a policy does not own is nothing") {
    STATIC_REQUIRE(std::is_same_v<params_of<bare>, nothing>);
    STATIC_REQUIRE(std::is_same_v<weights_of<bare>, nothing>);
    STATIC_REQUIRE(std::is_same_v<scratch_of<bare>, nothing>);
    STATIC_REQUIRE(std::is_same_v<params_of<full>, full::params>);
    STATIC_REQUIRE(std::is_same_v<weights_of<full>, full::weights>);
    STATIC_REQUIRE(std::is_same_v<scratch_of<full>, full::scratch>);
    STATIC_REQUIRE(!wraps_router<bare>);
    STATIC_REQUIRE(!wraps_router<full>);
    STATIC_REQUIRE(wraps_router<thin<full>>);
}

TEST_CASE("kit: what a wrapper leaves out is its inner router's, under the name router") {
    using twice = around<thin<full>>;
    STATIC_REQUIRE(std::is_same_v<decltype(params_of<thin<full>>::router), full::params>);
    STATIC_REQUIRE(std::is_same_v<params_of<twice>, twice::params>);
    STATIC_REQUIRE(std::is_same_v<decltype(weights_of<twice>::router.router), full::weights>);
    STATIC_REQUIRE(sizeof(weights_of<thin<thin<thin<full>>>>) == sizeof(full::weights));
    STATIC_REQUIRE(std::is_empty_v<weights_of<thin<bare>>>);

    params_of<twice> params;
    CHECK(params.noise == 5);
    CHECK(params.router.router.temperature == 2);
}

TEST_CASE("kit: a wrapper hands on the same objects, one role deeper") {
    using policy = around<thin<full>>;
    constexpr policy my{{{.k = 7}}};
    params_of<policy> params;
    weights_of<policy> weights;
    scratch_of<policy> scratch;
    kit<my> const own{params, weights, scratch};
    STATIC_REQUIRE(std::is_same_v<decltype(own)::policy, policy>);
    auto const inner = own.router();
    STATIC_REQUIRE(std::is_same_v<decltype(inner)::policy, thin<full>>);
    auto const innermost = inner.router();
    STATIC_REQUIRE(std::is_same_v<decltype(innermost)::policy, full>);
    CHECK(&innermost.params == &params.router.router);
    CHECK(&innermost.weights == &weights.router.router);
    CHECK(&innermost.scratch == &scratch.router.router);
    STATIC_REQUIRE(std::is_same_v<std::remove_const_t<decltype(innermost)>, kit<full{.k = 7}>>);
}

TEST_CASE("kit: memory is taken for a policy and for all it wraps") {
    shape const size{.experts = 6};
    auto const lay_out = [&](arena& memory, scratch_of<around<thick<thin<full>>>>& scratch) {
        lay_out_scratch(around<thick<thin<full>>>{}, scratch, memory, size, 5);
    };
    scratch_of<around<thick<thin<full>>>> scratch;
    arena count;
    lay_out(count, scratch);
    CHECK(count.used() == 64 + 128); // 5 doubles, 30 floats

    std::vector<std::byte> block(static_cast<std::size_t>(count.used()) + 64);
    arena memory(block.data());
    lay_out(memory, scratch);
    CHECK(memory.used() == count.used());
    CHECK(scratch.router.own.size() == 5);
    CHECK(scratch.router.router.router.scores.size() == 30);

    arena of_workers;
    CHECK(take_scratch(thick<full>{}, of_workers, size, 5, 3).empty());
    std::vector<std::byte> more(static_cast<std::size_t>(of_workers.used()) + 64);
    arena real(more.data());
    auto const each = take_scratch(thick<full>{}, real, size, 5, 3);
    CHECK(real.used() == of_workers.used());
    REQUIRE(each.size() == 3);
    for (auto const& own : each) CHECK(own.own.size() == 5);
    CHECK(each[1].own.data() != each[2].own.data());
    CHECK(each[2].router.scores.size() == 30);

    nothing none;
    arena untouched;
    lay_out_scratch(bare{}, none, untouched, size, 5);
    CHECK(untouched.used() == 0);
}
