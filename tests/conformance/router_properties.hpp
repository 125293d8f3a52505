// SPDX-License-Identifier: MIT
// What is asked of a router by itself, each time as far as it promises it, in a thousand calls.
//
// A failure names the property and the seed of the first call that breaks it; PRYTANY_SEED=<seed>
// runs that call alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>

#include "conformance/router_subject.hpp"

namespace properties {

inline std::string text_of(std::vector<slot> const& all) {
    std::string text;
    for (slot const s : all)
        text += " " + std::to_string(s.expert) + ":" + std::to_string(s.weight) +
                (s.tier == 0 ? "" : "/" + std::to_string(s.tier));
    return text;
}
inline void expect_equal(lists const& a, lists const& b, char const* what) {
    if (numbers::same_slots(a, b)) return;
    for (std::size_t t = 0; t < a.size() && t < b.size(); ++t)
        if (!numbers::same_bits(a[t], b[t]))
            throw broken{std::string(what) + ", token " + std::to_string(t) + ":" + text_of(a[t]) +
                         " |" + text_of(b[t])};
    throw broken{what};
}
inline lists some_of(lists const& all, index_t from, index_t count) {
    return {all.begin() + from, all.begin() + from + count};
}
inline float ulps(float of, int count) {
    return static_cast<float>(count) * (std::nextafter(std::abs(of), INFINITY) - std::abs(of));
}
inline bool near(float a, float b, int count) { return std::abs(a - b) <= ulps(b, count); }
/// By expert; those that are listed and not run left out on demand.
inline std::vector<slot> sorted(std::vector<slot> all, bool only_run = false) {
    if (only_run) std::erase_if(all, [](slot const& s) { return s.tier != 0; });
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.expert < b.expert; });
    return all;
}
inline bool runs(std::vector<slot> const& all, index_t expert) {
    return std::any_of(all.begin(), all.end(),
                       [&](slot const& s) { return s.expert == expert && s.tier == 0; });
}

// ---- each property: a router, and luck ------------------------------------------------------

inline question any(luck& draw, index_t experts, numbers_of kind = numbers_of::awkward) {
    return {draw, 1 + draw.below(8), experts, kind};
}

