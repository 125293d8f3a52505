// SPDX-License-Identifier: MIT
// Which experts run more for prompts that get one class of answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "prytany/analysis/load.hpp"
#include "prytany/core/error.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace analysis {

/// What of a prompt is counted: the tokens of an expert, or their share of the prompt.
enum class counted { tokens, share };

/// Functional token resonance imaging: how much more an expert runs for one class of answers.
///
///     a_q[l, e] = tokens of prompt q that run expert e of layer l; `share`: over its tokens
///     D_c[l, e] = mean of a_q over the prompts of class c - mean of a_q over all other prompts
///
/// A prompt is added layer by layer, whole or in parts. Its class is the answer that it got, so it
/// is said last. `ranking(of(c), experts, 10)` are the ten experts to turn off (`steered`).
/// Source    MoTE 2025, arXiv:2502.11096
/// Throws    error: a layer, class or plan that does not fit; of(c) without prompts on both sides
/// Test      tests/analysis/resonance.test.cpp
class resonance {
public:
    resonance(index_t layers, index_t experts, index_t classes, counted what = counted::tokens)
        : layers_(layers), experts_(experts), what_(what), prompt_(at(layers * experts)),
          tokens_(at(layers)), prompts_(at(classes)),
          sums_(at(classes), std::vector<double>(at(layers * experts))) {}

    /// Adds what runs in a layer's plan to the prompt at hand.
    void add(index_t layer, plan const& closed, std::span<std::uint8_t const> mask = {}) {
        auto const counts = loads(closed, mask);
        add(layer, counts, detail::each_present(closed.tokens(), mask, [](index_t) {}));
    }
    /// The same of counts: how many of these tokens run each expert.
    void add(index_t layer, std::span<index_t const> counts, index_t tokens) {
        inside("resonance.layer", layer, layers_);
        if (std::ssize(counts) != experts_)
            throw error("resonance.experts", std::to_string(experts_),
                        std::to_string(counts.size()));
        for (index_t e = 0; e < experts_; ++e) prompt_[at(layer * experts_ + e)] += counts[at(e)];
        tokens_[at(layer)] += tokens;
    }
    /// Ends the prompt at hand; the next one starts from nothing.
    void end_prompt(index_t answer_class) {
        inside("resonance.class", answer_class, std::ssize(prompts_));
        for (index_t i = 0; i < layers_ * experts_; ++i) {
            auto const count = static_cast<double>(prompt_[at(i)]);
            auto const tokens = static_cast<double>(tokens_[at(i / experts_)]);
            bool const divided = what_ == counted::share && tokens > 0;
            sums_[at(answer_class)][at(i)] += divided ? count / tokens : count;
        }
        ++prompts_[at(answer_class)];
        std::fill(prompt_.begin(), prompt_.end(), 0);
        std::fill(tokens_.begin(), tokens_.end(), 0);
    }
    /// The prompts that have ended with this class.
    index_t prompts(index_t answer_class) const {
        inside("resonance.class", answer_class, std::ssize(prompts_));
        return prompts_[at(answer_class)];
    }
    /// D of a class, [layers · experts].
    std::vector<double> of(index_t target) const {
        index_t const own = prompts(target);
        index_t others = -own;
        for (index_t const n : prompts_) others += n;
        if (own == 0 || others == 0)
            throw error("resonance.class " + std::to_string(target),
                        "prompts of this class and of another",
                        std::to_string(own) + " and " + std::to_string(others));
        std::vector<double> all(at(layers_ * experts_));
        for (std::size_t i = 0; i < all.size(); ++i) {
            double rest = 0;
            for (std::size_t c = 0; c < sums_.size(); ++c)
                if (c != at(target)) rest += sums_[c][i];
            all[i] = sums_[at(target)][i] / static_cast<double>(own) -
                     rest / static_cast<double>(others);
        }
        return all;
    }

private:
    index_t layers_, experts_;
    counted what_;
    std::vector<index_t> prompt_, tokens_, prompts_; // tokens of a prompt: of what a layer saw
    std::vector<std::vector<double>> sums_;          // of each class

    static std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    static void inside(char const* name, index_t got, index_t count) {
        if (got < 0 || got >= count)
            throw error(name, "0 to " + std::to_string(count - 1), std::to_string(got));
    }
};

} // namespace analysis
} // namespace prytany::inline PRYTANY_ABI
