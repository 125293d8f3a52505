// SPDX-License-Identifier: MIT
// A Mixture-of-Experts layer in scalar double precision; nothing of the library is used.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "twin/reference.hpp"

namespace twin {

/// How a top-k router chooses and weighs.
struct routing_rule {
    std::size_t k = 1;
    bool sigmoid = false, renormalise = true, two_best = false;
    double scale = 1, temperature = 1;
    std::size_t groups = 1, kept_groups = 1;
    row bias{};
};

/// One chosen expert; -inf is chosen at weight 0 and does not run.
struct choice {
    std::size_t expert = 0;
    double weight = 0;
    bool runs = true;
};

/// A number before NaN, the larger before the smaller, then the lower index.
inline bool better(row const& of, std::size_t i, std::size_t j) {
    bool const i_nan = std::isnan(of[i]), j_nan = std::isnan(of[j]);
    if (i_nan != j_nan) return j_nan;
    if (!i_nan && of[i] != of[j]) return of[i] > of[j];
    return i < j;
}
inline std::vector<std::size_t> ranked(row const& of) {
    std::vector<std::size_t> all(of.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    std::sort(all.begin(), all.end(), [&](auto i, auto j) { return better(of, i, j); });
    return all;
}

/// exp((z - top) / t), where equal infinities share.
inline double raised(double z, double top, double temperature) {
    return z == top ? 1 : std::exp((z - top) / temperature);
}
inline double largest_number(row const& of) {
    double top = -std::numeric_limits<double>::infinity();
    for (double const z : of) top = z > top ? z : top;
    return top;
}
/// Softmax over the numbers of a row; a NaN stays NaN and weighs nothing.
inline row probabilities(row const& logits, double temperature) {
    double const top = largest_number(logits);
    row all;
    double total = 0;
    for (double const z : logits) {
        all.push_back(raised(z, top, temperature));
        if (!std::isnan(z)) total += all.back();
    }
    for (double& p : all) p /= total;
    return all;
}
inline double log_logistic(double z) {
    return std::min(z, 0.0) - std::log1p(std::exp(-std::abs(z)));
}

/// The experts that a rule chooses, best first. `margin`: the least difference that decided anything.
inline std::vector<std::size_t> choose(row const& logits, routing_rule const& rule,
                                       double* margin = nullptr) {
    row scores = logits; // the order of the logits is that of softmax and sigmoid
    bool const summed = rule.two_best && rule.groups > 1;
    if (!rule.bias.empty() || summed) {
        if (!rule.sigmoid) scores = probabilities(logits, rule.temperature);
        else
            for (double& z : scores) z = logistic(z);
        for (std::size_t e = 0; e < rule.bias.size(); ++e) scores[e] += rule.bias[e];
    }
    double least = std::numeric_limits<double>::infinity();
    std::size_t const size = logits.size() / rule.groups;
    row groups;
    for (std::size_t g = 0; g < rule.groups; ++g) {
        auto const begin = scores.begin() + static_cast<std::ptrdiff_t>(g * size);
        row const own(begin, begin + static_cast<std::ptrdiff_t>(size));
        auto const order = ranked(own);
        groups.push_back(own[order[0]] + (summed && size > 1 ? own[order[1]] : 0));
    }
    auto const order = ranked(groups);
    std::vector<bool> open(logits.size());
    for (std::size_t i = 0; i < rule.kept_groups; ++i)
        for (std::size_t e = 0; e < size; ++e) open[order[i] * size + e] = true;
    if (rule.kept_groups < rule.groups)
        least = groups[order[rule.kept_groups - 1]] - groups[order[rule.kept_groups]];

    std::vector<std::size_t> chosen;
    for (std::size_t const e : ranked(scores)) {
        if (!open[e]) continue;
        if (!chosen.empty()) least = std::min(least, scores[chosen.back()] - scores[e]);
        if (chosen.size() == rule.k) break;
        chosen.push_back(e);
    }
    if (margin != nullptr) *margin = least;
    return chosen;
}

/// The weights of given experts.
inline std::vector<choice> weigh(row const& logits, routing_rule const& rule,
                                 std::vector<std::size_t> const& chosen) {
    row own;
    for (std::size_t const e : chosen) own.push_back(logits[e]);
    double const infinity = std::numeric_limits<double>::infinity();
    row weights = own;
    if (rule.sigmoid && rule.renormalise) {
        double const top = largest_number(own);
        for (double& z : weights) z = z == top ? 1 : std::exp(log_logistic(z) - log_logistic(top));
    } else if (rule.sigmoid) {
        for (double& z : weights) z = logistic(z);
    } else if (rule.renormalise) {
        weights = probabilities(own, rule.temperature);
    } else {
        row const all = probabilities(logits, rule.temperature);
        for (std::size_t j = 0; j < chosen.size(); ++j) weights[j] = all[chosen[j]];
    }
    double total = 0;
    for (std::size_t j = 0; j < own.size(); ++j)
        if (!std::isnan(own[j]) && own[j] != -infinity) total += weights[j];
    std::vector<choice> slots;
    for (std::size_t j = 0; j < own.size(); ++j) {
        bool const runs = own[j] != -infinity;
        double const weight = rule.scale * (rule.renormalise ? weights[j] / total : weights[j]);
        slots.push_back({chosen[j], runs ? weight : 0, runs});
    }
    return slots;
}

/// Every matrix of a layer, [outputs, inputs]; what a layer lacks is empty.
struct moe_weights {
    matrix router;
    row router_bias{};
    std::vector<ffn_weights> experts;
    ffn_weights shared{};
    row shared_gate{};
};

inline row logits_of(row const& x, moe_weights const& w) {
    row z;
    for (std::size_t e = 0; e < w.router.rows; ++e)
        z.push_back(dot(x, w.router.row_of(e)) + (w.router_bias.empty() ? 0 : w.router_bias[e]));
    return z;
}

/// y = Σ w · expert(x) [+ σ(x·g) · shared(x)] for one token and its slots.
inline row moe(row const& x, moe_weights const& w, std::vector<choice> const& slots,
               activation const& act) {
    row y(x.size());
    auto const add = [&](double weight, ffn_weights const& expert) {
        row const one = ffn(x, expert, act);
        for (std::size_t c = 0; c < y.size(); ++c) y[c] += weight * one[c];
    };
    for (auto const& s : slots)
        if (s.runs) add(s.weight, w.experts[s.expert]);
    if (w.shared.up.rows > 0)
        add(w.shared_gate.empty() ? 1 : logistic(dot(x, w.shared_gate)), w.shared);
    return y;
}

} // namespace twin
