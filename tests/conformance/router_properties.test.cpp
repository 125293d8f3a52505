// SPDX-License-Identifier: MIT
// The properties themselves: each is broken by a router that is wrong in one thing.
#include "conformance/router_properties.hpp"
#include "prytany/router/score/linear.hpp"

using namespace prytany;
using properties::asks;

namespace {

/// The names of the properties that a router breaks.
template <auto Router>
std::vector<std::string> broken_by(asks const& also = {}) {
    auto const routers = properties::subjects::of_kind<Router>({}, also);
    std::vector<std::string> all;
    for (auto const& p : properties::all_of_them)
        if (!routers.breaks(p).empty()) all.push_back(p.name);
    return all;
}
template <auto Router>
void breaks(char const* name, asks const& also = {}) {
    auto const all = broken_by<Router>(also);
    CAPTURE(all);
    CHECK(std::find(all.begin(), all.end(), name) != all.end());
}

enum class wrong {
    nothing,   // right: the best expert, weight 1
    at_nan,    // the place after the last where every comparison with NaN is false
    twice,     // the best expert in two slots
    neighbour, // adds the logit of the token before
    later,     // adds the logit of the last token
    place,     // a random choice by the place in the batch
    memory,    // reads what was in its memory
    closed,    // runs experts at -inf
    epsilon,   // divides by a sum with an epsilon in it
    last_tie,  // the last of equal ones
    absolute,  // a weight that a shift changes
    falling,   // the least logit
    past_end,  // writes after its memory
};

template <wrong What>
struct faulty {
    struct params {};
    struct scratch {
        std::span<float> room;
        void lay_out(arena& memory, shape const&, index_t) { room = memory.take<float>(16); }
    };
    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const&) const {
        return std::min<index_t>(size.experts, 2);
    }
    constexpr promises promise() const { return {.unit_sum = true}; }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        index_t const experts = in.logits.cols;
        if (What == wrong::past_end) own.scratch.room.data()[16] = 1;
        for (index_t t = 0; t < in.tokens(); ++t) {
            float const* const row = in.logits.row(t);
            index_t best = What == wrong::at_nan ? experts : 0;
            float top = -INFINITY;
            for (index_t e = 0; e < experts; ++e) {
                float s = What == wrong::falling ? -row[e] : row[e];
                if (What == wrong::neighbour && t > 0) s += in.logits.row(t - 1)[e];
                if (What == wrong::later) s += in.logits.row(in.tokens() - 1)[e];
                if (What == wrong::memory) s += own.scratch.room[0];
                if (s > top || (What == wrong::last_tie && s == top)) top = s, best = e;
            }
            if (What == wrong::place) best = t % experts;
            bool const closed = top == -INFINITY && What != wrong::closed && What != wrong::at_nan;
            float weight = closed ? 0 : 1;
            if (What == wrong::epsilon)
                weight = std::exp(-std::abs(top)) / (std::exp(-std::abs(top)) + 1e-6f);
            if (What == wrong::absolute) weight = std::abs(top) < 1 ? 1 : 1.0f / 3;
            out.put(t, best, weight, closed ? 1 : 0);
            if (What == wrong::twice && experts > 1) out.put(t, best, 0);
        }
    }
};

} // namespace

TEST_CASE("properties: a router without a fault breaks none") {
    CHECK(broken_by<faulty<wrong::nothing>{}>({.alike = true, .shifts = true, .rises = true}) ==
          std::vector<std::string>{});
}

TEST_CASE("properties: every fault breaks the property that is about it") {
    constexpr asks all{.alike = true, .shifts = true, .rises = true};
    breaks<faulty<wrong::at_nan>{}>("1, safe ids");
    breaks<faulty<wrong::twice>{}>("1, safe ids");
    breaks<faulty<wrong::past_end>{}>("7 and 8, repetition");
    breaks<faulty<wrong::neighbour>{}>("2, isolation");
    breaks<faulty<wrong::neighbour>{}>("2, padding");
    breaks<faulty<wrong::neighbour>{}>("3, any order");
    breaks<faulty<wrong::later>{}>("5, companions");
    breaks<faulty<wrong::place>{}>("4, parts and the whole");
    breaks<faulty<wrong::memory>{}>("7 and 8, repetition");
    breaks<faulty<wrong::epsilon>{}>("16, exact weights");
    breaks<faulty<wrong::last_tie>{}>("17, equal logits", all);
    breaks<faulty<wrong::absolute>{}>("18, shifted logits", all);
    breaks<faulty<wrong::falling>{}>("20, a raised logit", all);
    breaks<faulty<wrong::closed>{}>("21, closed experts");
    breaks<faulty<wrong::place>{}>("23, renumbered experts", all);
}
