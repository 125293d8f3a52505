// SPDX-License-Identifier: MIT
// Every mode of top_k against its twin, and every bit pattern against the rules of safe numbers.
#include <random>
#include <set>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct figures {
    double worst = 0, worst_sum = 0;
    std::int64_t rows = 0, unsure = 0;
};

template <auto Router>
twin::routing_rule rule_of(params_of<kind_of<Router>> const& own, std::span<float const> bias) {
    twin::routing_rule rule;
    rule.k = at(Router.k != dynamic ? Router.k : own.k);
    rule.sigmoid = Router.score == scoring::sigmoid;
    rule.two_best = Router.group == group_score::two_best;
    rule.renormalise = own.renormalise;
    rule.scale = own.scale;
    rule.temperature = own.temperature;
    rule.groups = at(own.groups);
    rule.kept_groups = at(own.kept_groups);
    rule.bias.assign(bias.begin(), bias.end());
    return rule;
}

// Ordinary logits: the same experts in the same order as the twin, and weights near the twin's.
template <auto Router>
void agrees_with_twin(params_of<kind_of<Router>> own, index_t experts, double spread, bool biased,
                      figures& seen) {
    index_t const tokens = 40;
    auto const z =
        rows::normal(tokens, experts, static_cast<std::uint64_t>(experts * 31 + own.k), spread);
    std::vector<float> bias;
    if (biased) bias = twin::floats(twin::normal(at(experts), 5, 0.1));
    asked<Router> router(experts, tokens, own);
    auto const& plan = router(z.view(), bias);
    auto const rule = rule_of<Router>(own, bias);
    bool const by_score = biased || (rule.two_best && rule.groups > 1);
    for (index_t t = 0; t < tokens; ++t) {
        auto const logits = twin::doubles(z.row_of(t));
        double margin = 0;
        auto const chosen = twin::choose(logits, rule, &margin);
        ++seen.rows;
        if (by_score && margin < 1e-6) { // rounding decides
            ++seen.unsure;
            continue;
        }
        auto const wanted = twin::weigh(logits, rule, chosen);
        auto const got = plan.slots_of(t);
        REQUIRE(got.size() == wanted.size());
        double sum = 0;
        for (std::size_t j = 0; j < wanted.size(); ++j) {
            REQUIRE(static_cast<std::size_t>(got[j].expert) == wanted[j].expert);
            REQUIRE(got[j].tier == 0);
            double const off = std::abs(got[j].weight - wanted[j].weight);
            REQUIRE(off <= 1e-6 * rule.scale + 1e-5 * wanted[j].weight);
            seen.worst = std::max(seen.worst, off / rule.scale);
            sum += got[j].weight;
        }
        if (!rule.renormalise) continue;
        seen.worst_sum = std::max(seen.worst_sum, std::abs(sum / rule.scale - 1));
        REQUIRE(std::abs(sum / rule.scale - 1) <= 1e-6);
    }
}

template <auto Router>
void every_mode(figures& seen) {
    for (index_t const experts : {1, 2, 3, 8, 60, 64, 71, 160, 256, 513})
        for (index_t const k :
             {index_t{1}, index_t{2}, index_t{6}, index_t{8}, experts - 1, experts})
            for (bool const biased : {false, true})
                for (bool const renormalise : {true, false}) {
                    if (k < 1 || k > experts) continue;
                    float const scale = renormalise ? 2.5f : 16.0f;
                    agrees_with_twin<Router>({.k = k, .renormalise = renormalise, .scale = scale},
                                             experts, 2, biased, seen);
                    agrees_with_twin<Router>(
                        {.k = k, .renormalise = renormalise, .temperature = 0.3f}, experts, 1,
                        biased, seen);
                    for (index_t const groups : {2, 4, 8}) {
                        index_t const kept = (groups + 1) / 2;
                        if (experts % groups != 0 || k > experts / groups * kept) continue;
                        agrees_with_twin<Router>({.k = k,
                                                  .renormalise = renormalise,
                                                  .groups = groups,
                                                  .kept_groups = kept},
                                                 experts, 2, biased, seen);
                    }
                }
}

// Rows of bits: any float, few distinct ones, or only the awkward ones.
void soil(rows& z, std::mt19937_64& engine) {
    float const awkward[] = {std::nanf(""), -std::nanf(""), infinity,       -infinity, 0.0f,
                             -0.0f,         3.4028235e38f,  -3.4028235e38f, 1e-45f,    -1e-45f,
                             1.0f,          88.8f,          -104.0f};
    for (index_t t = 0; t < z.count; ++t) {
        auto const kind = engine() % 4;
        for (index_t e = 0; e < z.cols; ++e) {
            auto const draw = engine();
            float& x = z.row(t)[e];
            if (kind == 0) x = std::bit_cast<float>(static_cast<std::uint32_t>(draw >> 32));
            else if (kind == 1) x = awkward[draw % std::size(awkward)];
            else if (kind == 2) x = static_cast<float>(draw % 3);
            else x = draw % 8 == 0 ? awkward[draw / 8 % 4] : static_cast<float>(draw >> 40) * 1e-6f;
        }
    }
}

