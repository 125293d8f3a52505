// SPDX-License-Identifier: MIT
#include "prytany/format/tensor.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "prytany/format/dense.hpp"
#include "support/catch.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

using matrix = packed<dense<float>{}>;

std::vector<float> values(index_t rows, index_t cols, std::uint64_t seed) {
    return twin::floats(twin::normal(static_cast<std::size_t>(rows * cols), seed));
}
template <class F>
std::string complaint(F const& f) {
    try {
        f();
        return "none";
    } catch (error const& e) {
        return e.what();
    }
}

} // namespace

TEST_CASE("tensor: a name says part, expert and role") {
    CHECK(tensor_name{"expert", "gate", 3}.text() == "expert.3.gate");
    CHECK(tensor_name{"router", "weight"}.text() == "router.weight");
    CHECK(tensor_name{"expert", "up", 0}.text() == "expert.0.up");
    CHECK(tensor_name{"a", "b", 1} == tensor_name{"a", "b", 1});
    CHECK(!(tensor_name{"a", "b", 1} == tensor_name{"a", "b"}));
}

TEST_CASE("tensor: a column is one number an output, zeros to a whole panel") {
    for (index_t rows = 1; rows <= 3 * panel_lanes; ++rows) {
        column c;
        c.resize(rows, 1);
        REQUIRE(c.rows() == rows);
        REQUIRE(c.cols() == 1);
        REQUIRE(c.bytes() == (rows + panel_lanes - 1) / panel_lanes * panel_lanes * 4);
        for (index_t r = 0; r < rows; ++r) {
            auto const x = static_cast<float>(r + 1);
            c.pack(r, {&x, 1});
        }
        for (index_t r = 0; r < c.bytes() / 4; ++r) {
            REQUIRE(c.data()[r] == (r < rows ? static_cast<float>(r + 1) : 0.0f));
            if (r >= rows) continue;
            float back = -1;
            c.unpack(r, {&back, 1});
            REQUIRE(back == static_cast<float>(r + 1));
        }
    }
}

TEST_CASE("tensor: two matrices share the panels of one store") {
    for (index_t const rows : {1, 5, 16, 17, 40, 64, 65}) {
        index_t const cols = 9;
        matrix store;
        tensor const gate({"expert", "gate", 0}, rows, cols, &store, row_map{0, 2});
        tensor const up({"expert", "up", 0}, rows, cols, &store, row_map{1, 2});
        gate.allocate();
        up.allocate(); // the first part makes the room, the second keeps it
        REQUIRE(store.rows() == (rows + lanes - 1) / lanes * lanes * 2);
        REQUIRE(gate.bytes() + up.bytes() == store.bytes());

        auto const g = values(rows, cols, 1), u = values(rows, cols, 2);
        gate.pack({g.data(), rows, cols});
        up.pack({u.data(), rows, cols});
        std::vector<float> g_back(g.size()), u_back(u.size());
        gate.unpack({g_back.data(), rows, cols});
        up.unpack({u_back.data(), rows, cols});
        REQUIRE(g_back == g);
        REQUIRE(u_back == u);

        // gate r and up r stand in the same lane of the two registers of one panel
        for (index_t r = 0; r < rows; ++r) {
            float const* const step = store.panel(r / lanes);
            REQUIRE(step[r % lanes] == g[static_cast<std::size_t>(r * cols)]);
            REQUIRE(step[lanes + r % lanes] == u[static_cast<std::size_t>(r * cols)]);
        }
    }
}

TEST_CASE("tensor: matrices below each other count their own rows") {
    matrix store;
    store.resize(4 * panel_lanes, 3);
    index_t const rows = panel_lanes;
    tensor const q({"attention", "q"}, 2 * rows, 3, &store);
    tensor const k({"attention", "k"}, rows, 3, &store, row_map{0, 1, 2 * rows});
    tensor const v({"attention", "v"}, rows, 3, &store, row_map{0, 1, 3 * rows});
    CHECK(q.bytes() == 2 * k.bytes());
    CHECK(q.bytes() + k.bytes() + v.bytes() == store.bytes());
}

TEST_CASE("tensor: one row, and views with a stride") {
    matrix store;
    tensor const one({"router", "weight"}, 3, 2, &store);
    one.allocate();
    std::vector<float> const from{1, 2, -1, 3, 4, -1, 5, 6, -1};
    one.pack({from.data(), 3, 2, 3});
    one.pack_row(1, std::vector<float>{30, 40});
    std::vector<float> to(12, -9);
    one.unpack({to.data(), 3, 2, 4});
    CHECK(to == std::vector<float>{1, 2, -9, -9, 30, 40, -9, -9, 5, 6, -9, -9});
    CHECK(one.bytes() == store.bytes());
    CHECK(!one.vector);
}

TEST_CASE("tensor: other sizes are an error that names the tensor") {
    matrix store;
    tensor const t({"expert", "down", 7}, 4, 3, &store);
    t.allocate();
    std::vector<float> room(100);
    CHECK(complaint([&] {
              t.pack({room.data(), 3, 4});
          }) == "expert.7.down: expected [4, 3], got [3, 4]");
    CHECK(complaint([&] {
              t.unpack({room.data(), 4, 2});
          }) == "expert.7.down: expected [4, 3], got [4, 2]");
    CHECK(complaint([&] { t.pack({room.data(), 4, 3}); }) == "none");
}