/// That there are no more than promised, in range, within the memory: each call tells.
inline void safe_ids(subject const& r, luck& draw, index_t experts) {
    auto const q = any(draw, experts, draw.one_in(4) ? numbers_of::bits : numbers_of::awkward);
    for (auto const& slots : r(q)) {
        auto const own = sorted(slots);
        for (std::size_t j = 0; j < own.size(); ++j) {
            expect(j == 0 || own[j].expert != own[j - 1].expert, "an expert twice");
        }
    }
}
inline void isolation(subject const& r, luck& draw, index_t experts) {
    auto const q = any(draw, experts, draw.one_in(2) ? numbers_of::finite : numbers_of::awkward);
    index_t const bad = draw.below(q.tokens());
    float const with[] = {std::nanf(""), INFINITY, -INFINITY, 3e38f};
    question spoilt = q;
    spoilt.spoil(bad, with[draw.below(4)]);
    auto const before = r(q), after = r(spoilt);
    for (index_t t = 0; t < q.tokens(); ++t) {
        if (t == bad) continue;
        bool const own = r.sees(scope::token) ||
                         (r.sees(scope::sequence) && q.sequence_of(t) != q.sequence_of(bad)) ||
                         (r.said.causal && t < bad);
        if (own)
            expect(numbers::same_bits(before[at(t)], after[at(t)]), "a bad row changes another");
        if (!r.sees(scope::batch) || !q.finite(t)) continue;
        for (slot const s : after[at(t)])
            expect(!std::isnan(s.weight), "a bad row makes a weight of another NaN");
    }
}
inline void padding(subject const& r, luck& draw, index_t experts) {
    auto q = any(draw, experts);
    q.hide_some(draw);
    question other = q;
    for (index_t t = 0; t < q.tokens(); ++t)
        if (!q.present(t)) {
            if (draw.one_in(2)) other.spoil(t, std::nanf(""));
            else other.redraw(t, draw, numbers_of::awkward);
        }
    expect_equal(r(q), r(other), "what is in padding changes other tokens");
}
inline void any_order(subject const& r, luck& draw, index_t experts) {
    if (!r.sees(scope::token) || r.draws) return;
    auto const q = any(draw, experts);
    std::vector<index_t> order(at(q.tokens()));
    std::iota(order.begin(), order.end(), index_t{0});
    for (index_t i = q.tokens(); i-- > 1;) std::swap(order[at(i)], order[at(draw.below(i + 1))]);
    auto const straight = r(q), mixed = r(q.in_order(order));
    for (index_t t = 0; t < q.tokens(); ++t)
        expect(numbers::same_bits(mixed[at(t)], straight[at(order[at(t)])]), "the order matters");
}
inline void parts(subject const& r, luck& draw, index_t experts) {
    auto const q = any(draw, experts);
    auto const whole = r(q);
    if (r.sees(scope::token)) {
        expect_equal(r(q, 1 + draw.below(q.tokens())), whole, "two parts differ from the whole");
        index_t const t = draw.below(q.tokens());
        expect_equal(r.plan(q.view().part(t, 1), 0, 0), some_of(whole, t, 1),
                     "a token alone differs from the same in a batch");
    } else if (r.sees(scope::sequence)) {
        index_t const s = draw.below(std::ssize(q.sequences));
        auto const alone = q.sequence(s);
        expect_equal(r(alone), some_of(whole, q.sequences[at(s)], alone.tokens()),
                     "a sequence alone differs from the same in a batch");
    }
    index_t const early = draw.below(q.tokens() + 1);
    if (r.said.causal && early > 0)
        expect_equal(r(q.part(0, early)), some_of(whole, 0, early), "later tokens matter");
}
inline void companions(subject const& r, luck& draw, index_t experts) {
    auto const q = any(draw, experts);
    index_t const t = draw.below(q.tokens());
    question other = q;
    bool const alike = draw.one_in(3);
    luck const begin = draw;
    for (index_t u = 0; u < q.tokens(); ++u) {
        bool const free = r.sees(scope::token) ? u != t
                          : r.sees(scope::sequence)
                              ? q.sequence_of(u) != q.sequence_of(t) || (r.said.causal && u > t)
                              : r.said.causal && u > t;
        if (alike) draw = begin;
        if (free) other.redraw(u, draw, numbers_of::awkward);
    }
    expect(numbers::same_bits(r(q)[at(t)], r(other)[at(t)]), "what is elsewhere matters");
}
inline void repetition(subject const& r, luck& draw, index_t experts) {
    auto const q = any(draw, experts);
    expect_equal(r(q, 0, 0x00), r(q, 0, 0xff), "what was in the memory before matters");
}
inline void exact_weights(subject const& r, luck& draw, index_t experts) {
    auto const q = any(draw, experts, numbers_of::finite);
    auto const all = r(q);
    for (index_t t = 0; t < q.tokens(); ++t) {
        double sum = 0;
        for (slot const s : all[at(t)]) {
            expect(!std::isnan(s.weight), "finite logits, a weight that is NaN");
            expect(!r.said.positive || s.weight >= 0, "a negative weight");
            sum += double{s.weight};
        }
        if (q.present(t) && r.sums())
            expect(std::abs(sum - 1) <= 1e-6, "weights that sum not to 1");
    }
}
inline void equal_logits(subject const& r, luck& draw, index_t experts) {
    if (!r.also.alike) return;
    auto q = any(draw, experts);
    float const some[] = {0, -100, 3e38f, -3e38f, 1e-40f, draw.bell()};
    std::fill(q.logits.all.begin(), q.logits.all.end(), some[draw.below(6)]);
    for (auto const& slots : r(q)) {
        auto const own = sorted(slots, true);
        auto const count = static_cast<float>(own.size());
        for (std::size_t j = 0; j < own.size(); ++j) {
            expect(own[j].expert == static_cast<std::int32_t>(j), "ties: not the lowest numbers");
            expect(own[j].weight == own[0].weight, "equal logits, other weights");
            if (r.sums()) expect(near(own[j].weight, 1 / count, 1), "equal logits: not 1/k each");
        }
    }
}
inline void shifted_logits(subject const& r, luck& draw, index_t experts) {
    if (!r.also.shifts) return;
    auto q = any(draw, experts);
    for (float& s : q.logits.all) s = static_cast<float>(draw.below(4096) - 2048) / 256;
    question higher = q;
    auto const by = static_cast<float>(draw.below(200) - 100);
    for (float& s : higher.logits.all) s += by;
    auto const a = r(q), b = r(higher);
    for (std::size_t t = 0; t < a.size(); ++t) {
        expect(a[t].size() == b[t].size(), "a shift changes how many are chosen");
        for (std::size_t j = 0; j < a[t].size(); ++j) {
            expect(a[t][j].expert == b[t][j].expert, "a shift changes who is chosen");
            expect(near(a[t][j].weight, b[t][j].weight, 2), "a shift changes a weight");
        }
    }
}
inline void raised_logit(subject const& r, luck& draw, index_t experts) {
    if (!r.also.rises) return;
    auto q = any(draw, experts, numbers_of::finite);
    index_t const t = draw.below(q.tokens()), e = draw.below(experts);
    question higher = q;
    higher.logits.row(t)[e] += std::abs(draw.bell()) * (draw.one_in(2) ? 0.1f : 10.0f);
    auto const a = r(q)[at(t)], b = r(higher)[at(t)];
    auto const of = [&](auto const& all) {
        return std::find_if(all.begin(), all.end(), [&](slot const& s) { return s.expert == e; });
    };
    if (runs(a, e)) {
        expect(runs(b, e), "a raised logit deselects its expert");
        float const before = of(a)->weight, after = of(b)->weight;
        expect(after >= before - ulps(before, 1), "a raised logit lowers its weight");
    } else {
        for (slot const s : b)
            expect(s.expert == e || s.tier != 0 || runs(a, s.expert),
                   "a raised logit adds a third");
    }
}
inline void closed_experts(subject const& r, luck& draw, index_t experts) {
    if (!r.also.closes) return;
    bool const finite = r.also.hears || draw.one_in(2);
    auto q = any(draw, experts, finite ? numbers_of::finite : numbers_of::awkward);
    index_t const open = draw.one_in(4) ? draw.below(experts + 1) : -1; // that one alone, or none
    luck const begin = draw;
    for (index_t t = 0; t < q.tokens(); ++t) {
        if (r.also.hears) draw = begin;
        for (index_t e = 0; e < experts; ++e) {
            float& s = q.logits.row(t)[e];
            if (open >= 0 ? e != open : draw.one_in(2)) s = -INFINITY;
            else if (open >= 0) s = 0.5f;
        }
    }
    auto const all = r(q);
    for (index_t t = 0; t < q.tokens(); ++t) {
        for (slot const s : all[at(t)]) {
            if (q.logits.row(t)[s.expert] != -INFINITY) continue;
            if (s.tier == 0 || (s.weight != 0 && !q.nan(t)))
                throw broken{"an expert that is closed runs or has a weight:" +
                             text_of(all[at(t)])};
        }
        if (open < 0 || open == experts || !q.present(t) || !r.sums() || !r.also.alone) continue;
        expect(runs(all[at(t)], open), "the only open expert does not run");
    }
}
inline void renumbered_experts(subject const& r, luck& draw, index_t experts) {
    if (!r.also.alike) return;
    auto q = any(draw, experts);
    for (index_t t = 0; t < q.tokens(); ++t) // no two equal
        for (index_t e = 0; e < experts; ++e)
            q.logits.row(t)[e] = 0.07f * static_cast<float>((e * 5 + t * 3) % 67) - 2;
    if (experts > 67) return;
    std::vector<index_t> to(at(experts));
    std::iota(to.begin(), to.end(), index_t{0});
    for (index_t i = experts; i-- > 1;) std::swap(to[at(i)], to[at(draw.below(i + 1))]);
    question other = q;
    for (index_t t = 0; t < q.tokens(); ++t)
        for (index_t e = 0; e < experts; ++e) other.logits.row(t)[to[at(e)]] = q.logits.row(t)[e];
    auto a = r(q), b = r(other);
    for (std::size_t t = 0; t < a.size(); ++t) {
        for (slot& s : a[t]) s.expert = static_cast<std::int32_t>(to[at(s.expert)]);
        auto const x = sorted(a[t], true), y = sorted(b[t], true);
        expect(x.size() == y.size(), "renumbered experts: another number of slots");
        for (std::size_t j = 0; j < x.size(); ++j) {
            expect(x[j].expert == y[j].expert, "renumbered experts: others are chosen");
            expect(near(x[j].weight, y[j].weight, 4), "renumbered experts: another weight");
        }
    }
}
inline void no_tokens(subject const& r, luck& draw, index_t experts) {
    expect(r({draw, 0, experts, numbers_of::finite}).empty(), "slots without tokens");
    seen none{};
    none.logits = {nullptr, 0, experts};
    try {
        expect(r.plan(none, 0, 0).empty(), "slots without tokens");
    } catch (error const&) {} // it may miss what it needs
}