template <auto Router>
std::int64_t survives(params_of<kind_of<Router>> own, index_t experts, std::int64_t wanted,
                      bool biased) {
    index_t const tokens = 500;
    std::mt19937_64 engine(static_cast<std::uint64_t>(experts * 1000 + own.k * 10 + own.groups));
    rows z(tokens, experts);
    asked<Router> router(experts, tokens, own);
    std::vector<float> bias(biased ? at(experts) : 0);
    auto const rule = rule_of<Router>(own, bias);
    bool const by_score = biased || (rule.two_best && rule.groups > 1);
    std::vector<int> used(at(experts), -1);
    std::int64_t done = 0;
    int stamp = 0;
    for (; done < wanted; done += tokens) {
        soil(z, engine);
        for (float& b : bias) b = std::ldexp(static_cast<float>(engine() % 2001) - 1000.0f, -10);
        auto const& plan = router(z.view(), bias);
        for (index_t t = 0; t < tokens; ++t, ++stamp) {
            float const* const logits = z.row(t);
            auto const got = plan.slots_of(t);
            bool fine = got.size() == rule.k;
            double sum = 0;
            bool any_nan = false, any_runs = false;
            std::set<index_t> groups;
            for (slot const s : got) {
                if (s.expert < 0 || s.expert >= experts || used[at(s.expert)] == stamp) {
                    fine = false;
                    break;
                }
                used[at(s.expert)] = stamp;
                groups.insert(s.expert / (experts / own.groups));
                float const logit = logits[s.expert];
                if (std::isnan(logit)) any_nan = true;
                else if (logit == -infinity) fine = fine && s.tier == 1 && s.weight == 0;
                else {
                    any_runs = true;
                    fine = fine && s.tier == 0 && s.weight >= 0 && std::isfinite(s.weight);
                    sum += s.weight;
                }
                if (std::isnan(logit)) fine = fine && s.tier == 0 && std::isnan(s.weight);
            }
            fine = fine && static_cast<index_t>(groups.size()) <= own.kept_groups;
            if (fine && own.renormalise && any_runs) fine = std::abs(sum / rule.scale - 1) <= 1e-6;
            if (fine && any_nan && own.groups == 1) // every number was chosen before it
                for (index_t e = 0; e < experts; ++e)
                    fine = fine && (std::isnan(logits[e]) || used[at(e)] == stamp);
            if (fine && !by_score && t % 16 == 0) {
                auto const chosen = twin::choose(twin::doubles(z.row_of(t)), rule);
                for (std::size_t j = 0; j < chosen.size(); ++j)
                    fine = fine && static_cast<std::size_t>(got[j].expert) == chosen[j];
            }
            if (!fine) {
                CAPTURE(experts, own.k, own.groups, t, biased, sum, z.row_of(t));
                REQUIRE(fine);
            }
        }
    }
    return done;
}

} // namespace

TEST_CASE("top_k: the twin's experts in the twin's order, with its weights, in every mode") {
    figures seen;
    every_mode<top_k{}>(seen);
    every_mode<top_k{.score = scoring::sigmoid}>(seen);
    every_mode<top_k{.group = group_score::two_best}>(seen);
    every_mode<top_k{.score = scoring::sigmoid, .group = group_score::two_best}>(seen);
    CHECK(seen.rows > 20000);
    CHECK(seen.worst <= 1e-6);
    CHECK(static_cast<double>(seen.unsure) < 0.2 * static_cast<double>(seen.rows));
}

TEST_CASE("top_k: safe numbers for every bit pattern: a million rows") {
    constexpr top_k softmax{}, sigmoid{.score = scoring::sigmoid};
    constexpr top_k two{.group = group_score::two_best};
    constexpr top_k both{.score = scoring::sigmoid, .group = group_score::two_best};
    std::int64_t const each = 50000;
    std::int64_t rows = 0;
    for (bool const biased : {false, true}) {
        rows += survives<softmax>({.k = 2}, 8, each, biased);
        rows += survives<softmax>({.k = 8}, 64, each, biased);
        rows += survives<softmax>({.k = 3, .renormalise = false}, 7, each, biased);
        rows += survives<softmax>({.k = 5}, 5, each, biased);
        rows += survives<softmax>({.k = 3, .groups = 4, .kept_groups = 2}, 16, each, biased);
        rows += survives<sigmoid>({.k = 4}, 17, each, biased);
        rows += survives<sigmoid>({.k = 3, .renormalise = false, .groups = 3}, 9, each, biased);
        rows += survives<two>({.k = 4, .groups = 4, .kept_groups = 2}, 16, each, biased);
        rows += survives<both>({.k = 4, .groups = 8, .kept_groups = 4}, 16, each, biased);
        rows += survives<both>({.k = 8, .groups = 8, .kept_groups = 4}, 64, each, biased);
    }
    CHECK(rows >= 1000000);
}

TEST_CASE("top_k: weights sum to one for extreme finite logits and many experts") {
    std::mt19937_64 engine(11);
    double worst = 0;
    for (int trial = 0; trial < 4000; ++trial) {
        auto const experts = static_cast<index_t>(1 + engine() % 128);
        double const spread = std::ldexp(1.0, static_cast<int>(engine() % 140) - 12);
        auto z = rows::normal(1, experts, engine(), spread);
        if (trial % 2 == 0) { // one large, the rest small enough to be lost one by one
            for (float& x : z.all) x = -16.7f - static_cast<float>(engine() % 100) * 0.01f;
            z.all[engine() % z.all.size()] = 0;
        }
        for (float& x : z.all) x = std::isfinite(x) ? x : std::copysign(3.4028235e38f, x);
        auto const check = [&]<auto Router>(std::integral_constant<scoring, Router>) {
            asked<top_k{.score = Router}> router(experts, 1, {.k = experts});
            double sum = 0;
            for (slot const s : router(z.view()).slots_of(0)) {
                REQUIRE(s.weight >= 0);
                sum += s.weight;
            }
            worst = std::max(worst, std::abs(sum - 1));
            REQUIRE(std::abs(sum - 1) <= 1e-6);
        };
        check(std::integral_constant<scoring, scoring::softmax>{});
        check(std::integral_constant<scoring, scoring::sigmoid>{});
    }
}
