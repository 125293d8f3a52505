// SPDX-License-Identifier: MIT
// The logits that the numbers of the literature are given for, and plans written by hand.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"

namespace fixture {

using namespace prytany;
using numbers::at, numbers::rows;

inline rows rows_with(index_t count, index_t cols, std::vector<float> const& values) {
    rows some(count, cols);
    some.all = values;
    return some;
}
/// Two tokens, four experts.
inline rows const f0 = rows_with(2, 4, {2, 1, 0.5f, -1, 0.3f, 0.2f, 0.1f, 0});
/// Probabilities whose logs a softmax gives back.
inline rows logs(index_t count, index_t cols, std::vector<float> const& shares) {
    rows some = rows_with(count, cols, shares);
    for (float& x : some.all) x = std::log(x);
    return some;
}
/// A closed plan with these slots.
class written_plan {
public:
    written_plan(index_t experts, index_t most, numbers::lists const& slots) {
        auto const tokens = static_cast<index_t>(slots.size());
        arena count;
        plan_.lay_out(count, tokens, most, experts);
        memory_ = buffer<std::byte>(count.used());
        arena memory(memory_.data());
        plan_.lay_out(memory, tokens, most, experts);
        plan_.open();
        for (index_t t = 0; t < tokens; ++t)
            for (slot const& s : slots[at(t)]) plan_.put(t, s.expert, s.weight, s.tier);
        plan_.close();
    }
    written_plan(written_plan const&) = delete;
    operator prytany::plan const&() const { return plan_; }

private:
    buffer<std::byte> memory_;
    prytany::plan plan_;
};
/// What top_k makes of logits.
inline numbers::lists chosen(rows const& logits, index_t k, bool renormalise = true) {
    numbers::asked<top_k{}> router(logits.cols, logits.count, {.k = k, .renormalise = renormalise});
    return numbers::slots_of(router(logits.view()));
}
/// The same logits and slots with padding between them, and the mask that says so.
struct padded {
    rows logits;
    numbers::lists slots;
    std::vector<std::uint8_t> mask;

    padded(rows const& z, numbers::lists const& own)
        : logits(3 * z.count, z.cols, 7), slots(at(3 * z.count)), mask(at(3 * z.count)) {
        for (index_t t = 0; t < z.count; ++t) {
            std::copy_n(z.row_of(t).data(), z.cols, logits.row(3 * t + 1));
            for (index_t p = 0; p < 3; ++p) slots[at(3 * t + p)] = own[0]; // loud ones
            slots[at(3 * t + 1)] = own[at(t)];
            mask[at(3 * t + 1)] = 1;
            logits.row(3 * t)[0] = 50;
        }
    }
};
/// The derivatives of a loss by every logit, from four points around each.
template <class Loss>
std::vector<double> slopes(rows const& z, Loss&& loss) {
    constexpr float step = 1.0f / 64;
    std::vector<double> all;
    for (std::size_t i = 0; i < z.all.size(); ++i) {
        auto const moved = [&](float by) {
            rows other = z;
            other.all[i] += by;
            return double{loss(other)};
        };
        all.push_back((8 * (moved(step) - moved(-step)) - (moved(2 * step) - moved(-2 * step))) /
                      (12 * double{step}));
    }
    return all;
}
inline bool near(double got, double wanted, double tolerance = 1e-6) {
    return std::abs(got - wanted) <= tolerance;
}
inline bool near(std::vector<double> const& got, std::vector<double> const& wanted,
                 double tolerance = 1e-6) {
    bool all = got.size() == wanted.size();
    for (std::size_t i = 0; all && i < got.size(); ++i) all = near(got[i], wanted[i], tolerance);
    return all;
}
/// The weights that each expert gets of a plan.
inline std::vector<double> weights_of_each(prytany::plan const& closed) {
    std::vector<double> sums(at(closed.experts()));
    for (index_t t = 0; t < closed.tokens(); ++t)
        for (slot const& s : closed.slots_of(t)) sums[at(s.expert)] += double{s.weight};
    return sums;
}
/// variance / mean², over E or E - 1.
inline double squared_cv(std::vector<double> const& all, double freedom) {
    double mean = 0, squares = 0;
    for (double const x : all) mean += x / static_cast<double>(all.size());
    for (double const x : all) squares += (x - mean) * (x - mean);
    return squares / (static_cast<double>(all.size()) - freedom) / (mean * mean);
}

} // namespace fixture
