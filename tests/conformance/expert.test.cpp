// SPDX-License-Identifier: MIT
// What every expert must keep, run on every model, on the least model, and on one without tiles.
#include <set>

#include "conformance/archetypes.hpp"
#include "conformance/expert_held.hpp"
#include "prytany/expert/ffn.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::held_expert, numbers::rows, numbers::same_bits;

namespace {

template <auto Expert, auto Format = dense<float>{}>
void conforms(index_t model, index_t hidden) {
    using E = kind_of<Expert>;
    STATIC_REQUIRE(expert_kind<E>);
    held_expert<Expert, Format> own(model, hidden);
    index_t const count = 29;
    auto const x = rows::normal(count, model, 31);
    auto const whole = own.apply(x);
    auto const row_of = [&](rows const& y, index_t r) {
        return std::vector<float>(y.all.begin() + r * y.cols, y.all.begin() + r * y.cols + model);
    };

    // a row's bits are its own: alone, in other numbers, in another order, picked
    for (index_t r = 0; r < count; ++r)
        REQUIRE(same_bits(own.apply(x.part(r, 1)).all, row_of(whole, r)));
    for (index_t const some : {2, 3, 12, 28})
        REQUIRE(same_bits(own.apply(x.part(1, some)).all, whole.part(1, some).all));
    std::vector<std::int32_t> pick;
    for (index_t r = count; r-- > 0; r -= 1) pick.push_back(static_cast<std::int32_t>(r));
    auto const picked = own.apply(
        work{{x.all.data(), x.cols, pick.data()}, static_cast<index_t>(pick.size())}, model + 5);
    for (std::size_t i = 0; i < pick.size(); ++i) {
        auto const r = static_cast<index_t>(i);
        REQUIRE(same_bits(row_of(picked, r), row_of(whole, pick[i])));
        for (index_t c = model; c < picked.cols; ++c) // nothing beside the row
            REQUIRE(picked.all[at(r * picked.cols + c)] == 77.0f);
    }
    // NaN stays in its row
    auto soiled = x;
    soiled.row(11)[model - 1] = std::nanf("");
    auto const got = own.apply(soiled);
    for (index_t r = 0; r < count; ++r)
        if (r != 11) REQUIRE(same_bits(row_of(got, r), row_of(whole, r)));
    // no row, no work
    REQUIRE(own.apply(rows(0, model)).all.empty());

    if constexpr (tiled_expert<E>)
        for (index_t const cut : {1, 3, 100}) REQUIRE(same_bits(own.tiles(x, cut).all, whole.all));

    // tensors: names of their own, sizes, and what is packed comes back
    std::set<std::string> names;
    std::uint64_t seed = 0;
    auto const number = [](auto const& t,
                           std::uint64_t s) { // small integers are exact in any format
        rows some(t.rows, t.cols);
        for (std::size_t i = 0; i < some.all.size(); ++i)
            some.all[i] = static_cast<float>((i * 7 + s * 13) % 101) - 50.0f;
        return some;
    };
    Expert.tensors(own.weights, own.size, [&](auto const& t) {
        REQUIRE(names.insert(t.name.text()).second);
        REQUIRE(t.rows >= 1);
        REQUIRE(t.cols >= 1);
        t.pack(number(t, ++seed).view());
    });
    seed = 0;
    Expert.tensors(own.weights, own.size, [&](auto const& t) {
        rows held(t.rows, t.cols);
        t.unpack(held.view());
        REQUIRE(same_bits(held.all, number(t, ++seed).all));
    });
}

template <auto Expert>
void suite() {
    conforms<Expert>(33, 18);
    conforms<Expert>(16, 40);
    conforms<Expert, dense<bf16>{}>(21, 35);
}

} // namespace

TEST_CASE("every expert: ffn, plain") {
    suite<ffn{gelu}>();
    suite<ffn{relu, biases}>();
}

TEST_CASE("every expert: ffn, gated") {
    suite<ffn{swiglu}>();
    suite<ffn{swiglu_clamped, biases}>();
}

TEST_CASE("every expert: the least one") {
    suite<archetype::expert{}>();
    held_expert<archetype::expert{}> const own(7, 3);
    auto const x = rows::normal(5, 7, 1);
    CHECK(same_bits(own.apply(x).all, x.all));
}

TEST_CASE("every expert: one that does not come in tiles") {
    suite<written::untiled{ffn{swiglu}}>();
    suite<written::untiled{archetype::expert{}}>();
}