struct property {
    char const* name;
    void (*holds)(subject const&, luck&, index_t experts);
};
inline constexpr property all_of_them[] = {
    {"1, safe ids", safe_ids},
    {"2, isolation", isolation},
    {"2, padding", padding},
    {"3, any order", any_order},
    {"4, parts and the whole", parts},
    {"5, companions", companions},
    {"7 and 8, repetition", repetition},
    {"16, exact weights", exact_weights},
    {"17, equal logits", equal_logits},
    {"18, shifted logits", shifted_logits},
    {"20, a raised logit", raised_logit},
    {"21, closed experts", closed_experts},
    {"22, no tokens", no_tokens},
    {"23, renumbered experts", renumbered_experts},
};

/// What is wrong with the first of a thousand cases in which holds(draw) fails, or nothing.
template <class Holds>
std::string first_broken(Holds&& holds) {
    char const* const wanted = std::getenv("PRYTANY_SEED");
    std::uint64_t const begin = wanted ? std::strtoull(wanted, nullptr, 10) : 1;
    std::uint64_t const end = wanted ? begin + 1 : begin + 1000;
    std::string first;
    index_t count = 0;
    for (std::uint64_t seed = begin; seed < end; ++seed) {
        try {
            holds(luck(seed));
        } catch (broken const& b) {
            if (count++ == 0) first = b.what + "; again with PRYTANY_SEED=" + std::to_string(seed);
        }
    }
    return count == 0 ? first : first + " (cases: " + std::to_string(count) + ")";
}
template <class Holds>
void for_each_case(std::string const& name, Holds&& holds) {
    auto const wrong = first_broken(holds);
    CAPTURE(name, wrong);
    CHECK(wrong.empty());
}

