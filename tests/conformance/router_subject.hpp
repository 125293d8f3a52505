// SPDX-License-Identifier: MIT
// A router by itself as one type, with soiled memory, and what its test says that it keeps.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "conformance/router_question.hpp"
#include "support/catch.hpp"

namespace properties {

/// What a router keeps beyond its promise, which its test says.
struct asks {
    bool unit_sum = false; ///< with these params, though not with all
    bool closes = true;    ///< an expert whose logit is -inf does not run
    bool alike = false;    ///< experts differ by their logits alone, equal ones by their number
    bool shifts = false;   ///< a number added to all logits changes nothing
    bool hears = false;    ///< an expert is closed when it is closed for all tokens
    bool alone = true;     ///< the one expert that is not closed runs
    bool rises = false;    ///< more for one expert is not less for it, nor more for a third
};

/// A router for one number of experts, whatever its type.
struct subject {
    promises said{};
    asks also{};
    index_t most = 0;
    bool draws = false;                                              ///< the seed matters
    std::function<lists(seen const&, index_t cut, int soil)> plan{}; ///< asked in two parts

    lists operator()(question const& q, index_t cut = 0, int soil = 0xa5) const {
        return plan(q.view(), cut, soil);
    }
    bool sums() const { return said.unit_sum || also.unit_sum; }
    bool sees(scope far) const { return said.sees == far; }
};

struct broken {
    std::string what;
};
inline void expect(bool kept, char const* what) {
    if (!kept) throw broken{what};
}
/// A router with soiled memory for its plans and weights like those of a layer.
template <auto Router>
class held {
public:
    using R = kind_of<Router>;
    held(shape const& size, params_of<R> const& own) : size_(size), params_(own) {
        check_router(Router, size, own);
        most_ = Router.slots(size, own);
        if (most_ < 1 || most_ > size.experts) throw error("slots", "1 to experts", "others");
        router_tensors(Router, weights_, size, [&](auto const& t) {
            t.allocate();
            numbers::fill_tensor(t, 3, 5);
        });
    }
    index_t most() const { return most_; }
    lists operator()(seen const& in, index_t cut, int soil) {
        index_t const tokens = in.tokens();
        arena count;
        lay_out(count, tokens);
        memory_.assign(at(count.used() + 128), std::byte(soil));
        auto const start = reinterpret_cast<std::uintptr_t>(memory_.data());
        std::byte* const line = memory_.data() + (64 - start % 64) % 64;
        arena memory(line);
        lay_out(memory, tokens);
        plan_.open();
        require_input(Router, in, size_, params_);
        if (cut > 0 && cut < tokens) {
            some(in.part(0, cut), plan_.part(0, cut));
            some(in.part(cut, tokens - cut), plan_.part(cut, tokens - cut));
        } else some(in, plan_);
        for (index_t t = 0; t < tokens; ++t) { // before a plan believes them
            expect(std::ssize(plan_.open_slots_of(t)) <= most_, "more slots than promised");
            for (slot const s : plan_.open_slots_of(t))
                expect(s.expert >= 0 && s.expert < size_.experts, "an expert that is not there");
        }
        for (std::byte const* at = line + count.used(); at != &memory_.back(); ++at)
            expect(*at == std::byte(soil), "memory of others is written");
        plan_.close();
        return numbers::slots_of(plan_);
    }

private:
    shape size_;
    params_of<R> params_;
    weights_of<R> weights_{};
    scratch_of<R> scratch_{};
    plan plan_;
    std::vector<std::byte> memory_;
    index_t most_ = 0;

    void lay_out(arena& memory, index_t tokens) {
        plan_.lay_out(memory, tokens, most_, size_.experts);
        lay_out_scratch(Router, scratch_, memory, size_, tokens);
    }
    void some(seen const& in, plan out) {
        R::select(in, kit<Router>{params_, weights_, scratch_}, out);
        for (index_t t = 0; t < in.tokens(); ++t)
            if (!in.present(t)) out.cut(t, 0); // as a layer does
    }
};

/// The router for so many experts; none where its numbers refuse them.
template <auto Router>
std::optional<subject> of(index_t experts, params_of<kind_of<Router>> const& own,
                          asks const& also = {}) {
    using R = kind_of<Router>;
    STATIC_REQUIRE(router_policy<R>);
    shape const size{.model = question::model, .hidden = 1, .experts = experts};
    std::shared_ptr<held<Router>> one;
    try {
        one = std::make_shared<held<Router>>(size, own);
    } catch (error const&) {
        return std::nullopt;
    }
    constexpr bool scores = !std::same_as<decltype(scorer_of(Router)), nothing>;
    subject r{Router.promise(), also, one->most(), false,
              [one](seen const& in, index_t cut, int soil) { return (*one)(in, cut, soil); }};
    r.also.closes = also.closes && scores;
    luck draw(7);
    question probe(draw, 32, experts, numbers_of::finite);
    try {
        auto const first = r(probe);
        probe.seed ^= 1;
        r.draws = !numbers::same_slots(first, r(probe));
    } catch (broken const&) {} // the properties will tell
    return r;
}

} // namespace properties
