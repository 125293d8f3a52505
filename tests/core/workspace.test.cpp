// SPDX-License-Identifier: MIT
#include "prytany/core/workspace.hpp"

#include <cstdint>
#include <span>

#include "support/catch.hpp"

using namespace prytany;

namespace {

struct workers {
    index_t count;
    index_t width() const { return count; }
};
// What the workspace needs of a layer.
struct layer {
    struct scratch {
        matrix_view<float> rows;
        prytany::plan plan;
    };
    index_t model = 24, experts = 5;

    void lay_out(scratch& own, arena& memory, index_t tokens, index_t width) const {
        own.plan.lay_out(memory, tokens, 2, experts);
        own.rows = memory.take<float>(tokens * width, model);
    }
};

index_t needed(layer const& l, index_t tokens, index_t width) {
    arena count;
    layer::scratch own;
    l.lay_out(own, count, tokens, width);
    return count.used();
}

} // namespace

TEST_CASE("workspace: reserves exactly what the layer lays out, for every worker") {
    layer const l;
    for (index_t tokens : {0, 1, 7, 100})
        for (index_t width : {1, 2, 8}) {
            workspace ws;
            CHECK(ws.bytes() == 0);
            ws.reserve(l, tokens, workers{width});
            REQUIRE(ws.bytes() == needed(l, tokens, width));
            arena memory = ws.open();
            layer::scratch own;
            l.lay_out(own, memory, tokens, width);
            REQUIRE(memory.used() <= ws.bytes());
        }
}

TEST_CASE("workspace: only grows, and keeps its memory when it is large enough") {
    layer const l;
    workspace ws;
    ws.reserve(l, 50, workers{2});
    index_t const bytes = ws.bytes();
    std::byte const* const first = ws.open().take<std::byte>(1).data();
    ws.reserve(l, 50, workers{2});
    ws.reserve(l, 3, workers{1});
    CHECK(ws.bytes() == bytes);
    CHECK(ws.open().take<std::byte>(1).data() == first); // each opening starts at the start
    ws.reserve(l, 500, workers{2});
    CHECK(ws.bytes() == needed(l, 500, 2));
    CHECK(reinterpret_cast<std::uintptr_t>(ws.open().take<std::byte>(1).data()) % 64 == 0);
}

TEST_CASE("workspace: shows the decisions of the last call") {
    layer const l;
    workspace ws;
    ws.reserve(l, 4, workers{1});
    arena memory = ws.open();
    layer::scratch own;
    l.lay_out(own, memory, 4, 1);
    own.plan.open();
    for (index_t t = 0; t < 4; ++t) own.plan.put(t, t, 0.5f);
    own.plan.close();
    CHECK(ws.plan().tokens() == 0);
    ws.keep(own.plan);
    CHECK(ws.plan().tokens() == 4);
    CHECK(ws.plan().slots_of(3)[0] == slot{3, 0.5f, 0});
}