inline constexpr index_t expert_counts[] = {1, 2, 6, 12, 66};

/// A router for every number of experts that it takes.
struct subjects {
    std::vector<std::pair<index_t, subject>> all;

    template <auto Router>
    static subjects of_kind(params_of<kind_of<Router>> const& own, asks const& also) {
        subjects some;
        for (index_t const experts : expert_counts)
            if (auto r = of<Router>(experts, own, also)) some.all.emplace_back(experts, *r);
        bool const draws = std::any_of(some.all.begin(), some.all.end(),
                                       [](auto const& one) { return one.second.draws; });
        for (auto& one : some.all) one.second.draws = draws;
        return some;
    }
    std::string breaks(property const& p) const {
        return first_broken([&](luck draw) {
            auto const& [experts, r] = all[at(draw.below(std::ssize(all)))];
            p.holds(r, draw, experts);
        });
    }
};
/// Every property, on every number of experts that the router takes.
template <auto Router>
void hold(params_of<kind_of<Router>> const& own, asks const& also = {}) {
    auto const routers = subjects::of_kind<Router>(own, also);
    REQUIRE(!routers.all.empty());
    for (property const& p : all_of_them) {
        std::string const name = p.name, wrong = routers.breaks(p);
        CAPTURE(name, wrong);
        CHECK(wrong.empty());
    }
}

/// Two routers that must write the same of as many experts as both take.
template <auto One, auto Other>
void same(char const* name, params_of<kind_of<One>> const& one,
          params_of<kind_of<Other>> const& other, numbers_of kind = numbers_of::awkward) {
    for (index_t const experts : expert_counts) {
        auto const a = of<One>(experts, one);
        auto const b = of<Other>(experts, other);
        if (!a || !b) continue;
        for_each_case(name, [&](luck draw) {
            auto const q = any(draw, experts, kind);
            expect_equal((*a)(q), (*b)(q), "two routers differ");
        });
    }
}
/// Property 19: what is chosen with k comes first with k + 1, in the same order.
template <auto Router, class Set>
void nests(params_of<kind_of<Router>> own, Set&& set) {
    constexpr index_t experts = 12;
    std::vector<subject> of_k;
    for (index_t k = 1; k <= experts; ++k) {
        set(own, k);
        if (auto r = of<Router>(experts, own)) of_k.push_back(*r);
    }
    REQUIRE(of_k.size() > 1);
    for_each_case("19, nesting", [&](luck draw) {
        auto const q = any(draw, experts);
        index_t const k = draw.below(std::ssize(of_k) - 1);
        auto const few = of_k[at(k)](q), more = of_k[at(k + 1)](q);
        for (std::size_t t = 0; t < few.size(); ++t) {
            expect(few[t].size() <= more[t].size(), "fewer with a larger k");
            for (std::size_t j = 0; j < few[t].size(); ++j)
                expect(few[t][j].expert == more[t][j].expert, "a larger k chooses others");
        }
    });
}

} // namespace properties
